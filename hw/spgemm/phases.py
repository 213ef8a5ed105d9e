"""Where the rows of a window are: asked for, at work in the banks, ended, gone."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from golden.spgemm.params import SpgemmParams

from .layouts import row_layout
from .line_cache import LineCache

__all__ = ["Phases"]


class Phases(wiring.Component):
    """With `apart` rows leave only when all of their window have ended; without, at any time.

    Attributes:
        apart: not to change while rows are at work. closed: see ContextRing.
        asked, came: strobe: a line has been asked for, has come to the banks. nothing_comes: all of them have.
        begins, began: strobe: a row gets to the banks, before its first line counts as come.
        release, released: strobe: a row has left. ended: level of a row half * contexts + context: all banks have ended
            it; low from its release on.
        leaving: rows may leave, a cycle late. over: no line is under way, no row at work.
    """

    def __init__(self, params: SpgemmParams):
        self.params = params
        row = row_layout(params)
        super().__init__({
            "apart": In(1), "closed": In(1), "asked": In(1), "came": In(1), "begins": In(1), "began": In(row),
            "release": In(1), "released": In(row), "ended": In(2 * params.contexts), "nothing_comes": Out(1),
            "leaving": Out(1), "over": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        under_way = Signal(range(self.params.window + LineCache.QUEUE + 16))
        at_work = Signal(2 * self.params.contexts)
        m.d.sync += [
            under_way.eq(under_way + self.asked - self.came),
            self.leaving.eq(~self.apart | (self.closed & self.nothing_comes & ~(at_work & ~self.ended).any())),
        ]
        with m.If(self.begins):
            m.d.sync += at_work.bit_select(Cat(self.began.context, self.began.half), 1).eq(1)
        with m.If(self.release):
            m.d.sync += at_work.bit_select(Cat(self.released.context, self.released.half), 1).eq(0)
        m.d.comb += [
            self.nothing_comes.eq(under_way == 0), self.over.eq(self.nothing_comes & ~at_work.any()),
        ]
        return m
