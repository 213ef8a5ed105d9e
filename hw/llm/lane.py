"""Lane: buffers its part of the memory words and decodes it."""

from amaranth.hdl import Module, signed
from amaranth.lib import wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from golden.params import LlmParams

from .decoder import LaneDecoder
from .layouts import lane_layout, pass_layout, side_layout, tile_layout
from .weight_buffer import WeightBuffer

__all__ = ["Lane"]


class Lane(wiring.Component):
    """LaneDecoder behind a FIFO of `fifo_depth` words, whose ports see LaneDecoder.

    `lane_room` falls while the FIFO still takes SLACK words, which may be under way.
    """

    SLACK = 3 + WeightBuffer.LATENCY

    def __init__(self, params: LlmParams):
        self.params = params
        super().__init__({
            "lane": In(lane_layout(params)),
            "lane_room": Out(1),
            "tile": In(tile_layout()),
            "start": In(1),
            "filled": In(1),
            "group_free": In(1),
            "request": Out(1),
            "half": Out(1),
            "ends": Out(1),
            "grant": In(1),
            "passes": Out(pass_layout()),
            "side_request": Out(1),
            "side_grant": In(1),
            "side": Out(side_layout(params)),
            "header": Out(1),
            "exponent": Out(signed(10)),
            "min_shift": Out(3),
            "idle": Out(1),
            "error": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        depth = self.params.fifo_depth
        m.submodules.decoder = decoder = LaneDecoder(self.params)
        m.submodules.fifo = fifo = SyncFIFOBuffered(width=self.params.lane_bits, depth=depth)
        m.d.sync += self.lane_room.eq(fifo.level <= depth - self.SLACK)
        m.d.comb += [fifo.w_data.eq(self.lane.data), fifo.w_en.eq(self.lane.valid)]
        wiring.connect(m, fifo.r_stream, decoder.lane)
        for name in ("tile", "start", "filled", "group_free", "grant", "side_grant"):
            m.d.comb += getattr(decoder, name).eq(getattr(self, name))
        for name in ("request", "half", "ends", "passes", "side_request", "side", "header", "exponent", "min_shift",
                     "idle", "error"):
            m.d.comb += getattr(self, name).eq(getattr(decoder, name))
        return m
