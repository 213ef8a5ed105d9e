"""VPU: CSD-chain and sums of rows, for two vectors."""

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from golden.params import LlmParams
from hw.fabric.pipeline import strobes

from .accumulator import Accumulator
from .chain import CsdChain
from .layouts import (
    PAIR,
    PARTIAL_BITS,
    ROW_BITS,
    fill_layout,
    inputs_layout,
    numbered_side_layout,
    pass_layout,
    tile_layout,
)

__all__ = ["Vpu"]

READ_AHEAD = 3
"""Cycles after its last pass at which a block's half of the sparse MUXes may be given away: the last slot reads it 4
cycles later, the first new input is there 5 cycles later."""


class Vpu(wiring.Component):
    """Multiplies passes with the inputs it was filled with; leaves exact sums to be read at `out_row`, `out_vector`.

    Attributes:
        passes, side: from a lane, or from all lanes of the MPU. fill, inputs: from the column's feeder.
        room: the sparse MUXes can take one more block (two halves). group_free: strobe, see Accumulator.
        tile, start, out_*: see Accumulator.
    """

    def __init__(self, params: LlmParams):
        self.params = params
        super().__init__({
            "passes": In(pass_layout()),
            "side": In(numbered_side_layout(params)),
            "tile": In(tile_layout()),
            "start": In(1),
            "fill": In(fill_layout()),
            "inputs": In(inputs_layout()),
            "room": Out(1),
            "group_free": Out(1),
            "out_ready": Out(1),
            "out_taken": In(1),
            "out_free": In(1),
            "out_row": In(ROW_BITS),
            "out_vector": In(1),
            "out": Out(signed(48)),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.chain = chain = CsdChain()
        m.submodules.accumulator = acc = Accumulator(self.params)
        shift = Signal(data.ArrayLayout(data.ArrayLayout(3, PAIR), 2), reset_less=True)
        input_sum = Signal(data.ArrayLayout(data.ArrayLayout(signed(PARTIAL_BITS), PAIR), 2), reset_less=True)
        for half in range(2):
            with m.If(self.inputs.valid & (self.inputs.half == half)):
                m.d.sync += [shift[half].eq(self.inputs.shift), input_sum[half].eq(self.inputs.sum)]
        tags = self.passes.tags
        block_read = strobes(m, tags.valid & tags.block_last, READ_AHEAD, "block_read")[-1]
        held = Signal(2)
        m.d.sync += held.eq(held + (self.fill.valid & (self.fill.slot == 0)) - block_read)
        m.d.comb += [
            chain.passes.eq(self.passes),
            chain.fill.eq(self.fill),
            acc.product.eq(chain.product),
            acc.side.eq(self.side),
            acc.tile.eq(self.tile),
            acc.start.eq(self.start),
            acc.shift.eq(shift),
            acc.input_sum.eq(input_sum),
            acc.out_taken.eq(self.out_taken),
            acc.out_free.eq(self.out_free),
            acc.out_row.eq(self.out_row),
            acc.out_vector.eq(self.out_vector),
            self.out.eq(acc.out),
            self.room.eq(held < 2),
            self.group_free.eq(acc.group_free),
            self.out_ready.eq(acc.out_ready),
        ]
        return m
