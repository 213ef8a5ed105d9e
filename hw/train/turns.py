"""Words in turns."""

from collections.abc import Sequence

from amaranth.hdl import Module, Signal, Value

__all__ = ["in_turns"]


def in_turns(m: Module, count: int, takes: Value) -> Sequence[Value]:
    """For each of `count`: it is its turn, which ends with a cycle of `takes`."""
    turn = Signal(count, init=1)
    with m.If(takes):
        m.d.sync += turn.eq(turn.rotate_left(1))
    return list(turn)
