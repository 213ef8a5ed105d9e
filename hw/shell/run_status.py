"""How a run ends, and how long it took."""

from collections.abc import Sequence

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from golden.execution import ERROR_CODES, HALTED

__all__ = ["RunStatus"]

SETTLING = 2
"""Cycles behind a start before what the engine says belongs to the run."""


class RunStatus(wiring.Component):
    """The program's end or the first error ends the run; an engine that an error has stopped needs a reset before the
    next start.

    Args:
        errors: keys of `golden.execution.ERROR_CODES`; of several at once the last one counts.
        watchdog_log2: a run in which 2**watchdog_log2 cycles long nothing moves has failed: `timeout`.

    Attributes:
        start: strobe: a run begins. halted, code: the program has ended with this code.
        errors: a bit for each. moving: something happens.
        done: strobe; status: 256 + code of the end, or an error code, from the next cycle on; 0 in a run.
        running: from the cycle behind the start to `done`.
    """

    def __init__(self, errors: Sequence[str], *, watchdog_log2: int = 17):
        self.names, self.watchdog_log2 = tuple(errors), watchdog_log2
        super().__init__({
            "start": In(1), "halted": In(1), "code": In(8), "errors": In(len(self.names)), "moving": In(1),
            "done": Out(1), "status": Out(32), "running": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        settling, active = Signal(SETTLING), Signal()
        still = Signal(self.watchdog_log2 + 1)  # cycles in which nothing has moved
        code = Signal(32)
        m.d.sync += [still.eq(still + 1), settling.eq(settling << 1 | self.start)]
        with m.If(~active | self.moving):
            m.d.sync += still.eq(0)
        with m.If(self.halted):
            m.d.comb += code.eq(HALTED + self.code)
        for bit, name in enumerate(self.names):
            with m.If(self.errors[bit]):
                m.d.comb += code.eq(ERROR_CODES[name])
        with m.If(still[-1]):
            m.d.comb += code.eq(ERROR_CODES["timeout"])
        with m.If(self.start):
            m.d.sync += [self.status.eq(0), self.running.eq(1)]
        with m.Elif(settling[-1]):
            m.d.sync += active.eq(1)
        with m.Elif(active & (code != 0)):
            m.d.sync += [active.eq(0), self.running.eq(0), self.status.eq(code)]
            m.d.comb += self.done.eq(1)
        return m
