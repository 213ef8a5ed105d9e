"""The taps and channel words of an MM one after the other."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from golden.train.params import TrainParams

from .pixel_walk import POSITION_BITS, mm_layout

__all__ = ["TapWalk", "tap_layout"]


def tap_layout(params: TrainParams) -> data.StructLayout:
    """What a word of a tap adds to a pixel: `row` of X, positions `x` and `y` in the image."""
    return data.StructLayout({
        "row": (params.x_words - 1).bit_length(), "x": signed(POSITION_BITS), "y": signed(POSITION_BITS),
    })


class TapWalk(wiring.Component):
    """A word of a tap: what it adds to a pixel. After the last one comes the first one again.

    Attributes:
        mm: the instruction, stable from the cycle before `restart` on. restart, advance: strobes: the next cycle shows
            the first word, or the next one. by: words that `advance` goes on; they divide those of a tap.
        tap: of the word. w: row of W where the tap's steps begin, from that of step 0.
        opens: it is the first word of its tap. last: it is the last one of all.
    """

    def __init__(self, params: TrainParams):
        self.params = params
        super().__init__({
            "mm": In(mm_layout()), "restart": In(1), "advance": In(1), "by": In(8),
            "tap": Out(tap_layout(params)), "w": Out((params.w_steps - 1).bit_length()),
            "opens": Out(1), "last": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        mm, shown = self.mm, self.tap
        x_left, y_left, words_left = Signal(4), Signal(4), Signal(8)
        tap, line = Signal(len(shown.row)), Signal(len(shown.row))  # the tap's first row, that of its line
        w_line = Signal(len(self.w))
        tap_ends, line_ends, all_end = Signal(), Signal(), Signal()
        m.d.comb += [
            tap_ends.eq(words_left <= self.by), line_ends.eq(tap_ends & (x_left == 0)),
            all_end.eq(line_ends & (y_left == 0)), self.last.eq(all_end),
        ]
        with m.If(self.advance):
            m.d.sync += [
                self.opens.eq(tap_ends), words_left.eq(Mux(tap_ends, mm.words, words_left - self.by)),
                shown.row.eq(Mux(line_ends, line + mm.tap_y, Mux(tap_ends, tap + mm.tap_x, shown.row + self.by))),
            ]
            with m.If(tap_ends):
                m.d.sync += [
                    tap.eq(Mux(line_ends, line + mm.tap_y, tap + mm.tap_x)),
                    shown.x.eq(Mux(line_ends, 0, shown.x + mm.tap_dx)),
                    self.w.eq(Mux(line_ends, w_line + mm.w_y, self.w + mm.w_x)),
                    x_left.eq(Mux(line_ends, mm.taps_x - 1, x_left - 1)),
                ]
            with m.If(line_ends):
                m.d.sync += [line.eq(line + mm.tap_y), w_line.eq(w_line + mm.w_y), shown.y.eq(shown.y + mm.tap_dy),
                             y_left.eq(y_left - 1)]
        with m.If(self.restart | (self.advance & all_end)):
            m.d.sync += [
                shown.row.eq(0), tap.eq(0), line.eq(0), w_line.eq(0), self.w.eq(0), shown.x.eq(0), shown.y.eq(0),
                self.opens.eq(1), x_left.eq(mm.taps_x - 1), y_left.eq(mm.taps_y - 1), words_left.eq(mm.words),
            ]
        return m
