"""Several who write, on one port."""

from amaranth.hdl import Cat, Module
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .answers import AnswerWatch
from .round_robin import RoundRobin
from .sure_fifo import SureFIFO

__all__ = ["WriteJoin"]


class WriteJoin(wiring.Component):
    """Words take turns among those who have one, in the same cycle; answers go back in the order of the words.

    A word that waits may be replaced by another one's.

    Args:
        layout: of a word. masters: how many write.

    Attributes:
        masters: words; answered: strobes: the oldest one of each is there. port, port_answered: the same of the port,
            on which at most AnswerWatch.OUTSTANDING words wait for their answer.
    """

    def __init__(self, layout: data.Layout, *, masters: int):
        self.layout, self.count = layout, masters
        super().__init__({
            "masters": In(stream.Signature(layout)).array(masters), "answered": Out(masters),
            "port": Out(stream.Signature(layout)), "port_answered": In(1),
        })

    def elaborate(self, platform):
        m = Module()
        depth = 1 << AnswerWatch.OUTSTANDING.bit_length()
        m.submodules.owners = owners = SureFIFO(width=self.count, depth=depth)
        m.submodules.turns = turns = RoundRobin(self.count)
        sent = self.port.valid & self.port.ready
        m.d.comb += [
            turns.requests.eq(Cat(master.valid for master in self.masters)), turns.take.eq(sent),
            self.port.valid.eq(turns.requests.any()), owners.w_en.eq(sent), owners.w_data.eq(turns.grant),
            owners.r_en.eq(self.port_answered),
            self.answered.eq(owners.r_data & self.port_answered.replicate(self.count)),
        ]
        for number, master in enumerate(self.masters):
            m.d.comb += master.ready.eq(self.port.ready & turns.grant[number])
            with m.If(turns.grant[number]):
                m.d.comb += self.port.payload.eq(master.payload)
        return m
