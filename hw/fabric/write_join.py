"""Several who write, on one port."""

from amaranth.hdl import Cat, Module
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .answers import AnswerWatch
from .sure_fifo import SureFIFO

__all__ = ["WriteJoin"]


class WriteJoin(wiring.Component):
    """Of those who have a word the first one writes, in the same cycle; answers go back in the order of the words.

    A word that waits may be replaced by another one's, and the last master writes only what the others leave of the
    port: the order is that of how much a wait costs.

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
        offered = Cat(master.valid for master in self.masters)
        first = Cat(offered[number] & ~offered[:number].any() for number in range(self.count))
        sent = self.port.valid & self.port.ready
        m.d.comb += [
            self.port.valid.eq(offered.any()), owners.w_en.eq(sent), owners.w_data.eq(first),
            owners.r_en.eq(self.port_answered),
            self.answered.eq(owners.r_data & self.port_answered.replicate(self.count)),
        ]
        for number, master in enumerate(self.masters):
            m.d.comb += master.ready.eq(self.port.ready & first[number])
            with m.If(first[number]):
                m.d.comb += self.port.payload.eq(master.payload)
        return m
