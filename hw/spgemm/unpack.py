"""Entries of A as they lie in memory, one by one, as pieces of lines of B."""

from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from golden.isa.spgemm import COUNT_BITS, FIRST_BITS
from golden.spgemm.params import SpgemmParams
from hw.fabric.sure_fifo import SureFIFO

from .layouts import chunk_layout, entry_layout

__all__ = ["EntryUnpack", "Kind", "piece_layout", "record_layout"]


def piece_layout(p: SpgemmParams) -> data.StructLayout:
    """An entry's elements of B: from lane `start` of line `line` to lane `stop` of the line `further` lines later."""
    lane_bits = (p.lanes - 1).bit_length()
    return data.StructLayout({
        "value": unsigned(p.value_bits), "line": unsigned(FIRST_BITS - lane_bits), "start": unsigned(lane_bits),
        "stop": unsigned(lane_bits), "further": unsigned(COUNT_BITS), "hint": unsigned(1), "last": unsigned(1),
        "dry": unsigned(1),
    })


class Kind:
    """Of a record: a piece, the contexts of the following rows, a chunk's beginning."""

    PIECE, REGIONS, CHUNK = range(3)


def record_layout(p: SpgemmParams) -> data.StructLayout:
    """`piece.value` is the logarithm of the contexts, or the chunk's id."""
    return data.StructLayout({"kind": unsigned(2), "piece": piece_layout(p)})


class EntryUnpack(wiring.Component):
    """Chunks' memory words to a record for each chunk's beginning and each entry. What a chunk's last word has behind
    its end is skipped.

    LATENCY cycles from a word to the record of its first entry; an entry a cycle, and one more cycle for a chunk.

    Attributes:
        chunks: which come next; `word` does not matter here. entries: their words, in the same order.
        records: some wait here. busy: a chunk has begun and not all of its records left.
    """

    LATENCY = 3
    WAITING = 8

    def __init__(self, params: SpgemmParams):
        self.params = params
        super().__init__({
            "chunks": In(stream.Signature(chunk_layout())),
            "entries": In(stream.Signature(params.axi_bits)),
            "records": Out(stream.Signature(record_layout(params))),
            "busy": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        p = self.params
        record = Signal(record_layout(p), reset_less=True)
        valid, advance = Signal(), Signal()
        m.submodules.waiting = waiting = SureFIFO(width=len(record.as_value()), depth=self.WAITING, margin=4)
        m.d.comb += [
            waiting.w_data.eq(record), waiting.w_en.eq(valid), advance.eq(waiting.room),
            self.records.payload.eq(waiting.r_data), self.records.valid.eq(waiting.r_rdy),
            waiting.r_en.eq(self.records.ready),
        ]  # fmt: skip

        entry_bits = 8 * p.element_bytes
        active, left = Signal(), Signal(32)  # entries of the chunk
        word, fill = Signal(p.axi_bits, reset_less=True), Signal(range(p.lanes + 1))
        some, ends, last_of_chunk = Signal(), Signal(), Signal(reset_less=True)  # fill is not 0; is 1
        begin, shift, load = Signal(), Signal(), Signal()
        m.d.comb += [
            begin.eq(advance & ~active & self.chunks.valid),
            self.chunks.ready.eq(advance & ~active),
            shift.eq(advance & active & some), load.eq(~some | (shift & (ends | last_of_chunk))),
            self.entries.ready.eq(load),
            self.busy.eq(active | valid | waiting.r_rdy),
        ]  # fmt: skip
        m.d.sync += valid.eq(begin | shift)
        with m.If(shift):
            m.d.sync += [word.eq(word >> entry_bits), fill.eq(fill - 1), left.eq(left - 1), last_of_chunk.eq(left == 2)]
            m.d.sync += [active.eq(~last_of_chunk), ends.eq(fill == 2)]
        with m.If(load):
            m.d.sync += [word.eq(self.entries.payload), fill.eq(p.lanes), some.eq(self.entries.valid), ends.eq(0)]
        with m.If(begin):
            entries = self.chunks.payload.entries
            m.d.sync += [left.eq(entries), last_of_chunk.eq(entries == 1), active.eq(entries != 0)]
        self._record(m, record, begin, advance, data.View(entry_layout(p), word[:entry_bits]))
        return m

    def _record(self, m, record, begin, advance, entry):
        p, piece = self.params, record.piece
        lane_bits = len(piece.start)
        low, count = entry.first[:lane_bits], entry.count
        empty, directs, is_long, end = Signal(), Signal(), Signal(), Signal(lane_bits + len(piece.further))
        m.d.comb += [
            empty.eq(count == 0), directs.eq(empty & ~entry.last), is_long.eq(count[lane_bits:].any()),
            end.eq(Mux(is_long, Cat(low, (count - (p.lanes - 1))[:COUNT_BITS]), low + count) - 1),
        ]  # fmt: skip
        with m.If(advance):
            m.d.sync += [
                record.kind.eq(Mux(begin, Kind.CHUNK, Mux(directs, Kind.REGIONS, Kind.PIECE))),
                piece.value.eq(Mux(begin, self.chunks.payload.id, Mux(directs, entry.says, entry.value))),
                piece.line.eq(entry.first[lane_bits:]),
                piece.start.eq(Mux(is_long, 0, low)),
                Cat(piece.stop, piece.further).eq(Mux(empty, 0, end)),
                piece.hint.eq(entry.hint), piece.last.eq(entry.last), piece.dry.eq(empty),
            ]  # fmt: skip
