"""Registers on a stream, both ways, where it crosses dies."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["RegisterSlice"]


class RegisterSlice(wiring.Component):
    """A stream without a combinational path from one side to the other, neither of `valid` nor of `ready`.

    A word comes out a cycle after it came in, one a cycle. Holds two words. Data have no reset.

    Args:
        shape: of the payload.

    Attributes:
        i, o: in and out.
    """

    LATENCY = 1

    def __init__(self, shape):
        self.shape = shape
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform):
        m = Module()
        first, second = (Signal(self.shape, name=name, reset_less=True) for name in ("first", "second"))
        holds, waits = Signal(), Signal()
        m.d.comb += [self.o.payload.eq(first), self.o.valid.eq(holds), self.i.ready.eq(~waits)]
        with m.If(self.o.ready | ~holds):
            m.d.sync += [holds.eq(self.i.valid | waits), waits.eq(0)]
            with m.If(waits):
                m.d.sync += first.eq(second)
            with m.Else():
                m.d.sync += first.eq(self.i.payload)
        with m.Elif(self.i.valid & ~waits):
            m.d.sync += [second.eq(self.i.payload), waits.eq(1)]
        return m
