"""When the first row of a VEC may follow those of the VECs before it."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .vector_lane import VectorLane

__all__ = ["ChainRule"]

WRITTEN = VectorLane.BINARY + 2
"""Enabled cycles from an instruction's start until its first row can be read again; FUNCTION more with a function."""


class ChainRule(wiring.Component):
    """Row p of the next VEC is read when row p of the one before has been written, and results leave in order.

    An instruction with a function takes longer than one without, so that one without waits until it cannot overtake.

    Attributes:
        ce: low freezes. start: strobe: a VEC starts; function: it, or the one that wants to start, has a function.
        walking: its rows are being read.
        may: the next VEC may start, as far as what came before it has been read.
    """

    def __init__(self):
        super().__init__({
            "ce": In(1),
            "start": In(1),
            "function": In(1),
            "walking": In(1),
            "may": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        longest = WRITTEN + VectorLane.FUNCTION
        held, ahead, has_function = Signal(range(longest)), Signal(range(VectorLane.FUNCTION)), Signal()
        m.d.comb += self.may.eq((held == 0) & (self.function | (ahead == 0)))
        with m.If(self.ce & (held != 0)):
            m.d.sync += held.eq(held - 1)
        with m.If(self.walking & has_function):
            m.d.sync += ahead.eq(VectorLane.FUNCTION - 1)
        with m.Elif(self.ce & (ahead != 0)):
            m.d.sync += ahead.eq(ahead - 1)
        with m.If(self.start):
            m.d.sync += [has_function.eq(self.function), held.eq(WRITTEN - 1)]
            with m.If(self.function):
                m.d.sync += held.eq(longest - 1)
        return m
