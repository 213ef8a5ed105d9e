"""Which banks are read at which depth: a row's elements, depth by depth, a group of `lanes` banks a cycle."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from golden.spgemm.params import SpgemmParams

from .layouts import row_layout
from .row_fetch import counted_layout

__all__ = ["RowReader"]


class RowReader(wiring.Component):
    """Reads of rows one behind the other without a gap; a row without elements takes a cycle, as a group does.

    Attributes:
        rows: as in `counted_layout`. room: reads may begin.
        read, read_address: of the banks, LATENCY cycles after their group is chosen.
        group, mask: the group, and its lanes that are read.
        release, released: strobe, with the row's last read.
        busy: a row has not been read.
    """

    LATENCY = 2

    def __init__(self, params: SpgemmParams):
        self.params = p = params
        self.groups = p.banks // p.lanes
        super().__init__({
            "rows": In(stream.Signature(counted_layout(p))),
            "room": In(1),
            "read": Out(p.banks),
            "read_address": Out(range(2 * p.slots)),
            "mask": Out(p.lanes),
            "group": Out(range(max(2, self.groups))),
            "release": Out(1),
            "released": Out(row_layout(p)),
            "busy": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        p = self.params
        counted, valid = Signal(counted_layout(p), reset_less=True), Signal()
        # `first`: groups that are to be read at `depth`; `second`: one deeper; `third`: banks that have two deeper ones
        depth, deeper = Signal(range(p.slots), reset_less=True), Signal(p.slots.bit_length() + 1, reset_less=True)
        rest, advance, done = Signal(self.groups), Signal(), Signal()
        m.d.comb += [
            rest.eq(counted.first & (counted.first - 1)), advance.eq(valid & self.room),
            done.eq(advance & ~rest.any() & ~counted.second.any()), self.rows.ready.eq(~valid | done),
        ]  # fmt: skip
        with m.If(advance):
            m.d.sync += counted.first.eq(rest)
            with m.If(~rest.any()):
                third = [counted.third.word_select(group, p.lanes).any() for group in range(self.groups)]
                m.d.sync += [
                    counted.first.eq(counted.second), counted.second.eq(Cat(*third)),
                    counted.third.eq(Cat(*(count > deeper for count in counted.counts))),
                    depth.eq(depth + 1), deeper.eq(deeper + 1),
                ]  # fmt: skip
        with m.If(self.rows.ready):
            m.d.sync += [counted.eq(self.rows.payload), valid.eq(self.rows.valid), depth.eq(0), deeper.eq(3)]
        self._read(m, advance, done, counted, depth)
        m.d.comb += self.busy.eq(valid | self.release)
        return m

    def _read(self, m, advance, done, counted, depth):
        """Stage 1: the group's counts and the address; stage 2: its banks that are deep enough."""
        p = self.params
        chosen = Signal(self.groups)
        for group in range(self.groups):
            m.d.comb += chosen[group].eq(advance & counted.first[group] & ~counted.first[:group].any())
        groups1, done1, depth1 = Signal(self.groups), Signal(), Signal.like(depth, reset_less=True)
        counts1 = Signal(data.ArrayLayout(p.slots.bit_length(), p.lanes), reset_less=True)
        row1, row2 = Signal(row_layout(p), reset_less=True), self.released
        all_counts = counted.counts.as_value()
        width = counts1.as_value().shape().width
        counts = 0
        for group in range(self.groups):
            counts = counts | Mux(chosen[group], all_counts.word_select(group, width), 0)
        m.d.sync += [
            groups1.eq(chosen), done1.eq(done), depth1.eq(depth), row1.eq(counted.row), counts1.eq(counts),
            self.release.eq(done1), row2.eq(row1),
        ]  # fmt: skip

        base = row1.context << (p.region.bit_length() - 1)
        deep = Signal(p.lanes)
        m.d.comb += deep.eq(Cat(*(count > depth1 for count in counts1)))
        m.d.sync += [
            self.mask.eq(deep & groups1.any().replicate(p.lanes)),
            self.read_address.eq(Cat((base | depth1)[: len(depth1)], row1.half)), self.group.eq(0),
        ]  # fmt: skip
        for group in range(self.groups):
            m.d.sync += self.read.word_select(group, p.lanes).eq(deep & groups1[group].replicate(p.lanes))
            with m.If(groups1[group]):
                m.d.sync += self.group.eq(group)
