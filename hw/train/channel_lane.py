"""One lane of the operations on channels (CHN)."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from golden.floats import BINARY32
from golden.functions import Function
from golden.isa.train import Channel
from hw.fabric.floats import FloatAdd, FloatMul, Unpacked
from hw.fabric.functions import FunctionUnit
from hw.fabric.pipeline import delay

__all__ = ["CHANNEL_LANE_MODULE", "ChannelLane"]

CHANNEL_LANE_MODULE = "lacuna_channel_lane"
FUNCTIONS = {Channel.RSQRT: Function.RSQRT, Channel.RECIP: Function.RECIP, Channel.EXP: Function.EXP}


class ChannelLane(wiring.Component):
    """o = a OP b of binary32 numbers, one a cycle, ARITHMETIC = 8 cycles later, of a function FUNCTION = 15. No
    back-pressure and no reset.

    Attributes:
        op: of all numbers inside.
    """

    ARITHMETIC, FUNCTION = FloatAdd.LATENCY, FunctionUnit.LATENCY
    PORTS = wiring.Signature({"a": In(32), "b": In(32), "op": In(3), "o": Out(32)})

    def __init__(self):
        super().__init__(self.PORTS)

    def elaborate(self, platform):
        m = Module()
        m.submodules.add, m.submodules.mul = add, mul = FloatAdd(), FloatMul()
        m.submodules.function = function = FunctionUnit()
        op = self.op
        m.d.comb += [
            add.ce.eq(1), add.a.eq(self.a), add.b.eq(Cat(self.b[:-1], self.b[-1] ^ (op == Channel.SUB))),
            mul.ce.eq(1), mul.a.eq(self.a), mul.b.eq(self.b),
            function.ce.eq(1), function.x.eq(self.a),
        ]
        with m.Switch(op):
            for operation, code in FUNCTIONS.items():
                with m.Case(operation):
                    m.d.comb += [function.op.eq(code), self.o.eq(function.o)]
            with m.Case(Channel.MUL):
                m.d.comb += self.o.eq(delay(m, mul.o, self.ARITHMETIC - FloatMul.LATENCY, "product"))
            with m.Case(Channel.MAX):
                m.d.comb += self.o.eq(delay(m, self._maximum(m), self.ARITHMETIC - 2, "maximum"))
            with m.Default():
                m.d.comb += self.o.eq(add.o)
        return m

    def _maximum(self, m):
        """`golden.float32.maximum`, 2 cycles later: one of them is NaN, or which is larger, -0 below +0."""
        a, b = Unpacked(self.a), Unpacked(self.b)
        values = [Cat(x.fraction & x.is_normal.replicate(23), x.exponent, x.sign) for x in (a, b)]
        larger, nan = Signal(reset_less=True), Signal(reset_less=True)
        below = Signal(reset_less=True)  # a's magnitude is the smaller one
        signs = Signal(2, reset_less=True)
        m.d.sync += [below.eq(values[0][:-1] < values[1][:-1]), signs.eq(Cat(a.sign, b.sign)),
                     nan.eq(a.is_nan | b.is_nan)]
        m.d.comb += larger.eq(Mux(signs[0] == signs[1], below ^ signs[0], signs[0]))  # b is, or both are the same
        s1 = [delay(m, value, 1, f"value_{name}") for value, name in zip(values, "ab", strict=True)]
        return delay(m, Mux(nan, BINARY32.nan_bits, Mux(larger, s1[1], s1[0])), 1, "larger")
