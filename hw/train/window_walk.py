"""The lines of a POOL's windows one after the other: where they lie in memory."""

from amaranth.hdl import Const, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["WindowWalk", "windows_layout"]


def windows_layout() -> data.StructLayout:
    """Counts, at least 1, and words from one to the next: of a window's lines (`kernel`, `line`), a line's windows
    (`nx`, `window`), lines of windows (`ny`, `row`), images (`images`, `image`)."""
    return data.StructLayout({"kernel": 4, "line": 20, "nx": 12, "window": 16, "ny": 12, "row": 28, "images": 20,
                              "image": 28})


class WindowWalk(wiring.Component):
    """A line a cycle. Flags are registers or follow from few of them.

    Attributes:
        start: strobe: the first line, which begins at word `first`, is next. windows: stable from then on.
        next: strobe: the line after this. at: word at which this one begins; following: at which the next does.
        window_ends: it is the last one of its window; last: of all.
    """

    def __init__(self):
        super().__init__({
            "start": In(1), "first": In(32), "windows": In(windows_layout()), "next": In(1),
            "at": Out(32), "following": Out(32), "window_ends": Out(1), "last": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        windows, base, step = self.windows, Signal(32), Signal(28)
        m.d.comb += self.following.eq(base + step)
        moves, all_end = self.next, Const(1)
        for number, (count, words) in enumerate((("kernel", "line"), ("nx", "window"), ("ny", "row"),
                                                 ("images", "image"))):  # fmt: skip
            first = self.at if number == 0 else Signal(32, name=f"{words}_first", reset_less=True)
            left, ends = Signal.like(windows[count], name=f"{count}_left"), Signal(name=f"{count}_ends")
            one = windows[count] == 1
            with m.If(all_end):  # of all within
                m.d.comb += [base.eq(first), step.eq(windows[words])]
            with m.If(moves):
                m.d.sync += [first.eq(self.following), left.eq(Mux(ends, windows[count], left - 1)),
                             ends.eq(Mux(ends, one, left == 2))]  # fmt: skip
            with m.If(self.start):
                m.d.sync += [first.eq(self.first), left.eq(windows[count]), ends.eq(one)]
            moves, all_end = moves & ends, all_end & ends
            if number == 0:
                m.d.comb += self.window_ends.eq(ends)
        m.d.comb += self.last.eq(all_end)
        return m
