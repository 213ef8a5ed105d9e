"""One lane of the vector unit: binary stage, then function stage."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from golden.functions import Function
from golden.isa.llm import Binary, Unary
from hw.fabric.floats import FloatAdd, FloatMul
from hw.fabric.functions import FunctionUnit
from hw.fabric.pipeline import delay

__all__ = ["VectorLane"]

FUNCTIONS = {Unary.EXP: Function.EXP, Unary.RECIP: Function.RECIP, Unary.RSQRT: Function.RSQRT}


class VectorLane(wiring.Component):
    """u = unary(a binary b), one element a cycle.

    BINARY cycles, FUNCTION more with a function; `ce` low freezes everything. SWAPMUL is a product here: the neighbours
    have changed places before.

    Attributes:
        subtract: with a and b. t_binary, t_unary: of the element that leaves the binary stage. function: the result u
            is the one that leaves the function stage.
    """

    BINARY = FloatAdd.LATENCY
    FUNCTION = FunctionUnit.LATENCY

    def __init__(self):
        super().__init__({
            "ce": In(1),
            "a": In(32),
            "b": In(32),
            "subtract": In(1),
            "t_binary": In(3),
            "t_unary": In(2),
            "function": In(1),
            "u": Out(32),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.add, m.submodules.mul = add, mul = FloatAdd(), FloatMul()
        m.submodules.function_unit = function = FunctionUnit()
        t = Signal(32)
        passed = delay(m, self.a, self.BINARY, "pass", enable=self.ce)
        m.d.comb += [
            add.a.eq(self.a),
            add.b.eq(Cat(self.b[:31], self.b[31] ^ self.subtract)),
            add.ce.eq(self.ce),
            mul.a.eq(self.a),
            mul.b.eq(self.b),
            mul.ce.eq(self.ce),
            t.eq(delay(m, mul.o, self.BINARY - FloatMul.LATENCY, "product", enable=self.ce)),
            function.x.eq(t),
            function.ce.eq(self.ce),
            self.u.eq(Mux(self.function, function.o, t)),
        ]
        with m.Switch(self.t_binary):
            with m.Case(Binary.PASS):
                m.d.comb += t.eq(passed)
            with m.Case(Binary.ADD, Binary.SUB):
                m.d.comb += t.eq(add.o)
        with m.Switch(self.t_unary):
            for op, code in FUNCTIONS.items():
                with m.Case(op):
                    m.d.comb += function.op.eq(code)
        return m
