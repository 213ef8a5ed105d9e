"""Scale and minimum of every group into the 48-bit sums of a VPU's rows."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from golden.params import LlmParams
from hw.fabric.pipeline import strobes

from .layouts import PAIR, PARTIAL_BITS, ROW_BITS, numbered_side_layout, product_layout, tile_layout
from .partial import GroupSums

__all__ = ["Accumulator"]

SUM_BITS = 48


def _walk_layout() -> data.StructLayout:
    """What a walk needs to know of its tile; `count`: rows."""
    return data.StructLayout({"count": unsigned(ROW_BITS + 1), "scaled": unsigned(1), "minimum": unsigned(1)})


class Accumulator(wiring.Component):
    """acc[row] = sum over groups of scale * sum over blocks of (product << shift) + minimum * input_sum, exact.

    While a group is summed, a walk scales the one before: a row and vector a cycle, twice with minima, two cycles at
    least. Without `tile.scaled` the scale is 1. The first group of a tile overwrites; the walk over the last one writes
    the results to a memory of their own and so waits until those of the tile before have been read.

    Attributes:
        product, side: from chain and decoder, no back-pressure.
            `vpu_rows / 2` cycles after a reset, group sums that an interrupted tile has left are gone.
        tile, start: a tile, with the strobe before its first product; of two at most the results are not ready and
            taken. `tile.shared`: of all that are under way.
        shift: see GroupSums. input_sum: (sum of the group's q << shift) << min_shift of each half of the activation
            buffer and each vector, complete at the group's last block.
        group_free: strobe: a group is scaled.
        out_ready: from the cycle before the last result is written until `out_taken`, a strobe: they are being read.
        out_free: low while they are, from the cycle after `out_taken`.
        out_row, out_vector, out: read port of the results, one cycle later.
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
            "out_ready": Out(1),
            "out_taken": In(1),
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
        first_group, last_group, bank = Signal(), Signal(init=1), Signal()
        waiting, full = Signal(), Signal()  # the last walk of a tile waits, its results are there
        row = Signal(ROW_BITS + 1)
        input_sum = Signal.like(pending_sum, reset_less=True)
        tile = Signal(_walk_layout(), reset_less=True)
        next_tile, next_is_last = self._tiles(m)
        m.d.comb += [
            sums.product.eq(self.product),
            sums.shift.eq(self.shift),
            sums.read_bank.eq(bank),
            sums.read_vector.eq(vector),
            sums.read_row.eq(row),
            sums.clear.eq(walking & ~minima),
            sums.sweep.eq(sweeping),
        ]
        with m.If(sums.group_end):
            m.d.sync += [
                pending.eq(1),
                pending_bank.eq(sums.bank),
                pending_last.eq(sums.tile_last),
                pending_sum.eq(Mux(sums.half, self.input_sum[1], self.input_sum[0])),
            ]
        last_row = row + 1 >= Mux(tile.count < 2, 2, tile.count)
        last_of_pass = last_row & (vector | ~self.tile.shared)
        finish = walking & last_of_pass & (minima | ~tile.minimum)
        with m.If(walking):
            m.d.sync += row.eq(row + 1)
            with m.If(last_row):
                m.d.sync += [row.eq(0), vector.eq(self.tile.shared & ~vector)]
            with m.If(last_of_pass):
                m.d.sync += minima.eq(1)
        load, blocked = Signal(), Signal()
        m.d.comb += [
            load.eq(pending & Mux(walking, finish, ~waiting)),
            blocked.eq(full | ~self.out_free),
            next_is_last.eq(load & pending_last),
        ]
        with m.If(self.out_taken):
            m.d.sync += full.eq(0)
        with m.If(finish):
            m.d.sync += walking.eq(0)
        with m.If(waiting & ~blocked):
            m.d.sync += [waiting.eq(0), walking.eq(1), full.eq(1)]
        with m.If(load):
            m.d.sync += [minima.eq(0), row.eq(0), vector.eq(0), tile.eq(next_tile)]
            m.d.sync += [bank.eq(pending_bank), input_sum.eq(pending_sum)]
            m.d.sync += [first_group.eq(last_group), last_group.eq(pending_last)]
            m.d.sync += [walking.eq(~(pending_last & blocked)), waiting.eq(pending_last & blocked)]
            with m.If(pending_last & ~blocked):
                m.d.sync += full.eq(1)
            with m.If(~sums.group_end):
                m.d.sync += pending.eq(0)
        with m.If(strobes(m, finish & last_group, 2, "written")[-1]):
            m.d.sync += self.out_ready.eq(1)
        with m.Elif(self.out_taken):
            m.d.sync += self.out_ready.eq(0)
        with m.If(sweeping):
            m.d.sync += [row.eq(row + 2), sweeping.eq(row != p.vpu_rows - 2)]
        m.d.comb += self.group_free.eq(finish)

        live = walking & (row < tile.count)
        overwrite, final = first_group & ~minima, last_group & (minima | ~tile.minimum)
        flags, place = [Cat(live, overwrite, final)], [Cat(row[:ROW_BITS], vector)]
        for i in range(3):
            late = Signal(3, name=f"w{i}_flags")
            late_place = Signal(ROW_BITS + 1, name=f"w{i}_place", reset_less=True)
            m.d.sync += [late.eq(flags[-1]), late_place.eq(place[-1])]
            flags.append(late)
            place.append(late_place)
        product = self._product(m, sums, tile.scaled, bank, minima, vector, row, input_sum)
        self._rows(m, flags, place, product)
        return m

    def _tiles(self, m):
        """(fields of the tile whose groups are next, signal to set when the last one is taken); at most two tiles."""
        tiles = [Signal(_walk_layout(), name=f"tile_{phase}", reset_less=True) for phase in range(2)]
        starting, ending, ended = Signal(), Signal(), Signal()
        m.d.sync += ending.eq(ending ^ ended)
        with m.If(self.start):
            m.d.sync += starting.eq(~starting)
        for phase, tile in enumerate(tiles):
            with m.If(self.start & (starting == phase)):
                m.d.sync += [
                    tile.count.eq(Mux(self.tile.shared, self.tile.rows * self.params.mpu_vpus, self.tile.rows)),
                    tile.scaled.eq(self.tile.scaled),
                    tile.minimum.eq(self.tile.minimum),
                ]
        return Mux(ending, tiles[1], tiles[0]), ended

    def _product(self, m, sums, scaled, bank, minima, vector, row, input_sum):
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
        scale = Mux(scaled, halfwords[0], 1)
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
