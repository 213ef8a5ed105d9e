"""Words in turns."""

from collections.abc import Sequence

from amaranth.hdl import Module, Signal, Value

__all__ = ["in_turns"]


def in_turns(m: Module, count: int, takes: Value) -> Sequence[Value]:
    """For each of `count`, 2 or more: it is its turn, which ends with a cycle of `takes`. Of two a bit says whose."""
    if count == 2:
        second = Signal()
        with m.If(takes):
            m.d.sync += second.eq(~second)
        return ~second, second
    turn = Signal(count, init=1)
    with m.If(takes):
        m.d.sync += turn.eq(turn.rotate_left(1))
    return list(turn)
