"""From a bitmap to the positions of its ones: the index decoder of 8:16 and 12:16 rows."""

from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from golden.params import BLOCK

__all__ = ["RankSelect"]


class RankSelect(wiring.Component):
    """position[j] = index of the (j+1)-th one of `bitmap`, for j = 0..11; 0 where there are fewer ones.

    LATENCY 2, one bitmap a cycle, no back-pressure, no reset.
    """

    LATENCY = 2
    RANKS = 12

    def __init__(self):
        super().__init__({
            "bitmap": In(BLOCK),
            "position": Out(data.ArrayLayout(unsigned(4), self.RANKS)),
        })

    def elaborate(self, platform):
        m = Module()
        bitmap = Signal(BLOCK, reset_less=True)
        before = Signal(data.ArrayLayout(unsigned(4), BLOCK), reset_less=True)
        m.d.sync += bitmap.eq(self.bitmap)
        for i in range(1, BLOCK):
            nibbles = [self.bitmap[lo : min(lo + 4, i)] for lo in range(0, i, 4)]
            m.d.sync += before[i].eq(sum((sum(n[k] for k in range(len(n))) for n in nibbles), start=0))
        for j in range(self.RANKS):
            hits = [Mux(bitmap[i] & (before[i] == j), i, 0) for i in range(j, BLOCK)]
            position = Cat(*(self._any(h[b] for h in hits if b < len(h)) for b in range(4)))
            m.d.sync += self.position[j].eq(position)
        return m

    @staticmethod
    def _any(bits):
        result = 0
        for bit in bits:
            result = bit | result
        return result
