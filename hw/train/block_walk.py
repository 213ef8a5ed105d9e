"""The blocks of an UPD one after the other."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from golden.train.params import GROUP, TrainParams

__all__ = ["BlockWalk"]


class BlockWalk(wiring.Component):
    """Tap after tap, group of inputs after group, block after block of a tile's outputs. Flags are registers or follow
    from few of them.

    Attributes:
        start: strobe: block 0 is next. taps, groups: of the instruction, with it. next: strobe: the block after this.
        line_ends: no further one of the tile's outputs; tile_ends: nor of as many inputs as a tile has; tap_ends: nor
            of the tap. last: of all.
    """

    def __init__(self, params: TrainParams):
        self.params = params
        super().__init__({
            "start": In(1), "taps": In(8), "groups": In(12), "next": In(1),
            "line_ends": Out(1), "tile_ends": Out(1), "tap_ends": Out(1), "last": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        per_tile = self.params.tile_columns // GROUP
        column, part = Signal(range(max(2, per_tile))), Signal(range(max(2, per_tile)))
        groups_left, taps_left = Signal(12), Signal(8)
        last_group, last_tap = Signal(), Signal()
        m.d.comb += [
            self.line_ends.eq(column == per_tile - 1),
            self.tap_ends.eq(self.line_ends & last_group),
            self.tile_ends.eq(self.tap_ends | (self.line_ends & (part == per_tile - 1))),
            self.last.eq(self.tap_ends & last_tap),
        ]
        groups_end, taps_end = self.groups == 1, self.taps == 1
        with m.If(self.next):
            m.d.sync += column.eq(Mux(self.line_ends, 0, column + 1))
        with m.If(self.next & self.line_ends):
            m.d.sync += [groups_left.eq(Mux(last_group, self.groups, groups_left - 1)),
                         last_group.eq(Mux(last_group, groups_end, groups_left == 2)),
                         part.eq(Mux(self.tile_ends, 0, part + 1))]  # fmt: skip
        with m.If(self.next & self.tap_ends):
            m.d.sync += [taps_left.eq(taps_left - 1), last_tap.eq(taps_left == 2)]
        with m.If(self.start):
            m.d.sync += [column.eq(0), part.eq(0), groups_left.eq(self.groups), taps_left.eq(self.taps),
                         last_group.eq(groups_end), last_tap.eq(taps_end)]  # fmt: skip
        return m
