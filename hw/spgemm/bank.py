"""A bank of the hash scratchpad: its lines' products one by one, to elements of C."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out, connect

from golden.spgemm.params import SpgemmParams

from .layouts import bank_line_layout, element_layout, update_layout
from .tag_table import TagTable
from .values import Values

__all__ = ["BANK_MODULE", "Bank"]

BANK_MODULE = "lacuna_hash_bank"

UPDATES = 4
"""Updates between the tag table and the values."""


class Bank(wiring.Component):
    """Lines, then TagTable, then Values; a product a cycle, lowest lane first, LATENCY to the sum's issue in Values.

    Attributes:
        lines: as in `bank_line_layout`. room: MARGIN lines fit; who sends without looking at `ready` stops when it is
            low, with MARGIN - 1 lines on their way at most.
        scan, sweep, sweep_address: see TagTable and Values, for both. overflow, probing: see TagTable.
        read .. count, waiting, yielding: see Values.
    """

    MARGIN = 16
    LATENCY = 3 + TagTable.LATENCY + 2
    READ_LATENCY = Values.READ_LATENCY

    def __init__(self, params: SpgemmParams):
        self.params = params
        super().__init__(self.ports(params))

    @staticmethod
    def ports(p: SpgemmParams) -> wiring.Signature:
        return wiring.Signature({
            "lines": In(stream.Signature(bank_line_layout(p))), "room": Out(1), **TagTable.side_ports(p),
            **Values.side_ports(p),
        })

    def elaborate(self, platform):
        m = Module()
        self.table, self.values = TagTable(self.params), Values(self.params)
        m.submodules.table, m.submodules.values = self.table, self.values
        self._pick(m)
        m.submodules.updates = fifo = SyncFIFO(width=update_layout(self.params).size, depth=UPDATES)
        connect(m, self.table.updates, fifo.w_stream)
        connect(m, fifo.r_stream, self.values.updates)
        for unit in (self.table, self.values):
            for name, member in unit.signature.members.items():
                if name in unit.side_ports(self.params):
                    inner, outer = getattr(unit, name), getattr(self, name)
                    m.d.comb += outer.eq(inner) if member.flow == Out else inner.eq(outer)
        return m

    def _pick(self, m):
        """Heads of lines are taken off the queue one ahead, so that a lane is known when its product is."""
        p, line = self.params, self.lines.payload
        head_layout = data.StructLayout({name: bank_line_layout(p)[name].shape for name in ("row", "last", "mask")})
        m.submodules.heads = heads = SyncFIFO(width=head_layout.size, depth=p.bank_fifo)
        m.submodules.products = products = SyncFIFO(width=line.products.as_value().shape().width, depth=p.bank_fifo)
        take = Signal()
        m.d.comb += [
            heads.w_data.eq(Cat(line.row, line.last, line.mask)), products.w_data.eq(line.products),
            self.lines.ready.eq(products.w_rdy), take.eq(self.lines.valid & products.w_rdy),
            heads.w_en.eq(take), products.w_en.eq(take),
        ]  # fmt: skip
        m.d.sync += self.room.eq(products.level < p.bank_fifo - self.MARGIN)

        head, valid = Signal(head_layout, reset_less=True), Signal()
        element, ready = Signal(element_layout(p), reset_less=True), Signal()
        left = head.mask
        beyond = Signal(p.lanes)
        done = ~beyond.any()
        m.d.comb += [
            beyond.eq(left & (left - 1)), ready.eq(~self.table.elements.valid | self.table.elements.ready),
            heads.r_en.eq(~valid | (ready & done)), products.r_en.eq(valid & ready & done),
            self.table.elements.payload.eq(element),
        ]  # fmt: skip
        picked = 0
        in_line = data.ArrayLayout(element.product.shape(), p.lanes)(products.r_data)
        for lane in range(p.lanes):
            picked = picked | Mux(left[lane] & ~left[:lane].any(), in_line[lane].as_value(), 0)
        with m.If(ready):
            m.d.sync += [
                self.table.elements.valid.eq(valid), element.row.eq(head.row), element.some.eq(left.any()),
                element.end.eq(head.last & done), element.product.eq(picked), left.eq(beyond),
            ]  # fmt: skip
        with m.If(heads.r_en):
            m.d.sync += [head.eq(heads.r_data), valid.eq(heads.r_rdy)]
