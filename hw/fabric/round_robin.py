"""Turns among several who want one thing."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["RoundRobin"]


class RoundRobin(wiring.Component):
    """Grants the next request, around, behind the one that was taken last, or the first one if none was there to take:
    nobody waits longer than one turn of each of the others.

    In the same cycle: a grant whenever there is a request, and only then.

    Args:
        count: how many may ask.

    Attributes:
        requests: a bit for each. grant: the one of them that has its turn. take: strobe: the grant, if any, is used.
    """

    def __init__(self, count: int):
        self.count = count
        super().__init__({"requests": In(count), "grant": Out(count), "take": In(1)})

    def elaborate(self, platform):
        m = Module()
        behind = Signal(self.count)  # behind the one that was taken last, before it comes round
        waiting = self.requests & behind
        # Both searches run side by side: which of them counts is known as early as what they find.
        reached = [Mux(waiting.any(), waiting[: at + 1].any(), self.requests[: at + 1].any())
                   for at in range(self.count)]  # fmt: skip
        passed = Cat(0, *reached[:-1])
        m.d.comb += self.grant.eq(Cat(reached) & ~passed)
        with m.If(self.take):
            m.d.sync += behind.eq(passed)
        return m
