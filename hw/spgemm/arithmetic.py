"""Adder and multiplier of the engine's numbers, with the same ports for all of them."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from golden.spgemm.params import SpgemmParams
from golden.spgemm.product import ARITHMETIC
from hw.fabric.floats import FloatAdd, FloatMul
from hw.fabric.pipeline import delay

__all__ = ["IntAdder", "IntMultiplier", "adder", "multiplier"]


def adder(params: SpgemmParams) -> wiring.Component:
    """o = a + b of the engine's numbers, LATENCY cycles later."""
    of = ARITHMETIC[params.numbers].format
    return IntAdder() if of is None else _Running(FloatAdd(of))


def multiplier(params: SpgemmParams) -> wiring.Component:
    """o = a * b of the engine's numbers, LATENCY cycles later."""
    of = ARITHMETIC[params.numbers].format
    return IntMultiplier() if of is None else _Running(FloatMul(of))


class _Running(wiring.Component):
    """A floating-point unit that never stops."""

    def __init__(self, unit):
        self.unit, self.LATENCY = unit, unit.LATENCY
        super().__init__({"a": In(unit.format.bits), "b": In(unit.format.bits), "o": Out(unit.format.bits)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.unit = unit = self.unit
        m.d.comb += [unit.a.eq(self.a), unit.b.eq(self.b), unit.ce.eq(1), self.o.eq(unit.o)]
        return m


class _OfInt32(wiring.Component):
    """o from a and b, LATENCY cycles later; one a cycle."""

    def __init__(self):
        super().__init__({"a": In(32), "b": In(32), "o": Out(32)})


class IntAdder(_OfInt32):
    """int32, modulo 2**32."""

    LATENCY = 1

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.o.eq(delay(m, (self.a + self.b)[:32], 1, "sum"))
        return m


class IntMultiplier(_OfInt32):
    """int32, modulo 2**32. The registers around the product are the DSPs': operands, M, P and one for the cascade."""

    LATENCY = 4

    def elaborate(self, platform):
        m = Module()
        a, b = delay(m, self.a, 1, "a"), delay(m, self.b, 1, "b")
        m.d.comb += self.o.eq(delay(m, (a * b)[:32], self.LATENCY - 1, "product"))
        return m
