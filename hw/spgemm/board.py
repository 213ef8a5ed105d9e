"""Which rows have ended in all banks."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

from golden.spgemm.params import SpgemmParams

__all__ = ["EndBoard"]


class EndBoard(wiring.Component):
    """Every bank ends rows in the order of their last lines, so to count its ends is to know them. A row a cycle,
    LATENCY cycles behind its last bank.

    Rows by their index, half * contexts + context.

    Attributes:
        last, row: strobe and index: a row's last line comes to the banks, before any of them ends it.
        strobe: a bit for each bank: it has ended its next row.
        clear, cleared: strobe and index: the row has left. ended: a bit an index: all banks have ended it.
    """

    LATENCY = 2

    def __init__(self, params: SpgemmParams):
        self.params = params
        indices = 2 * params.contexts
        super().__init__({
            "last": In(1), "row": In(range(indices)), "strobe": In(params.banks), "clear": In(1),
            "cleared": In(range(indices)), "ended": Out(indices),
        })

    def elaborate(self, platform):
        m = Module()
        indices = len(self.ended)
        m.submodules.order = order = SyncFIFO(width=len(self.row), depth=indices)
        all_have = Signal()
        m.d.comb += [order.w_data.eq(self.row), order.w_en.eq(self.last), order.r_en.eq(all_have)]
        has = []
        for bank in range(self.params.banks):
            ahead = Signal(range(indices + 1), name=f"ahead_{bank}")  # ends that not all banks have had
            m.d.sync += ahead.eq(ahead + self.strobe[bank] - all_have)
            has.append(ahead.any())
        m.d.comb += all_have.eq(Cat(has).all())
        with m.If(all_have):
            m.d.sync += self.ended.bit_select(order.r_data, 1).eq(1)
        with m.If(self.clear):
            m.d.sync += self.ended.bit_select(self.cleared, 1).eq(0)
        return m
