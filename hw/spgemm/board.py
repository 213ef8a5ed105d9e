"""Which rows have ended in all banks."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from golden.spgemm.params import SpgemmParams

__all__ = ["EndBoard"]


class EndBoard(wiring.Component):
    """Rows by their index, half * contexts + context; LATENCY cycles.

    Attributes:
        strobe, index: a bank has ended that row. clear, cleared: strobe and index: the row has left.
        ended: a bit an index: all banks have.
    """

    LATENCY = 2

    def __init__(self, params: SpgemmParams):
        self.params = params
        indices = 2 * params.contexts
        super().__init__({
            "strobe": In(params.banks), "index": In(range(indices)).array(params.banks),
            "clear": In(1), "cleared": In(range(indices)), "ended": Out(indices),
        })

    def elaborate(self, platform):
        m = Module()
        for index in range(len(self.ended)):
            seen = Signal(self.params.banks, name=f"seen_{index}")
            now = Cat(self.strobe[bank] & (self.index[bank] == index) for bank in range(self.params.banks))
            with m.If(self.clear & (self.cleared == index)):
                m.d.sync += [seen.eq(0), self.ended[index].eq(0)]
            with m.Else():
                m.d.sync += [seen.eq(seen | now), self.ended[index].eq(seen.all())]
        return m
