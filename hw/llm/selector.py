"""From a bitmap to the positions of its ones: the index decoder of 8:16 and 12:16 rows."""

from collections.abc import Callable

from amaranth.hdl import Cat, Const, Module, Signal, Value, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from golden.params import BLOCK

from .chain import SEGMENT

__all__ = ["RankSelect"]

NIBBLE = 4


class RankSelect(wiring.Component):
    """position[j] = index of the (j+1)-th one of `bitmap`, with `tail` of the (9 + j % 4)-th; unspecified where there
    are fewer ones.

    The ones in front of each nibble say in which nibble a one lies; which bit of the nibble it is depends on these four
    bits and on how many of its ones come first. LATENCY 2, one bitmap a cycle, no back-pressure, no reset.
    """

    LATENCY = 2

    def __init__(self):
        super().__init__({
            "bitmap": In(BLOCK),
            "tail": In(1),
            "position": Out(data.ArrayLayout(unsigned(4), SEGMENT)),
        })

    def elaborate(self, platform):
        m = Module()
        nibbles = range(1, BLOCK // NIBBLE)
        bitmap, tail = Signal(BLOCK, reset_less=True), Signal(reset_less=True)
        before = Signal(data.ArrayLayout(unsigned(4), BLOCK // NIBBLE), reset_less=True)
        m.d.sync += [bitmap.eq(self.bitmap), tail.eq(self.tail), before[0].eq(0)]
        ones = [_table(self.bitmap.word_select(k - 1, NIBBLE), 3, int.bit_count) for k in nibbles]
        for k in nibbles:
            m.d.sync += before[k].eq(sum(ones[1:k], start=ones[0]))

        for j in range(SEGMENT):
            start = [_table(Cat(before[k], tail), 1, lambda n, j=j: n % 16 <= (8 + j % 4 if n >= 16 else j))
                     for k in nibbles]
            nibble, four = Signal(2, name=f"nibble_{j}"), Signal(NIBBLE, name=f"four_{j}")
            skipped = Signal(2, name=f"skipped_{j}")
            m.d.comb += [
                nibble.eq(Cat((start[0] & ~start[1]) | start[2], start[1])),
                four.eq(bitmap.word_select(nibble, NIBBLE)),
                skipped.eq(before[nibble]),
            ]
            place = _table(Cat(four, skipped), 2, lambda n, j=j: _place(n % 16, (j - n // 16) % 4))
            m.d.sync += self.position[j].eq(Cat(place, nibble))
        return m


def _place(four: int, rank: int) -> int:
    """Of the (rank+1)-th one of four bits."""
    return ([b for b in range(NIBBLE) if four >> b & 1] + NIBBLE * [0])[rank]


def _table(select: Value, width: int, function: Callable[[int], int]) -> Value:
    """A function of `select`, as LUTs and not as adders."""
    values = [function(n) for n in range(1 << len(select))]
    bits = [sum((value >> b & 1) << n for n, value in enumerate(values)) for b in range(width)]
    return Cat(*(Const(bit, len(values)).bit_select(select, 1) for bit in bits))
