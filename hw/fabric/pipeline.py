"""Pipeline registers: data registers without reset, with an optional clock enable for the whole pipe."""

from amaranth import Const, Mux, Signal, Value
from amaranth.utils import ceil_log2


def delay(m, value, cycles, name, *, enable=None):
    """`value`, `cycles` enabled clock cycles later. Registers `<name>_<n>` have no reset; 0 cycles: the value itself.

    Without reset, long delays of one bit or more become shift-register LUTs.
    """
    if cycles < 0:
        raise ValueError(f"cycles must not be negative, not {cycles!r}")
    value = Value.cast(value)
    for cycle in range(cycles if len(value) else 0):  # Verilog has no registers of no bits
        stage = Signal(value.shape(), name=f"{name}_{cycle + 1}", reset_less=True)
        if enable is None:
            m.d.sync += stage.eq(value)
        else:
            with m.If(enable):
                m.d.sync += stage.eq(value)
        value = stage
    return value


def strobes(m, strobe, cycles, name, *, enable=None):
    """[`strobe`, the same one enabled cycle later, .. `cycles` later]: registers `<name>_<n>`, which a reset clears."""
    stages = [strobe]
    for cycle in range(cycles):
        stage = Signal(name=f"{name}_{cycle}")
        with m.If(1 if enable is None else enable):
            m.d.sync += stage.eq(stages[-1])
        stages.append(stage)
    return stages


class Pipelined:
    """`delay` with module and clock enable bound: `p = Pipelined(m, self.ce); total = p.register(a + b, "total")`."""

    def __init__(self, m, enable=None):
        self.m, self.enable = m, enable

    def register(self, value, name, *, shape=None):
        """`value` one cycle later; with `shape`, converted to it first (as an assignment does)."""
        if shape is not None:
            wire = Signal(shape, name=f"{name}_next")
            self.m.d.comb += wire.eq(value)
            value = wire
        return self.delay(value, 1, name)

    def delay(self, value, cycles, name):
        return delay(self.m, value, cycles, name, enable=self.enable)


def count_leading_zeros(m, value, name):
    """(count, all_zero) of a value, as a balanced tree of named wires; count is unspecified when all bits are zero."""
    width = 1 << ceil_log2(len(value))
    padded = Signal(width, name=f"{name}_padded")
    # zeros below the value do not change the count unless every bit of the value is zero
    m.d.comb += padded.eq(value << (width - len(value)))
    nodes = [(None, ~padded[bit]) for bit in range(width)]
    level = 0
    while len(nodes) > 1:
        level += 1
        merged = []
        for low, high in zip(nodes[::2], nodes[1::2], strict=True):
            count = Signal(level, name=f"{name}_count_{level}_{len(merged)}")
            m.d.comb += count.eq(Mux(high[1], low[0], high[0]) if level > 1 else 0)
            m.d.comb += count[level - 1].eq(high[1])
            merged.append((count, low[1] & high[1]))
        nodes = merged
    return nodes[0]


def shift_right_sticky(m, value, amount, name):
    """(value >> amount, whether a one was shifted out); the sticky bit is computed beside the shifter, not after it."""
    wide = Signal(len(value), name=name)
    m.d.comb += wide.eq(value >> amount)
    lost = [value[bit] & (amount > Const(bit, len(amount))) for bit in range(min(len(value), 1 << len(amount)))]
    sticky = Signal(name=f"{name}_sticky")
    m.d.comb += sticky.eq(_tree_or(lost))
    return wide, sticky


def _tree_or(values):
    while len(values) > 1:
        values = [a | b for a, b in zip(values[::2], values[1::2] + [Const(0)] * (len(values) % 2), strict=True)]
    return values[0]
