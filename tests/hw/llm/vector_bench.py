"""VectorUnit with its global buffer, so that a test can run instructions on known vectors."""

from amaranth.hdl import Cat, Module, Mux
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from golden.isa.llm import SLOTS
from hw.llm.layouts import block_layout
from hw.llm.vector import VectorUnit, vector_layout
from hw.llm.vmem import GlobalBuffer

__all__ = ["VectorBench"]


class VectorBench(wiring.Component):
    """`array_*` writes have priority, as the matrix engine's have."""

    def __init__(self, params):
        self.params = p = params
        row, width = range(p.vmem_rows), p.sfu_lanes * 32
        super().__init__({
            "command": In(stream.Signature(vector_layout(p))),
            "array_valid": In(1), "array_row": In(row), "array_data": In(width),
            "peek_row": In(row), "peek_data": Out(width), "peek": In(1),
            "x_valid": Out(p.ksplit), "x_block": Out(range(p.xbuf_blocks)), "x_data": Out(block_layout()),
            "x_token": Out(4), "exponents": Out(10 * SLOTS), "best": Out(32),
            "busy": Out(1), "illegal": Out(1), "finished": Out(1),
        })

    def elaborate(self, platform):
        m, p = Module(), self.params
        m.submodules.unit = unit = VectorUnit(self.params)
        m.submodules.buffer = buffer = GlobalBuffer(self.params, writers=2)
        wiring.connect(m, wiring.flipped(self.command), unit.command)
        m.d.comb += [
            buffer.write[1].eq(Cat(Mux(unit.write_valid, unit.write_elements, 0), unit.write_row, unit.write_data)),
            unit.write_ready.eq(buffer.ready[1]),
            buffer.write[0].eq(Cat(self.array_valid.replicate(p.sfu_lanes), self.array_row, self.array_data)),
            buffer.a_read.eq(unit.read | self.peek), buffer.a_row.eq(unit.a_row), unit.a_data.eq(buffer.a_data),
            buffer.b_read.eq(unit.read), buffer.b_row.eq(unit.b_row), unit.b_data.eq(buffer.b_data),
            self.peek_data.eq(buffer.a_data),
            self.x_valid.eq(unit.x_valid), self.x_block.eq(unit.x_block), self.x_data.eq(unit.x_data),
            self.x_token.eq(unit.x_token),
            self.exponents.eq(unit.exponents), self.best.eq(unit.best), self.busy.eq(unit.busy),
            self.illegal.eq(unit.illegal), self.finished.eq(unit.finished),
        ]
        with m.If(self.peek):
            m.d.comb += buffer.a_row.eq(self.peek_row)
        return m
