"""Several units in one design, so that they share a Verilator build."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import Out

__all__ = ["SideBySide"]


class SideBySide(wiring.Component):
    """Units that have nothing to do with each other; port `p` of unit `u` is `u__p`."""

    def __init__(self, **units):
        self.units = units
        super().__init__({name: Out(unit.signature) for name, unit in units.items()})

    def elaborate(self, platform):
        m = Module()
        for name, unit in self.units.items():
            m.submodules[name] = unit
            ports = unit.signature.flatten(getattr(self, name)), unit.signature.flatten(unit)
            for (_, member, outer), (_, _, inner) in zip(*ports, strict=True):  # `connect` takes no arrays of streams
                m.d.comb += outer.eq(inner) if member.flow == Out else inner.eq(outer)
        return m
