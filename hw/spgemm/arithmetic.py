"""Adder and multiplier of the engine's numbers: binary32 or int32, with the same ports."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from golden.spgemm.params import SpgemmParams
from hw.fabric.float32 import FloatAdd, FloatMul
from hw.fabric.pipeline import delay

__all__ = ["FloatAdder", "FloatMultiplier", "IntAdder", "IntMultiplier", "adder", "multiplier"]


def adder(params: SpgemmParams) -> wiring.Component:
    """o = a + b of the engine's numbers, LATENCY cycles later."""
    return FloatAdder() if params.number_format == 1 else IntAdder()


def multiplier(params: SpgemmParams) -> wiring.Component:
    """o = a * b of the engine's numbers, LATENCY cycles later."""
    return FloatMultiplier() if params.number_format == 1 else IntMultiplier()


class _Operation(wiring.Component):
    """o from a and b, LATENCY cycles later; one a cycle."""

    LATENCY: int

    def __init__(self):
        super().__init__({"a": In(32), "b": In(32), "o": Out(32)})


class _Float(_Operation):
    UNIT: type

    def elaborate(self, platform):
        m = Module()
        m.submodules.unit = unit = self.UNIT()
        m.d.comb += [unit.a.eq(self.a), unit.b.eq(self.b), unit.ce.eq(1), self.o.eq(unit.o)]
        return m


class FloatAdder(_Float):
    """binary32, see FloatAdd."""

    UNIT, LATENCY = FloatAdd, FloatAdd.LATENCY


class FloatMultiplier(_Float):
    """binary32, see FloatMul."""

    UNIT, LATENCY = FloatMul, FloatMul.LATENCY


class IntAdder(_Operation):
    """int32, modulo 2**32."""

    LATENCY = 1

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.o.eq(delay(m, (self.a + self.b)[:32], 1, "sum"))
        return m


class IntMultiplier(_Operation):
    """int32, modulo 2**32. The registers around the product are the DSPs': operands, M, P and one for the cascade."""

    LATENCY = 4

    def elaborate(self, platform):
        m = Module()
        a, b = delay(m, self.a, 1, "a"), delay(m, self.b, 1, "b")
        m.d.comb += self.o.eq(delay(m, (a * b)[:32], self.LATENCY - 1, "product"))
        return m
