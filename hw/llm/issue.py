"""Issues a bundle as passes: one output row a cycle, the slots of the other rows masked to zero."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from golden.params import BLOCK, LlmParams

from .layouts import ROW_BITS, pass_layout
from .selector import RankSelect

__all__ = ["BundleIssue", "bundle_layout"]


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
    })


class BundleIssue(wiring.Component):
    """LATENCY 4 from the bundle's handshake to its first pass, one pass a cycle, `count` passes a bundle.

    Bitmaps of a block of rows lie in one of two banks, so that the next block's may be written meanwhile.

    Attributes:
        bundle: ready/valid. bitmap_*: `planes` bitmaps a write.
        passes: no back-pressure. busy: passes are still to come out.
    """

    LATENCY = 4

    def __init__(self, params: LlmParams):
        self.params = params
        super().__init__({
            "bundle": In(stream.Signature(bundle_layout())),
            "bitmap_valid": In(1),
            "bitmap_bank": In(1),
            "bitmap_word": In(4),
            "bitmap_data": In(params.lane_bits),
            "passes": Out(pass_layout()),
            "busy": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        planes = self.params.planes
        words = BLOCK // planes
        m.submodules.bitmaps = bitmaps = Memory(shape=self.params.lane_bits, depth=2 * words, init=[])
        write, read = bitmaps.write_port(), bitmaps.read_port(domain="comb")
        m.d.comb += [
            write.en.eq(self.bitmap_valid),
            write.data.eq(self.bitmap_data),
            write.addr.eq(Cat(self.bitmap_word[: (words - 1).bit_length()], self.bitmap_bank)),
        ]

        held = Signal(bundle_layout(), reset_less=True)
        occupied = Signal()
        k = Signal(4)
        last = Signal()
        m.d.comb += [last.eq(k + 1 == held.count), self.bundle.ready.eq(~occupied | last)]
        with m.If(occupied):
            m.d.sync += k.eq(Mux(last, 0, k + 1))
        with m.If(self.bundle.ready):
            m.d.sync += occupied.eq(self.bundle.valid)
        with m.If(self.bundle.ready & self.bundle.valid):
            m.d.sync += held.eq(self.bundle.payload)

        row = Signal(ROW_BITS)
        m.d.comb += row.eq(held.row + k)
        if planes == 1:
            bitmap = read.data
            m.d.comb += read.addr.eq(Cat(row[:4], held.bitmap_bank))
        else:
            bitmap = read.data.word_select(row[0], BLOCK)
            m.d.comb += read.addr.eq(Cat(row[1:4], held.bitmap_bank))

        m.submodules.select = select = RankSelect()
        stage = [Signal(pass_layout(), name=f"s{i}_pass", reset_less=True) for i in range(3)]
        size = [Signal(3, name=f"s{i}_size", reset_less=True) for i in range(3)]
        by_bitmap = [Signal(2, name=f"s{i}_bitmap", reset_less=True) for i in range(3)]
        valid = [Signal(name=f"s{i}_valid") for i in range(4)]
        bits = Signal(BLOCK, reset_less=True)
        m.d.sync += [
            bits.eq(bitmap),
            stage[0].index.eq(held.index),
            stage[0].tags.row.eq(row),
            stage[0].tags.half.eq(held.half),
            stage[0].tags.bank.eq(held.bank),
            stage[0].tags.block_last.eq(held.block_last & last),
            stage[0].tags.group_last.eq(held.group_last & last),
            size[0].eq(held.size_log2),
            by_bitmap[0].eq(Cat(held.bitmap, held.tail)),
            valid[0].eq(occupied),
        ]
        for slot in range(BLOCK):
            mine = Signal(name=f"mine_{slot}")
            m.d.comb += mine.eq((slot >> held.size_log2) == k)
            m.d.sync += stage[0].weights[slot].eq(Mux(mine, held.weights[slot], 0))
        m.d.comb += select.bitmap.eq(bits)
        for i in (1, 2):
            m.d.sync += [
                stage[i].eq(stage[i - 1]),
                size[i].eq(size[i - 1]),
                by_bitmap[i].eq(by_bitmap[i - 1]),
            ]
        for i in (1, 2, 3):
            m.d.sync += valid[i].eq(valid[i - 1])

        out = Signal(pass_layout(), reset_less=True)
        m.d.sync += [out.weights.eq(stage[2].weights), out.tags.eq(stage[2].tags)]
        for slot in range(BLOCK):
            position = Signal(4, name=f"position_{slot}")
            m.d.comb += position.eq(stage[2].index[slot])
            with m.If(size[2] == 4):
                m.d.comb += position.eq(slot)
            with m.Elif(by_bitmap[2][0]):
                m.d.comb += position.eq(Mux(by_bitmap[2][1], select.position[8 + slot % 4], select.position[slot % 8]))
            m.d.sync += out.index[slot].eq(position)
        m.d.comb += [self.passes.eq(out), self.passes.tags.valid.eq(valid[3])]
        m.d.comb += self.busy.eq(occupied | valid[0] | valid[1] | valid[2] | valid[3])
        return m
