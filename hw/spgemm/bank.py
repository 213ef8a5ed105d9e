"""A bank of the hash scratchpad: products to elements of C."""

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out, connect, flipped

from golden.spgemm.params import SpgemmParams

from .layouts import element_layout, update_layout
from .tag_table import TagTable
from .values import Values

__all__ = ["BANK_MODULE", "Bank"]

BANK_MODULE = "lacuna_hash_bank"

UPDATES = 32
"""Updates between the tag table and the values: while these wait for a sum, the bank does not hold up the one with
which it shares a queue. A LUT RAM of fewer words is no smaller."""


class Bank(wiring.Component):
    """TagTable, then Values; a product a cycle, LATENCY to the sum's issue in Values.

    Attributes:
        elements: as in `element_layout`.
        scan, sweep, sweep_address: see TagTable and Values, for both. overflow, probing: see TagTable.
        read .. count, waiting, yielding: see Values.
    """

    LATENCY = TagTable.LATENCY + 2
    READ_LATENCY = Values.READ_LATENCY

    def __init__(self, params: SpgemmParams):
        self.params = params
        super().__init__(self.ports(params))

    @staticmethod
    def ports(p: SpgemmParams) -> wiring.Signature:
        return wiring.Signature({"elements": In(stream.Signature(element_layout(p))), **Bank.side_ports(p)})

    @staticmethod
    def side_ports(p: SpgemmParams) -> dict[str, wiring.Member]:
        """All but the stream."""
        return {**TagTable.side_ports(p), **Values.side_ports(p)}

    def elaborate(self, platform):
        m = Module()
        m.submodules.table, m.submodules.values = units = TagTable(self.params), Values(self.params)
        table, values = units
        m.submodules.updates = fifo = SyncFIFO(width=update_layout(self.params).size, depth=UPDATES)
        connect(m, flipped(self.elements), table.elements)
        connect(m, table.updates, fifo.w_stream)
        connect(m, fifo.r_stream, values.updates)
        for unit in units:
            for name, member in unit.signature.members.items():
                if name in unit.side_ports(self.params):
                    inner, outer = getattr(unit, name), getattr(self, name)
                    m.d.comb += outer.eq(inner) if member.flow == Out else inner.eq(outer)
        return m
