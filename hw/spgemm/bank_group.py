"""Banks that share a queue of lines."""

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from golden.spgemm.params import SpgemmParams
from hw.fabric.block import instantiate

from .bank import BANK_MODULE, Bank
from .layouts import bank_line_layout
from .line_queue import LineQueue

__all__ = ["BANK_GROUP_MODULE", "BankGroup"]

BANK_GROUP_MODULE = "lacuna_bank_group"


class BankGroup(wiring.Component):
    """A LineQueue and its banks.

    Attributes:
        lines, room: see LineQueue. banks: of each bank all ports but the stream.
    """

    def __init__(self, params: SpgemmParams):
        self.params = params
        super().__init__(self.ports(params))

    @staticmethod
    def ports(p: SpgemmParams) -> wiring.Signature:
        return wiring.Signature({
            "lines": In(stream.Signature(bank_line_layout(p))), "room": Out(1),
            "banks": Out(wiring.Signature(Bank.side_ports(p))).array(p.queue_banks),
        })

    def elaborate(self, platform):
        m = Module()
        p = self.params
        m.submodules.queue = queue = LineQueue(p)
        connect(m, flipped(self.lines), queue.lines)
        m.d.comb += self.room.eq(queue.room)
        for number, outside in enumerate(self.banks):
            bank = instantiate(m, BANK_MODULE, Bank.ports(p), f"bank_{number}")
            connect(m, queue.elements[number], bank.elements)
            for name, member in Bank.side_ports(p).items():
                inner, outer = getattr(bank, name), getattr(outside, name)
                m.d.comb += outer.eq(inner) if member.flow == Out else inner.eq(outer)
        return m
