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
    """16 slots and which rows they belong to: `count` rows of 2**size_log2 slots from row `row` on.

    `bitmap`: positions come from the rows' bitmaps; `tail`: ranks 8..11 of them (N = 12), else ranks from 0.
    """
    return data.StructLayout({
        "weights": data.ArrayLayout(signed(8), BLOCK),
        "index": data.ArrayLayout(unsigned(4), BLOCK),
        "size_log2": unsigned(3),
        "bitmap": unsigned(1),
        "tail": unsigned(1),
        "bitmap_bank": unsigned(1),
        "row": unsigned(ROW_BITS),
        "count": unsigned(5),
        "half": unsigned(1),
        "bank": unsigned(1),
        "block_last": unsigned(1),
        "group_last": unsigned(1),
        "tile_last": unsigned(1),
    })


class BundleIssue(wiring.Component):
    """LATENCY 4 from a pass's grant to the pass; one pass a cycle while `grant` is high.

    The first half of the slots belongs to the first half of the rows, so pass p has row p of each half: min(count, rows
    that fit half the slots) passes a bundle, and one if a row has all slots. Bitmaps of a block of rows lie in one of
    two banks, so that the next block's may be written meanwhile.

    Attributes:
        start: strobe before a tile. filled: strobe: one more block of inputs is there; passes wait for theirs.
        bundle: ready/valid. bitmap_*: `planes` bitmaps a write.
        request: there is a pass to issue, from `half`, its block's last if `ends`; grant: it leaves in this cycle
            (ignored without request).
        passes: no back-pressure. busy: passes are still to come out.
    """

    LATENCY = 4

    def __init__(self, params: LlmParams):
        self.params = params
        super().__init__({
            "start": In(1),
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
            "busy": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        held = Signal(bundle_layout(), reset_less=True)
        occupied, issued, last = Signal(), Signal(), Signal()
        number, half_rows = Signal(3), Signal(4)
        available, leaves = Signal(2), Signal()
        whole, second = Signal(), Signal()
        row, second_row = Signal(ROW_BITS), Signal(ROW_BITS)
        m.d.comb += [
            whole.eq(held.size_log2 == 4),
            half_rows.eq(SEGMENT >> held.size_log2),
            second.eq(~whole & (number + half_rows < held.count)),
            last.eq(whole | (number + 1 == Mux(held.count < half_rows, held.count, half_rows))),
            row.eq(held.row + number),
            second_row.eq(row + half_rows),
            self.request.eq(occupied & (available != 0)),
            issued.eq(self.request & self.grant),
            self.half.eq(held.half),
            self.ends.eq(last & held.block_last),
            leaves.eq(issued & self.ends),
            self.bundle.ready.eq(~occupied | (issued & last)),
        ]
        m.d.sync += available.eq(available + self.filled - leaves)
        with m.If(self.start):
            m.d.sync += available.eq(0)
        with m.If(issued):
            m.d.sync += number.eq(Mux(last, 0, number + 1))
        with m.If(self.bundle.ready):
            m.d.sync += occupied.eq(self.bundle.valid)
        with m.If(self.bundle.ready & self.bundle.valid):
            m.d.sync += held.eq(self.bundle.payload)

        selects = []
        for segment, of_row in enumerate((row, second_row)):
            m.submodules[f"select_{segment}"] = select = RankSelect()
            bits = Signal(BLOCK, name=f"bits_{segment}", reset_less=True)
            m.d.sync += bits.eq(self._bitmap(m, segment, of_row, held.bitmap_bank))
            m.d.comb += select.bitmap.eq(bits)
            selects.append(select)

        stages = 1 + RankSelect.LATENCY
        stage = [Signal(pass_layout(), name=f"s{i}_pass", reset_less=True) for i in range(stages)]
        kind = [Signal(3, name=f"s{i}_kind", reset_less=True) for i in range(stages)]
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
            kind[0].eq(Cat(whole, held.bitmap, held.tail)),
            valid[0].eq(issued),
        ]
        for slot in range(BLOCK):
            mine = Signal(name=f"mine_{slot}")
            m.d.comb += mine.eq((slot % SEGMENT >> held.size_log2) == number)
            m.d.sync += stage[0].weights[slot].eq(Mux(mine, held.weights[slot], 0))
        for i in range(1, stages):
            m.d.sync += [stage[i].eq(stage[i - 1]), kind[i].eq(kind[i - 1])]
        m.d.sync += [late.eq(early) for early, late in pairwise(valid)]

        out = Signal(pass_layout(), reset_less=True)
        is_whole, by_bitmap, is_tail = kind[-1]
        m.d.sync += [out.weights.eq(stage[-1].weights), out.tags.eq(stage[-1].tags)]
        for slot in range(BLOCK):
            ranks = selects[slot // SEGMENT].position
            position = Signal(4, name=f"position_{slot}")
            m.d.comb += position.eq(stage[-1].index[slot])
            with m.If(is_whole):
                m.d.comb += position.eq(slot)
            with m.Elif(by_bitmap):
                m.d.comb += position.eq(Mux(is_tail, ranks[8 + slot % 4], ranks[slot % SEGMENT]))
            m.d.sync += out.index[slot].eq(position)
        m.d.comb += [self.passes.eq(out), self.passes.tags.valid.eq(valid[-1])]
        m.d.comb += self.busy.eq(occupied | Cat(*valid).any())
        return m

    def _bitmap(self, m, port, row, bank):
        """The bitmap of `row`, read in the same cycle; a copy of the memory for each port."""
        planes = self.params.planes
        words = BLOCK // planes
        memory = Memory(shape=self.params.lane_bits, depth=2 * words, init=[], attrs={"ram_style": "distributed"})
        m.submodules[f"bitmaps_{port}"] = memory
        write, read = memory.write_port(), memory.read_port(domain="comb")
        m.d.comb += [
            write.en.eq(self.bitmap_valid),
            write.data.eq(self.bitmap_data),
            write.addr.eq(Cat(self.bitmap_word[: (words - 1).bit_length()], self.bitmap_bank)),
            read.addr.eq(Cat(row[planes - 1 : 4], bank)),
        ]
        return read.data if planes == 1 else read.data.word_select(row[0], BLOCK)
