"""Multipliers: a line of B times an entry of A, with the bank and the slot of every product."""

from amaranth.hdl import C, Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from golden.isa.spgemm import Hash
from golden.spgemm.order import BANK_LOW, MULTIPLIER
from golden.spgemm.params import SpgemmParams
from hw.fabric.pipeline import Pipelined, strobes

from .arithmetic import multiplier
from .layouts import line_layout, products_layout

__all__ = ["Multiply"]

HASH_LATENCY = 4
SLOT_LATENCY = 2


class Multiply(wiring.Component):
    """A line a cycle; `latency` cycles, the multipliers' and at least 6; what has entered comes out.

    Attributes:
        lines: taken while `room`. products: with `valid`; there is no way to hold them back.
        hash_by, shift: of the SET instruction.
    """

    def __init__(self, params: SpgemmParams):
        self.params = params
        self.units = [multiplier(params) for _ in range(params.lanes)]
        self.latency = max(self.units[0].LATENCY, HASH_LATENCY + SLOT_LATENCY)
        super().__init__({
            "lines": In(stream.Signature(line_layout(params))),
            "room": In(1),
            "hash_by": In(2),
            "shift": In(5),
            "products": Out(products_layout(params)),
            "valid": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        line, out = self.lines.payload, self.products
        p = Pipelined(m)
        self._shifts = p.register(1 << self.shift, "shifts", shape=32)
        m.d.comb += [
            self.lines.ready.eq(self.room),
            self.valid.eq(strobes(m, self.lines.valid & self.room, self.latency, "valid")[-1]),
            Cat(out.row, out.last, out.mask).eq(p.delay(Cat(line.row, line.last, line.mask), self.latency, "head")),
        ]
        for lane, unit in enumerate(self.units):
            element = line.data[lane]
            m.submodules[f"multiplier_{lane}"] = unit
            m.d.comb += [
                unit.a.eq(line.value), unit.b.eq(element.value),
                out.products[lane].value.eq(p.delay(unit.o, self.latency - unit.LATENCY, f"value_{lane}")),
                out.products[lane].column.eq(
                    p.delay(element.column[:self.params.column_bits], self.latency, f"column_{lane}")),
            ]
            self._hash(m, p, lane)
        return m

    def _hash(self, m, p, lane):
        """Bank and slot of a lane's product. The hash takes a register before and after each DSP48E2 row."""
        params, out, column = self.params, self.products, self.lines.payload.data[lane].column[:self.params.column_bits]
        slot_bits = len(out.products[lane].slot)
        factor = p.register(column, f"factor_{lane}")
        mixed = p.delay((factor * C(MULTIPLIER, 32))[:32], HASH_LATENCY, f"mixed_{lane}")
        high = p.delay((factor * self._shifts)[:32], HASH_LATENCY, f"high_{lane}")  # fewer LUTs than a shifter
        low = p.delay(column[:slot_bits], HASH_LATENCY + 1, f"low_{lane}")
        by = p.delay(self.hash_by, 1, f"hash_by_{lane}")
        top = Mux(by == Hash.HIGH, high[-slot_bits:], mixed[-slot_bits:])
        regions = p.delay(self.lines.payload.row.regions, HASH_LATENCY + 1, f"regions_{lane}")
        slot = Signal(slot_bits, name=f"slot_{lane}")
        largest = params.contexts.bit_length() - 1
        with m.Switch(regions):
            for log2 in range(largest + 1):
                bits = slot_bits - largest + log2
                with m.Case(log2):
                    m.d.comb += slot.eq(Mux(by == Hash.LOW, low[:bits], top[slot_bits - bits:]))
        left = self.latency - HASH_LATENCY - 2
        bank_bits = len(out.bank[lane])
        m.d.comb += [
            out.products[lane].slot.eq(p.delay(p.register(slot, f"slotted_{lane}"), left, f"slot_{lane}_late")),
            out.bank[lane].eq(p.delay(mixed[BANK_LOW:BANK_LOW + bank_bits] if params.banks > 1 else 0, left + 1,
                                      f"bank_{lane}")),
        ]
