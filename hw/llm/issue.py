"""Issues a bundle as passes: one or two output rows a cycle, the slots of the other rows masked to zero."""

from itertools import pairwise

from amaranth.hdl import Cat, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from golden.params import BLOCK, LlmParams

from .chain import SEGMENT
from .layouts import ROW_BITS, pass_layout
from .selector import RankSelect

__all__ = ["BundleIssue", "bundle_layout"]

SEGMENTS = BLOCK // SEGMENT


def bundle_layout() -> data.StructLayout:
    """16 slots and which rows they belong to: 2**size_log2 slots each, row `row` and `more` rows behind it.

    `row` is a multiple of the rows that fit. `high`: `weights` lie one bit too high; `empty`: they are zero instead.
    `bitmap`: positions come from the rows' bitmaps; `tail`: ranks 8..11 of them (N = 12), else ranks from 0.
    """
    return data.StructLayout({
        "weights": data.ArrayLayout(signed(8), BLOCK),
        "index": data.ArrayLayout(unsigned(4), BLOCK),
        "high": unsigned(1),
        "empty": unsigned(1),
        "size_log2": unsigned(3),
        "bitmap": unsigned(1),
        "tail": unsigned(1),
        "bitmap_bank": unsigned(1),
        "row": unsigned(ROW_BITS),
        "more": unsigned(4),
        "half": unsigned(1),
        "bank": unsigned(1),
        "block_last": unsigned(1),
        "group_last": unsigned(1),
        "tile_last": unsigned(1),
    })


class BundleIssue(wiring.Component):
    """LATENCY 4 from a pass's grant to the pass; one pass a cycle while `grant` is high.

    The first half of the slots belongs to the first half of the rows, so pass p has row p of each half: as many passes
    as rows of the first half, and one if a row has all slots. Bitmaps of a block of rows lie in one of two banks, so
    that the next block's may be written meanwhile.

    Attributes:
        filled: strobe: one more block of inputs is there; passes wait for theirs.
        bundle: ready/valid. bitmap_*: `planes` bitmaps a write.
        request: there is a pass to issue, from `half`, its block's last if `ends`; grant: it leaves in this cycle
            (ignored without request).
        passes: no back-pressure.
    """

    LATENCY = 4

    def __init__(self, params: LlmParams):
        self.params = params
        super().__init__({
            "filled": In(1),
            "bundle": In(stream.Signature(bundle_layout())),
            "bitmap_valid": In(1),
            "bitmap_bank": In(1),
            "bitmap_word": In(4),
            "bitmap_data": In(params.lane_bits),
            "request": Out(1),
            "half": Out(1),
            "ends": Out(1),
            "grant": In(1),
            "passes": Out(pass_layout()),
        })

    def elaborate(self, platform):
        m = Module()
        held = Signal(bundle_layout(), reset_less=True)
        occupied, next_occupied, issued, last = Signal(), Signal(), Signal(), Signal()
        number, left, half_rows = Signal(3), Signal(3), Signal(4)
        available, next_available, leaves = Signal(2), Signal(2), Signal()
        whole, second = Signal(), Signal()
        row, second_row = Signal(ROW_BITS), Signal(ROW_BITS)
        incoming = self.bundle.payload
        m.d.comb += [
            whole.eq(held.size_log2 == 4),
            half_rows.eq(SEGMENT >> held.size_log2),
            second.eq(~whole & ((number | half_rows) <= held.more)),
            row.eq(held.row | number),
            second_row.eq(row | half_rows),
            issued.eq(self.request & self.grant),
            self.half.eq(held.half),
            self.ends.eq(last & held.block_last),
            leaves.eq(issued & self.ends),
            self.bundle.ready.eq(~occupied | (issued & last)),
            next_occupied.eq(Mux(self.bundle.ready, self.bundle.valid, occupied)),
            next_available.eq(available + self.filled - leaves),
        ]
        m.d.sync += [
            occupied.eq(next_occupied),
            available.eq(next_available),
            self.request.eq(next_occupied & (next_available != 0)),
        ]
        behind = Signal(3)  # passes of an incoming bundle behind its first
        with m.Switch(incoming.size_log2):
            for size in range(SEGMENT.bit_length() - 1):
                top = 3 - size  # bit of `more`: there are rows of the second half
                with m.Case(size):
                    m.d.comb += behind.eq(incoming.more[:top] | incoming.more[top].replicate(top))
        with m.If(issued):
            m.d.sync += [number.eq(number + 1), left.eq(left - 1), last.eq(left == 1)]
        with m.If(self.bundle.ready & self.bundle.valid):
            m.d.sync += [held.eq(incoming), number.eq(0), left.eq(behind), last.eq(behind == 0)]
            with m.If(incoming.empty):
                m.d.sync += held.weights.as_value().eq(0)

        selects = []
        tail = Signal(reset_less=True)
        m.d.sync += tail.eq(held.tail)
        for segment, of_row in enumerate((row, second_row)):
            m.submodules[f"select_{segment}"] = select = RankSelect()
            bits = Signal(BLOCK, name=f"bits_{segment}", reset_less=True)
            m.d.sync += bits.eq(self._bitmap(m, segment, of_row, held.bitmap_bank))
            m.d.comb += [select.bitmap.eq(bits), select.tail.eq(tail)]
            selects.append(select)

        stages = 1 + RankSelect.LATENCY
        stage = [Signal(pass_layout(), name=f"s{i}_pass", reset_less=True) for i in range(stages)]
        kind = [Signal(2, name=f"s{i}_kind", reset_less=True) for i in range(stages)]
        valid = [Signal(name=f"s{i}_valid") for i in range(stages + 1)]
        tags = stage[0].tags
        m.d.sync += [
            stage[0].index.eq(held.index),
            tags.row.eq(row),
            tags.whole.eq(whole),
            tags.second.eq(second),
            tags.second_row.eq(second_row),
            tags.half.eq(held.half),
            tags.bank.eq(held.bank),
            *(getattr(tags, name).eq(getattr(held, name) & last) for name in ("block_last", "group_last", "tile_last")),
            kind[0].eq(Cat(whole, held.bitmap)),
            valid[0].eq(issued),
        ]
        for slot in range(BLOCK):
            mine = Signal(name=f"mine_{slot}")
            m.d.comb += mine.eq((slot % SEGMENT >> held.size_log2) == number)
            weight = held.weights[slot]
            m.d.sync += stage[0].weights[slot].eq(Mux(mine, Mux(held.high, weight >> 1, weight), 0))
        for i in range(1, stages):
            m.d.sync += [stage[i].eq(stage[i - 1]), kind[i].eq(kind[i - 1])]
        m.d.sync += [late.eq(early) for early, late in pairwise(valid)]

        out = Signal(pass_layout(), reset_less=True)
        is_whole, by_bitmap = kind[-1]
        m.d.sync += [out.weights.eq(stage[-1].weights), out.tags.eq(stage[-1].tags)]
        for slot in range(BLOCK):
            position = Signal(4, name=f"position_{slot}")
            m.d.comb += position.eq(stage[-1].index[slot])
            with m.If(is_whole):
                m.d.comb += position.eq(slot)
            with m.Elif(by_bitmap):
                m.d.comb += position.eq(selects[slot // SEGMENT].position[slot % SEGMENT])
            m.d.sync += out.index[slot].eq(position)
        m.d.comb += [self.passes.eq(out), self.passes.tags.valid.eq(valid[-1])]
        return m

    def _bitmap(self, m, port, row, bank):
        """The bitmap of `row`, read in the same cycle; a copy of the memory for each port."""
        planes = self.params.planes
        words, planes_log2 = BLOCK // planes, planes.bit_length() - 1
        memory = Memory(shape=self.params.lane_bits, depth=2 * words, init=[], attrs={"ram_style": "distributed"})
        m.submodules[f"bitmaps_{port}"] = memory
        write, read = memory.write_port(), memory.read_port(domain="comb")
        m.d.comb += [
            write.en.eq(self.bitmap_valid),
            write.data.eq(self.bitmap_data),
            write.addr.eq(Cat(self.bitmap_word[: (words - 1).bit_length()], self.bitmap_bank)),
            read.addr.eq(Cat(row[planes_log2:4], bank)),
        ]
        return read.data if planes == 1 else read.data.word_select(row[:planes_log2], BLOCK)
