"""Counters of strobes."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Tally"]


class Tally(wiring.Component):
    """counts[i] grows by the ones in strobes[i], LATENCY cycles later.

    Attributes:
        clear: strobe. running: strobes count.
    """

    LATENCY = 2

    def __init__(self, counters: int, width: int):
        self.counters, self.width = counters, width
        super().__init__({
            "clear": In(1), "running": In(1), "strobes": In(width).array(counters), "counts": Out(32).array(counters),
        })

    def elaborate(self, platform):
        m = Module()
        for number in range(self.counters):
            ones = Signal(range(self.width + 1), name=f"ones_{number}")
            m.d.sync += ones.eq(sum_of_bits(self.strobes[number]) * self.running)
            m.d.sync += self.counts[number].eq(self.counts[number] + ones)
            with m.If(self.clear):
                m.d.sync += [ones.eq(0), self.counts[number].eq(0)]
        return m


def sum_of_bits(value):
    """As a balanced tree."""
    terms = list(value)
    while len(terms) > 1:
        terms = [a + b for a, b in zip(terms[::2], terms[1::2], strict=False)] + terms[len(terms) & ~1:]
    return terms[0]
