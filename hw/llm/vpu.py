"""VPU: one lane of the matrix engine: dequantiser, CSD-chain, accumulators."""

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from golden.params import LlmParams

from .accumulator import PARTIAL_BITS, Accumulator
from .chain import CsdChain, fill_layout
from .decoder import LaneDecoder
from .layouts import ROW_BITS, lane_layout, tile_layout

__all__ = ["Vpu"]


class Vpu(wiring.Component):
    """Consumes its lane's part of a tile; leaves `tile.rows` exact sums to be read at `row` / `acc`.

    Inputs are registered (they fan out to all VPUs) and no output depends on an input in the same cycle: `acc` follows
    `row` by READ_LATENCY. `lane_room` falls while the FIFO still takes SLACK words, which may be under way.

    Attributes:
        lane: buffered `fifo_depth` words deep.
        room: the activation buffer can take one more block (two halves).
        fill, filled, shift, input_sum: from the column's feeder. Others: see the parts.
    """

    READ_LATENCY = 2
    SLACK = 6

    def __init__(self, params: LlmParams):
        self.params = params
        super().__init__({
            "lane": In(lane_layout(params)),
            "lane_room": Out(1),
            "tile": In(tile_layout()),
            "start": In(1),
            "fill": In(fill_layout()),
            "filled": In(1),
            "shift": In(3).array(2),
            "input_sum": In(signed(PARTIAL_BITS)).array(2),
            "room": Out(1),
            "header": Out(1),
            "exponent": Out(signed(10)),
            "min_shift": Out(3),
            "busy": Out(1),
            "error": Out(1),
            "row": In(ROW_BITS),
            "acc": Out(signed(48)),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.decoder = decoder = LaneDecoder(self.params)
        m.submodules.chain = chain = CsdChain()
        m.submodules.accumulator = acc = Accumulator(self.params)
        depth = self.params.fifo_depth
        m.submodules.fifo = fifo = SyncFIFOBuffered(width=self.params.lane_bits, depth=depth)
        m.d.sync += self.lane_room.eq(fifo.level <= depth - self.SLACK)
        m.d.comb += [fifo.w_data.eq(self.lane.data), fifo.w_en.eq(self.lane.valid)]
        wiring.connect(m, fifo.r_stream, decoder.lane)

        start, filled = Signal(), Signal()
        tile, fill = Signal(tile_layout(), reset_less=True), Signal(fill_layout())
        shift = [Signal(3, name=f"shift_{i}", reset_less=True) for i in range(2)]
        input_sum = [Signal(signed(PARTIAL_BITS), name=f"input_sum_{i}", reset_less=True) for i in range(2)]
        row = Signal(ROW_BITS, reset_less=True)
        m.d.sync += [
            start.eq(self.start),
            filled.eq(self.filled),
            tile.eq(self.tile),
            fill.eq(self.fill),
            *(shift[i].eq(self.shift[i]) for i in range(2)),
            *(input_sum[i].eq(self.input_sum[i]) for i in range(2)),
            row.eq(self.row),
            self.acc.eq(acc.acc),
        ]
        in_flight = Signal(range(CsdChain.LATENCY + 8))
        held = Signal(2)
        m.d.sync += [
            in_flight.eq(in_flight + decoder.passes.tags.valid - chain.product.tags.valid),
            held.eq(held + (fill.valid & (fill.slot == 0)) - acc.block_free),
        ]
        with m.If(start):
            m.d.sync += held.eq(0)
        m.d.comb += [
            decoder.tile.eq(tile),
            decoder.start.eq(start),
            decoder.filled.eq(filled),
            decoder.group_free.eq(acc.group_free),
            chain.passes.eq(decoder.passes),
            chain.fill.eq(fill),
            acc.product.eq(chain.product),
            acc.side.eq(decoder.side),
            acc.tile.eq(tile),
            acc.start.eq(start),
            *(acc.shift[i].eq(shift[i]) for i in range(2)),
            *(acc.input_sum[i].eq(input_sum[i]) for i in range(2)),
            acc.row.eq(row),
            self.room.eq(held < 2),
            self.busy.eq(decoder.busy | (in_flight != 0) | acc.busy),
            self.error.eq(decoder.error),
            self.header.eq(decoder.header),
            self.exponent.eq(decoder.exponent),
            self.min_shift.eq(decoder.min_shift),
        ]
        return m
