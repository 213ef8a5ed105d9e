"""Transposes blocks of 16 x 16 numbers."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from golden.train.params import GROUP

from .layouts import NUMBER_BITS, row_layout

__all__ = ["Transposer"]

BITS = GROUP.bit_length() - 1


class Transposer(wiring.Component):
    """Number c of row r of a block becomes number r of row c.

    Two banks: one is written while the other one is read, so a row is taken and one is given every cycle. Number c of
    row r lies in memory (r + c) modulo 16 at address c, so that a row's numbers and a column's lie in 16 memories each.

    A block's first row is offered LATENCY cycles after its last one was taken. 32 rows are taken while none leaves;
    a bank is free when its last row is offered. `i.ready` is a register. Data registers have no reset.

    Args:
        tag_bits: of a tag that goes with a block, that of its first row.

    Attributes:
        i, o: rows, with the tag if there is one.
    """

    LATENCY = 2

    def __init__(self, tag_bits: int = 0):
        self.tag_bits = tag_bits
        self.layout = data.StructLayout({"numbers": row_layout(), **({"tag": tag_bits} if tag_bits else {})})
        super().__init__({"i": In(stream.Signature(self.layout)), "o": Out(stream.Signature(self.layout))})

    def elaborate(self, platform):
        m = Module()
        row, column = Signal(range(GROUP)), Signal(range(GROUP))
        write_bank, read_bank = Signal(), Signal()
        full, room = Signal(2), Signal(init=1)  # a bit for each bank that is full, from the lowest; whether not all are
        take, advance, give, fills, empties = (
            Signal(name=name) for name in ("take", "advance", "give", "fills", "empties")
        )  # fmt: skip
        m.d.comb += [
            self.i.ready.eq(room), take.eq(self.i.valid & room),
            advance.eq(~self.o.valid | self.o.ready), give.eq(advance & full[0]),
            fills.eq(take & (row == GROUP - 1)), empties.eq(give & (column == GROUP - 1)),
        ]  # fmt: skip
        with m.If(take):
            m.d.sync += row.eq(row + 1)
        with m.If(give):
            m.d.sync += column.eq(column + 1)
        m.d.sync += [write_bank.eq(write_bank ^ fills), read_bank.eq(read_bank ^ empties)]
        with m.If(fills != empties):
            m.d.sync += [full.eq(Mux(fills, Cat(1, full[0]), full[1])), room.eq(empties | ~full[0])]

        turned = _rotated(list(self.i.payload.numbers), row)
        read = []
        for at in range(GROUP):
            m.submodules[f"numbers_{at}"] = numbers = Memory(
                shape=NUMBER_BITS, depth=2 * GROUP, init=[], attrs={"ram_style": "distributed"}
            )
            write_port, read_port = numbers.write_port(), numbers.read_port(domain="comb")
            m.d.comb += [
                write_port.addr.eq(Cat((at - row)[:BITS], write_bank)), write_port.data.eq(turned[at]),
                write_port.en.eq(take), read_port.addr.eq(Cat(column, read_bank)),
            ]  # fmt: skip
            read.append(read_port.data)
        out = Signal(self.layout, reset_less=True)
        m.d.comb += self.o.payload.eq(out)
        with m.If(advance):
            m.d.sync += [self.o.valid.eq(give),
                         out.numbers.eq(Cat(_rotated(read, (-column)[:BITS])))]  # fmt: skip
        if self.tag_bits:
            self._tags(m, out, take & (row == 0), write_bank, read_bank, advance)
        return m

    def _tags(self, m, out, opens, write_bank, read_bank, advance):
        tags = [Signal(self.tag_bits, name=f"tag_{bank}", reset_less=True) for bank in range(2)]
        for bank, tag in enumerate(tags):
            with m.If(opens & (write_bank == bank)):
                m.d.sync += tag.eq(self.i.payload.tag)
        with m.If(advance):
            m.d.sync += out.tag.eq(Mux(read_bank, tags[1], tags[0]))


def _rotated(values, by):
    """`values[i]` at (i + by) modulo their number: multiplexers of four, one LUT a bit each."""
    for low in range(0, len(by), 2):
        select = by[low : low + 2]
        values = [_chosen([values[(at - (step << low)) % len(values)] for step in range(1 << len(select))], select)
                  for at in range(len(values))]  # fmt: skip
    return values


def _chosen(values, select):
    for bit in select:
        values = [Mux(bit, odd, even) for even, odd in zip(values[::2], values[1::2], strict=True)]
    return values[0]
