"""VPU: one lane of the matrix engine: dequantiser, CSD-chain, accumulators."""

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

from golden.params import LlmParams

from .accumulator import PARTIAL_BITS, Accumulator
from .chain import CsdChain, fill_layout
from .decoder import LaneDecoder
from .layouts import ROW_BITS, tile_layout

__all__ = ["Vpu"]


class Vpu(wiring.Component):
    """Consumes its lane's part of a tile; leaves `tile.rows` exact sums to be read at `row` / `acc`.

    Attributes:
        lane: buffered `fifo_depth` beats deep.
        room: the activation buffer can take one more block (two halves).
        fill, filled, shift, input_sum: from the column's feeder. Others: see the parts.
    """

    def __init__(self, params: LlmParams):
        self.params = params
        super().__init__({
            "lane": In(stream.Signature(params.lane_bits)),
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
        m.submodules.fifo = fifo = SyncFIFO(width=self.params.lane_bits, depth=self.params.fifo_depth)
        m.d.comb += [
            fifo.w_data.eq(self.lane.payload),
            fifo.w_en.eq(self.lane.valid),
            self.lane.ready.eq(fifo.w_rdy),
        ]
        wiring.connect(m, fifo.r_stream, decoder.lane)
        in_flight = Signal(range(CsdChain.LATENCY + 8))
        held = Signal(2)
        m.d.sync += [
            in_flight.eq(in_flight + decoder.passes.tags.valid - chain.product.tags.valid),
            held.eq(held + self.filled - acc.block_free),
        ]
        with m.If(self.start):
            m.d.sync += held.eq(0)
        m.d.comb += [
            decoder.tile.eq(self.tile),
            decoder.start.eq(self.start),
            decoder.filled.eq(self.filled),
            decoder.group_free.eq(acc.group_free),
            chain.passes.eq(decoder.passes),
            chain.fill.eq(self.fill),
            acc.product.eq(chain.product),
            acc.side.eq(decoder.side),
            acc.tile.eq(self.tile),
            acc.start.eq(self.start),
            *(acc.shift[i].eq(self.shift[i]) for i in range(2)),
            *(acc.input_sum[i].eq(self.input_sum[i]) for i in range(2)),
            acc.row.eq(self.row),
            self.acc.eq(acc.acc),
            self.room.eq(held != 2),
            self.busy.eq(decoder.busy | (in_flight != 0) | acc.busy),
            self.error.eq(decoder.error),
            self.header.eq(decoder.header),
            self.exponent.eq(decoder.exponent),
            self.min_shift.eq(decoder.min_shift),
        ]
        return m
