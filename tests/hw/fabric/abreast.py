"""Many vectors a cycle through several units: most of what a simulation costs is cocotb's cycles and the build."""

import numpy as np
from amaranth.hdl import Cat, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from tests.hw.fabric.vectors import run_vectors

__all__ = ["Abreast", "run_abreast"]


class Abreast(wiring.Component):
    """`lanes` copies of each kind of unit; those of a lane share their input. Ports lie side by side, kind by kind.

    Args:
        kinds: functions that make a unit with ports i, ce and o, equally wide, and the same LATENCY.
    """

    def __init__(self, kinds, lanes):
        self.units = [[kind() for _ in range(lanes)] for kind in kinds]
        self.LATENCY, = {unit.LATENCY for units in self.units for unit in units}
        unit = self.units[0][0]
        self.i_bits, self.o_bits = len(unit.i), len(unit.o)
        super().__init__({
            "i": In(lanes * self.i_bits), "ce": In(1), "o": Out(len(self.units) * lanes * self.o_bits),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        for units in self.units:
            m.submodules += units
            m.d.comb += [Cat(unit.i for unit in units).eq(self.i), *(unit.ce.eq(self.ce) for unit in units)]
        m.d.comb += self.o.eq(Cat(unit.o for units in self.units for unit in units))
        return m


def run_abreast(kinds, top, tmp_path, *, stall, i, lanes=4):
    """Results [kind, number] (uint64) of each kind of unit for the numbers `i`."""
    unit = Abreast(kinds, lanes)
    rows = np.pad(i, (0, -len(i) % lanes), mode="edge").reshape(-1, lanes)
    words = [sum(number << unit.i_bits * lane for lane, number in enumerate(row)) for row in rows.tolist()]
    result = run_vectors(unit, top, tmp_path, stall=stall, dtype=object, i=np.array(words, object))
    taken = [[word >> unit.o_bits * place & (1 << unit.o_bits) - 1 for place in range(len(kinds) * lanes)]
             for word in result]
    by_kind = np.array(taken, np.uint64).reshape(-1, len(kinds), lanes).swapaxes(0, 1)
    return by_kind.reshape(len(kinds), -1)[:, :len(i)]
