"""ST unit: vectors to memory, and the KV cache's in-place append."""

import functools

from amaranth.hdl import Cat, Const, Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from golden.params import BLOCK, LlmParams
from hw.fabric.answers import AnswerWatch
from hw.fabric.axi import ADDRESS_BITS, beat_layout

from .layouts import block_layout

__all__ = ["StoreUnit", "store_layout"]


@functools.cache
def store_layout(params: LlmParams) -> data.StructLayout:
    """An ST instruction, operands resolved; STK: `n` is the first token, `count` the numbers of each."""
    return data.StructLayout({
        "cache": unsigned(1), "a": unsigned(32), "b": unsigned(32), "n": unsigned(32),
        "count": unsigned(16), "value": unsigned(1), "rows": unsigned(7), "blocks": unsigned(10),
        "repeat": unsigned(4), "stride_b": unsigned(12),
    })


class StoreUnit(wiring.Component):
    """STV writes a row a beat, every 3 cycles. STK writes what of a block of 16 of every token lies in a beat: a cycle
    a token and one more, another one for a block's first, two for the instruction's.

    For K that is a token's lane (a block lies in one lane), for V a byte of up to 16 lanes (golden: `kv_offsets`).
    `rows` and `blocks` are powers of two, `count` is a multiple of 16, all tokens lie in the same words. N = 0, or
    `count` = 0, stores nothing. An instruction has finished when all its writes are answered; the next one writes
    meanwhile.

    Attributes:
        finished: strobe: the oldest instruction has. busy: there is one.
        channels, vector: beats for the writers. answered: a response, by channel, then of the vector channel.
        bases, base: see LoadUnit.
        read_row, read_data, read_grant: global buffer; granted when the vector unit does not read.
        peek_block, peek_data: quantised blocks, one cycle later.
    """

    OVERLAP = 5
    """Instructions at once."""

    def __init__(self, params: LlmParams):
        self.params = p = params
        super().__init__({
            "command": In(stream.Signature(store_layout(p))),
            "finished": Out(1),
            "channels": Out(stream.Signature(beat_layout(p.axi_bits))).array(p.channels),
            "bases": In(ADDRESS_BITS).array(p.channels),
            "vector": Out(stream.Signature(beat_layout(p.axi_bits))),
            "base": In(ADDRESS_BITS),
            "answered": In(p.channels + 1),
            "read_row": Out(range(p.vmem_rows)),
            "read_data": In(p.sfu_lanes * 32),
            "read_grant": In(1),
            "peek_block": Out(range(p.xbuf_blocks)),
            "peek_data": In(block_layout()).array(p.ksplit),
            "busy": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        p = self.params
        held = Signal(store_layout(p), reset_less=True)  # a, b, n, count: of what is left
        source = Signal(range(p.xbuf_blocks), reset_less=True)
        token = Signal(range(max(p.row_groups, p.ksplit * BLOCK)), reset_less=True)
        step = Signal(4)
        index = Signal(max(p.row_groups, p.ksplit * BLOCK).bit_length() - 1, reset_less=True)  # STK: of the element
        bundle = Signal(28, reset_less=True)
        data, strobes = Signal(p.axi_bits, reset_less=True), Signal(p.beat_bytes, reset_less=True)
        m.submodules.watch = watch = AnswerWatch(p.channels + 1, self.OVERLAP - 1)
        writers = [*self.channels, self.vector]
        m.d.comb += [
            self.busy.eq(1),
            watch.sent.eq(Cat(*(writer.valid & writer.ready for writer in writers))),
            watch.answered.eq(self.answered),
            self.finished.eq(watch.finished),
            self.read_row.eq(held.b),
            self.peek_block.eq(source),
            *(writer.payload.data.eq(data) for writer in writers),
            *(writer.payload.strobe.eq(strobes) for writer in writers),
        ]
        row_strobes, last_row = self._row(m, held)
        row_mask = Signal(7, reset_less=True)
        m.d.sync += row_mask.eq(held.rows - 1)
        shifted_once, shifted_twice, jump = self._first_bundle(m, held, bundle, row_mask)
        offset, channel = self._place(held.value, token, index, bundle)
        cache_data, cache_strobes = self._beat(m, held.value, index, offset)
        through, block_ends, columns_end, rows_end = self._progress(held, index)
        row_last = Signal(reset_less=True)
        m.d.sync += row_last.eq((bundle[:7] | ~row_mask).all())
        low = (p.beat_bytes - 1).bit_length()
        target, port = Signal(32, reset_less=True), Signal(range(max(2, p.channels)), reset_less=True)
        for c, stream_out in enumerate(self.channels):
            m.d.comb += stream_out.payload.address.eq(self.bases[c] + Cat(Const(0, low), target[low:]))
        accepted = Signal()
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += [self.command.ready.eq(1), self.busy.eq(watch.busy)]
                with m.If(self.command.valid):
                    m.d.sync += [held.eq(self.command.payload), source.eq(self.command.payload.b),
                                 token.eq(self.command.payload.n)]
                    m.next = "CLOSE"
                    with m.If(self.command.payload.cache & (self.command.payload.count != 0)):
                        m.next = "SHIFT"
                    with m.If(~self.command.payload.cache & (self.command.payload.n != 0)):
                        m.next = "READ"
            with m.State("READ"):
                with m.If(self.read_grant):
                    m.next = "CAPTURE"
            with m.State("CAPTURE"):
                m.d.sync += [data.eq(self.read_data.replicate(p.axi_bits // len(self.read_data))),
                             strobes.eq(row_strobes)]
                m.next = "WRITE"
            with m.State("WRITE"):
                m.d.comb += self.vector.valid.eq(1)
                with m.If(self.vector.ready):
                    m.d.sync += [held.a.eq(held.a + p.sfu_lanes * 4), held.b.eq(held.b + 1),
                                 held.n.eq(held.n - p.sfu_lanes)]
                    m.next = "READ"
                    with m.If(last_row):
                        m.next = "CLOSE"
            with m.State("SHIFT"):
                m.d.sync += [index.eq(0), bundle.eq(shifted_once)]
                m.next = "PLACE"
            with m.State("PLACE"):
                m.d.sync += [bundle.eq(shifted_twice), source.eq(source + held.stride_b)]
                m.next = "SPREAD"
            with m.State("PEEK"):
                m.d.sync += source.eq(source + held.stride_b)
                m.next = "SPREAD"
            with m.State("SPREAD"):
                m.d.sync += [
                    strobes.eq(cache_strobes | Mux(step == 0, 0, strobes)),
                    target.eq(held.a + offset), port.eq(channel),
                    source.eq(source + held.stride_b), token.eq(token + 1), step.eq(step + 1),
                ]
                for k in range(p.beat_bytes):
                    with m.If(cache_strobes[k]):
                        m.d.sync += data.word_select(k, 8).eq(cache_data.word_select(k, 8))
                with m.If(step == held.repeat):
                    m.d.sync += [source.eq(held.b), token.eq(held.n), step.eq(0)]
                    m.next = "PUT"
            with m.State("PUT"):
                for c, stream_out in enumerate(self.channels):
                    with m.If(port == c):
                        m.d.comb += [stream_out.valid.eq(1), accepted.eq(stream_out.ready)]
                with m.If(accepted):
                    m.d.sync += [index.eq(through + 1), source.eq(source + held.stride_b)]
                    m.next = "SPREAD"
                    with m.If(block_ends):
                        m.d.sync += [held.count.eq(held.count - BLOCK), source.eq(source + columns_end)]
                        m.next = "PEEK"
                        with m.If(held.count[4:] == 1):
                            m.next = "CLOSE"
                    with m.If(columns_end):
                        m.d.sync += held.b.eq(held.b + 1)
                    with m.If(Mux(held.value, rows_end, columns_end)):
                        m.d.sync += bundle.eq(bundle + Mux(held.value, Mux(row_last, jump, 1), held.rows))
            with m.State("CLOSE"):
                m.d.comb += watch.close.eq(watch.room)
                with m.If(watch.room):
                    m.next = "IDLE"
        return m

    def _row(self, m, held):
        """(strobes, whether it is the last) of STV's row, a cycle after `held`."""
        p = self.params
        row_bytes, low = p.sfu_lanes * 4, (p.beat_bytes - 1).bit_length()
        address = Signal(ADDRESS_BITS)
        live, last = Signal(p.sfu_lanes, reset_less=True), Signal(reset_less=True)
        place, words = Signal(low, reset_less=True), Signal(p.sfu_lanes)
        m.d.comb += [
            address.eq(self.base + held.a),
            self.vector.payload.address.eq(Cat(Const(0, low), address[low:])),
            words.eq(live << place[2 : (row_bytes - 1).bit_length()]),
        ]
        m.d.sync += [
            place.eq(address),
            live.eq(Cat(*(held.n > k for k in range(p.sfu_lanes)))),
            last.eq(held.n <= p.sfu_lanes),
        ]
        return Cat(*(word.replicate(4) for word in words)) << (place & ~(row_bytes - 1))[:low], last

    def _first_bundle(self, m, held, bundle, row_mask):
        """STK's first bundle in two steps, and how far the first row of the next tile lies behind a tile's last row.

        In a lane the bundle is `(chain_row // rows * blocks + block) * rows + chain_row % rows`.
        """
        p = self.params
        rows_log2, shift = self._log2(held.rows), Signal(4, reset_less=True)
        jump, row_in = Signal(16, reset_less=True), Signal(7)
        block, chain_row = held.n >> 3 + p.ksplit.bit_length(), held.n >> p.row_groups.bit_length() - 1
        m.d.comb += row_in.eq(Mux(held.value, 0, chain_row & row_mask))
        m.d.sync += [
            shift.eq(rows_log2 + Mux(held.value, 0, self._log2(held.blocks))),
            jump.eq((held.blocks << rows_log2) - held.rows + 1),
        ]
        return Mux(held.value, block, chain_row >> rows_log2), bundle << shift | row_in, jump

    def _place(self, value, token, index, bundle):
        """(byte offset in the image, channel) of STK's element: golden.llm.stream.kv_offsets."""
        p = self.params
        group = Mux(value, index, token)[: p.row_groups.bit_length() - 1]
        place = Mux(value, token, index)[: 3 + p.ksplit.bit_length()]
        byte, lane = Cat(place[:4], bundle), Cat(group, place[4:])
        lane_shift, lanes_log2 = (p.lane_bits // 8).bit_length() - 1, p.lanes_per_channel.bit_length() - 1
        return Cat(byte[:lane_shift], lane[:lanes_log2], byte[lane_shift:]), lane[lanes_log2:]

    @property
    def _lanes_a_beat(self):
        """Elements of a V block that lie in one beat: one a lane."""
        return min(BLOCK, self.params.lanes_per_beat, self.params.row_groups)

    def _progress(self, held, index):
        """Index of the beat's last element of STK; it is the last of a block, of a block of every column, of a row of
        every row group."""
        p = self.params
        through = index | Mux(held.value, self._lanes_a_beat - 1, p.lane_bits // 8 - 1)
        return through, *(through[: count.bit_length() - 1].all() for count in (BLOCK, BLOCK * p.ksplit, p.row_groups))

    def _beat(self, m, value, index, offset):
        """(data, strobes) of a token's part of STK's beat from element `index` on."""
        p = self.params
        lane_bytes, lanes = p.lane_bits // 8, self._lanes_a_beat
        block = Signal(BLOCK * 8)
        with m.Switch(index[4 : 3 + p.ksplit.bit_length()]):
            for c in range(p.ksplit):
                with m.Case(c):
                    m.d.comb += block.eq(self.peek_data[c].q)
        of_lanes = block.word_select(index[lanes.bit_length() - 1 : 4], 8 * lanes) if lanes < BLOCK else block
        bytes_of_lanes = [of_lanes.word_select(lane % lanes, 8) for lane in range(p.lanes_per_beat)]
        spread = Cat(*(byte.replicate(lane_bytes) for byte in bytes_of_lanes))
        word = block.word_select(index[lane_bytes.bit_length() - 1 : 4], p.lane_bits)
        first_bytes = sum(1 << lane * lane_bytes for lane in range(lanes))
        return (
            Mux(value, spread, word.replicate(p.lanes_per_beat)),
            Mux(value, first_bytes, (1 << lane_bytes) - 1) << offset[: (p.beat_bytes - 1).bit_length()],
        )

    @staticmethod
    def _log2(value):
        """Of a power of two."""
        bits = range((len(value) - 1).bit_length())
        return Cat(*(Cat(*(value[n] for n in range(len(value)) if n >> bit & 1)).any() for bit in bits))
