"""One lane of the vector unit: binary stage, then function stage."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from golden.functions import Function
from golden.isa.llm import Binary, Unary
from hw.fabric.float32 import FloatAdd, FloatMul
from hw.fabric.functions import FunctionUnit
from hw.fabric.pipeline import delay

__all__ = ["VectorLane"]

FUNCTIONS = {Unary.EXP: Function.EXP, Unary.RECIP: Function.RECIP, Unary.RSQRT: Function.RSQRT}


class VectorLane(wiring.Component):
    """u = unary(a binary b), one element a cycle.

    BINARY cycles, FUNCTION more with a function; `ce` low freezes everything. SWAPMUL is a product here: the neighbours
    have changed places before.

    Attributes:
        binary, unary: constant while elements are under way.
    """

    BINARY = FloatAdd.LATENCY
    FUNCTION = FunctionUnit.LATENCY

    def __init__(self):
        super().__init__({
            "ce": In(1),
            "binary": In(3),
            "unary": In(2),
            "a": In(32),
            "b": In(32),
            "u": Out(32),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.add, m.submodules.mul = add, mul = FloatAdd(), FloatMul()
        m.submodules.function = function = FunctionUnit()
        t = Signal(32)
        m.d.comb += [
            add.a.eq(self.a),
            add.b.eq(Cat(self.b[:31], self.b[31] ^ (self.binary == Binary.SUB))),
            add.ce.eq(self.ce),
            mul.a.eq(self.a),
            mul.b.eq(self.b),
            mul.ce.eq(self.ce),
            t.eq(delay(m, mul.o, self.BINARY - FloatMul.LATENCY, "product", enable=self.ce)),
            function.x.eq(t),
            function.ce.eq(self.ce),
            self.u.eq(Mux(self.unary == Unary.NONE, t, function.o)),
        ]
        with m.Switch(self.binary):
            with m.Case(Binary.PASS):
                m.d.comb += t.eq(delay(m, self.a, self.BINARY, "pass", enable=self.ce))
            with m.Case(Binary.ADD, Binary.SUB):
                m.d.comb += t.eq(add.o)
        with m.Switch(self.unary):
            for op, code in FUNCTIONS.items():
                with m.Case(op):
                    m.d.comb += function.op.eq(code)
        return m
