"""Scale and minimum of every group into the 48-bit sums of a VPU's rows."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from golden.params import LlmParams

from .layouts import PAIR, PARTIAL_BITS, ROW_BITS, numbered_side_layout, product_layout, tile_layout
from .partial import GroupSums

__all__ = ["Accumulator"]

SUM_BITS = 48


class Accumulator(wiring.Component):
    """acc[row] = sum over groups of scale * sum over blocks of (product << shift) + minimum * input_sum, exact.

    While a group is summed, a walk scales the one before: a row and vector a cycle, twice with minima, two cycles at
    least. Without `tile.scaled` the scale is 1. The first group of a tile overwrites; the walk over the last one writes
    the results to a memory of their own and so waits until that is free (`out_free`).

    Attributes:
        product, side: from chain and decoder, no back-pressure. tile: constant. start: strobe before the tile.
            `vpu_rows / 2` cycles after a reset, group sums that an interrupted tile has left are gone.
        shift: see GroupSums. input_sum: (sum of the group's q << shift) << min_shift of each half of the activation
            buffer and each vector, complete at the group's last block.
        group_free: strobe: a group is scaled.
        busy: something is under way. out_row, out_vector, out: read port of the results, one cycle later.
    """

    def __init__(self, params: LlmParams):
        self.params = params
        super().__init__({
            "product": In(product_layout()),
            "side": In(numbered_side_layout(params)),
            "tile": In(tile_layout()),
            "start": In(1),
            "shift": In(data.ArrayLayout(data.ArrayLayout(3, PAIR), 2)),
            "input_sum": In(data.ArrayLayout(data.ArrayLayout(signed(PARTIAL_BITS), PAIR), 2)),
            "group_free": Out(1),
            "busy": Out(1),
            "out_free": In(1),
            "out_row": In(ROW_BITS),
            "out_vector": In(1),
            "out": Out(signed(SUM_BITS)),
        })

    def elaborate(self, platform):
        m = Module()
        p = self.params
        m.submodules.sums = sums = GroupSums(p)
        pending, pending_last, pending_bank = Signal(), Signal(), Signal()
        pending_sum = Signal(data.ArrayLayout(signed(PARTIAL_BITS), PAIR), reset_less=True)
        walking, minima, vector, sweeping = Signal(), Signal(), Signal(), Signal(init=1)
        first_group, last_group, bank = Signal(), Signal(), Signal()
        row, count = Signal(ROW_BITS + 1), Signal(ROW_BITS + 1)
        input_sum = Signal.like(pending_sum, reset_less=True)
        m.d.comb += [
            sums.product.eq(self.product),
            sums.shift.eq(self.shift),
            sums.read_bank.eq(bank),
            sums.read_vector.eq(vector),
            sums.read_row.eq(row),
            sums.clear.eq(walking & ~minima),
            sums.sweep.eq(sweeping),
            count.eq(Mux(self.tile.shared, self.tile.rows * p.mpu_vpus, self.tile.rows)),
        ]
        with m.If(sums.group_end):
            m.d.sync += [
                pending.eq(1),
                pending_bank.eq(sums.bank),
                pending_last.eq(sums.tile_last),
                pending_sum.eq(Mux(sums.half, self.input_sum[1], self.input_sum[0])),
            ]
        last_row = row + 1 >= Mux(count < 2, 2, count)
        last_of_pass = last_row & (vector | ~self.tile.shared)
        finish = walking & last_of_pass & (minima | ~self.tile.minimum)
        with m.If(walking):
            m.d.sync += row.eq(row + 1)
            with m.If(last_row):
                m.d.sync += [row.eq(0), vector.eq(self.tile.shared & ~vector)]
            with m.If(last_of_pass):
                m.d.sync += minima.eq(1)
        with m.If(finish):
            m.d.sync += [walking.eq(0), first_group.eq(0)]
        with m.If(pending & (~walking | finish) & (self.out_free | ~pending_last)):
            m.d.sync += [walking.eq(1), minima.eq(0), row.eq(0), vector.eq(0)]
            m.d.sync += [bank.eq(pending_bank), last_group.eq(pending_last), input_sum.eq(pending_sum)]
            with m.If(~sums.group_end):
                m.d.sync += pending.eq(0)
        with m.If(sweeping):
            m.d.sync += [row.eq(row + 2), sweeping.eq(row != p.vpu_rows - 2)]
        with m.If(self.start):
            m.d.sync += first_group.eq(1)
        m.d.comb += self.group_free.eq(finish)

        live = walking & (row < count)
        overwrite, final = first_group & ~minima, last_group & (minima | ~self.tile.minimum)
        flags, place = [Cat(live, overwrite, final)], [Cat(row[:ROW_BITS], vector)]
        for i in range(3):
            late = Signal(3, name=f"w{i}_flags")
            late_place = Signal(ROW_BITS + 1, name=f"w{i}_place", reset_less=True)
            m.d.sync += [late.eq(flags[-1]), late_place.eq(place[-1])]
            flags.append(late)
            place.append(late_place)
        product = self._product(m, sums, bank, minima, vector, row, input_sum)
        self._rows(m, flags, place, product)
        m.d.comb += self.busy.eq(sums.busy | pending | walking | Cat(*(f[0] for f in flags[1:])).any())
        return m

    def _product(self, m, sums, bank, minima, vector, row, input_sum):
        """Factor times scale, or sum of inputs times minimum, of `row`; 3 cycles later."""
        p = self.params
        lane_bits, word_bits = p.mpu_vpus.bit_length() - 1, (p.acc_depth // p.planes).bit_length() - 1
        of_lane = Signal(ROW_BITS)
        m.d.comb += of_lane.eq(Mux(self.tile.shared, row >> lane_bits, row))
        planes_log2 = p.planes.bit_length() - 1
        halfwords = []
        for kind, name in enumerate(("scales", "minima")):
            memory = Memory(shape=p.lane_bits, depth=2 * p.vpu_rows // p.planes, init=[])
            m.submodules[name] = memory
            write, read = memory.write_port(), memory.read_port(domain="comb")
            lane = (row & self.tile.shared.replicate(len(row)))[:lane_bits]
            m.d.comb += [
                write.en.eq(self.side.valid & (self.side.minimum == kind)),
                write.addr.eq(Cat(self.side.word[:word_bits], self.side.lane[:lane_bits], self.side.bank)),
                write.data.eq(self.side.data),
                read.addr.eq(Cat((of_lane >> planes_log2)[:word_bits], lane, bank)),
            ]
            halfwords.append(read.data if p.planes == 1 else read.data.word_select(of_lane[:planes_log2], 16))
        s0_factor = Signal(signed(PARTIAL_BITS), reset_less=True)
        s0_scale = Signal(signed(17), reset_less=True)
        s1_product = Signal(signed(PARTIAL_BITS + 17), reset_less=True)
        s2_product = Signal(signed(PARTIAL_BITS + 17), reset_less=True)
        scale = Mux(self.tile.scaled, halfwords[0], 1)
        m.d.sync += [
            s0_factor.eq(Mux(minima, Mux(vector, input_sum[1], input_sum[0]), sums.read_data)),
            s0_scale.eq(Mux(minima, Cat(halfwords[1], halfwords[1][-1]).as_signed(), scale)),
            s1_product.eq(s0_factor * s0_scale),
            s2_product.eq(s1_product),
        ]
        return s2_product

    def _rows(self, m, flags, place, product):
        """Add to the row's sum, read a cycle before; no row comes twice within two cycles."""
        p = self.params
        memories = {}
        for name in ("accs", "outs"):
            m.submodules[name] = memory = Memory(
                shape=signed(SUM_BITS), depth=PAIR * p.vpu_rows, init=[], attrs={"ram_style": "block"}
            )
            memories[name] = (memory.write_port(), memory.read_port())
        write, read = memories["accs"]
        write_out, read_out = memories["outs"]
        live, overwrite, final = flags[3]
        row_bits = (p.vpu_rows - 1).bit_length()

        def address(at):
            return Cat(at[:row_bits], at[ROW_BITS])

        m.d.comb += [
            read.addr.eq(address(place[2])),
            write.addr.eq(address(place[3])),
            write.data.eq(Mux(overwrite, 0, read.data) + product),
            write.en.eq(live),
            write_out.addr.eq(write.addr),
            write_out.data.eq(write.data),
            write_out.en.eq(live & final),
            read_out.addr.eq(Cat(self.out_row[:row_bits], self.out_vector)),
            self.out.eq(read_out.data),
        ]
