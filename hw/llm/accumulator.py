"""Behind a chain: integer sums of a scale group, then scale and minimum into the 48-bit accumulators."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from golden.llm.numerics import EX_MAX
from golden.params import LlmParams

from .layouts import ROW_BITS, product_layout, side_layout, tile_layout

__all__ = ["Accumulator"]

PARTIAL_BITS = 27
"""A group's integer sum after the block shifts: the DSP48E2's A port. The compiler checks that it fits."""


class Accumulator(wiring.Component):
    """acc[row] = sum over groups of scale * sum over blocks of (product << shift) + minimum * input_sum, exact.

    Products of one group go to one of two banks while a walk scales the other: one row a cycle, twice with minima.
    Without `tile.scaled` the scale is 1. The first group of a tile overwrites acc.

    Attributes:
        product, side: from chain and decoder, no back-pressure. tile, start: constant / strobe before the tile.
        shift: block shift of each half of the activation buffer. input_sum: (sum of the group's q << shift) <<
            min_shift of each half, complete at the group's last block.
        block_free, group_free: strobes: a block's products are all in; a group is scaled.
        busy: a walk is under way or pending. row, acc: read port, combinational.
    """

    def __init__(self, params: LlmParams):
        self.params = params
        super().__init__({
            "product": In(product_layout()),
            "side": In(side_layout(params)),
            "tile": In(tile_layout()),
            "start": In(1),
            "shift": In(3).array(2),
            "input_sum": In(signed(PARTIAL_BITS)).array(2),
            "block_free": Out(1),
            "group_free": Out(1),
            "busy": Out(1),
            "row": In(ROW_BITS),
            "acc": Out(signed(48)),
        })

    def elaborate(self, platform):
        m = Module()
        depth = self.params.acc_depth
        planes = self.params.planes

        shifted = Signal(signed(20 + EX_MAX), reset_less=True)
        tags = Signal.like(self.product.tags, reset_less=True)
        valid = Signal()
        m.d.sync += [
            shifted.eq(self.product.sum << Mux(self.product.tags.half, self.shift[1], self.shift[0])),
            tags.eq(self.product.tags),
            valid.eq(self.product.tags.valid),
        ]
        m.d.comb += self.block_free.eq(valid & tags.block_last)

        sides = [Memory(shape=self.params.lane_bits, depth=2 * depth // planes, init=[]) for _ in range(2)]
        m.submodules.scales, m.submodules.minima = sides
        side_reads = []
        for kind, memory in enumerate(sides):
            write, read = memory.write_port(), memory.read_port(domain="comb")
            word_bits = (depth // planes).bit_length() - 1
            m.d.comb += [
                write.en.eq(self.side.valid & (self.side.minimum == kind)),
                write.addr.eq(Cat(self.side.word[:word_bits], self.side.bank)),
                write.data.eq(self.side.data),
            ]
            side_reads.append(read)

        walking, minima, first_group = Signal(), Signal(), Signal()
        bank, row = Signal(), Signal(ROW_BITS)
        input_sum = Signal(signed(PARTIAL_BITS), reset_less=True)
        sums = []
        for b in range(2):
            memory = Memory(shape=signed(PARTIAL_BITS), depth=depth, init=[])
            m.submodules[f"sums_{b}"] = memory
            write, read = memory.write_port(), memory.read_port(domain="comb")
            mine = valid & (tags.bank == b)
            m.d.comb += [
                read.addr.eq(Mux(mine, tags.row, row)),
                write.addr.eq(read.addr),
                write.en.eq(mine | (walking & (bank == b) & ~minima)),
                write.data.eq(Mux(mine, read.data + shifted, 0)),
            ]
            sums.append(read)

        last_row = row + 1 == self.tile.rows
        group_ends = valid & tags.group_last
        pending, pending_bank = Signal(), Signal()
        pending_sum = Signal(signed(PARTIAL_BITS), reset_less=True)
        with m.If(group_ends):
            m.d.sync += [
                pending.eq(1),
                pending_bank.eq(tags.bank),
                pending_sum.eq(Mux(tags.half, self.input_sum[1], self.input_sum[0])),
            ]
        finish = walking & last_row & (minima | ~self.tile.minimum)
        with m.If(walking):
            m.d.sync += row.eq(row + 1)
            with m.If(last_row):
                m.d.sync += [row.eq(0), minima.eq(1)]
        with m.If(finish):
            m.d.sync += [walking.eq(0), first_group.eq(0)]
        with m.If(pending & (~walking | finish)):
            m.d.sync += [walking.eq(1), minima.eq(0), row.eq(0), bank.eq(pending_bank), input_sum.eq(pending_sum)]
            with m.If(~group_ends):
                m.d.sync += pending.eq(0)
        with m.If(self.start):
            m.d.sync += first_group.eq(1)
        m.d.comb += self.group_free.eq(finish)

        w = [Signal(4, name=f"w{i}_flags") for i in range(3)]
        s0_factor = Signal(signed(PARTIAL_BITS), reset_less=True)
        s0_scale = Signal(signed(17), reset_less=True)
        s1_product = Signal(signed(PARTIAL_BITS + 17), reset_less=True)
        s2_product = Signal(signed(PARTIAL_BITS + 17), reset_less=True)
        rows = [Signal(ROW_BITS, name=f"w{i}_row", reset_less=True) for i in range(3)]
        halfwords = []
        for read in side_reads:
            m.d.comb += read.addr.eq(Cat(row[planes - 1 : (depth - 1).bit_length()], bank))
            halfwords.append(read.data if planes == 1 else read.data.word_select(row[0], 16))
        scale = Mux(self.tile.scaled, halfwords[0], 1)
        m.d.sync += [
            s0_factor.eq(Mux(minima, input_sum, Mux(bank, sums[1].data, sums[0].data))),
            s0_scale.eq(Mux(minima, Cat(halfwords[1], halfwords[1][-1]).as_signed(), scale)),
            w[0].eq(Cat(walking, first_group & ~minima)),
            rows[0].eq(row),
            s1_product.eq(s0_factor * s0_scale),
            s2_product.eq(s1_product),
        ]
        for i in (1, 2):
            m.d.sync += [w[i].eq(w[i - 1]), rows[i].eq(rows[i - 1])]

        m.submodules.accs = accs = Memory(shape=signed(48), depth=depth, init=[])
        write, read = accs.write_port(), accs.read_port(domain="comb")
        active, overwrite = w[2][0], w[2][1]
        m.d.comb += [
            read.addr.eq(Mux(active, rows[2], self.row)),
            write.addr.eq(rows[2]),
            write.en.eq(active),
            write.data.eq(Mux(overwrite, 0, read.data) + s2_product),
            self.acc.eq(read.data),
            self.busy.eq(valid | pending | walking | w[0][0] | w[1][0] | w[2][0]),
        ]
        return m
