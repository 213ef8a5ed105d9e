"""Which words the vector unit takes, and where it adds them."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from golden.train.params import PARTIALS, PIXEL_BITS, TrainParams

from .vector_lane import VectorLane
from .vector_layouts import place_layout, start_layout

__all__ = ["ROOM", "VectorWalk"]

ROOM = 64
"""Words of outputs that may be under way."""


class VectorWalk(wiring.Component):
    """Takes a pass, then its words one after the other.

    A word is taken if there is place for its outputs and no segment's sums are being combined; a pass if none is inside
    the lanes, whose modes it changes.

    Attributes:
        start: passes. mode: the one that is under way.
        a_valid, b_valid: words are there. a_ready, b_ready: and are taken.
        taken: a word is, at `place`; its outputs are in use until `left`. done: sums are combined.
        rests: nothing is inside.
        last_word, used: words of a pixel less one; partial sums of a segment.
    """

    def __init__(self, params: TrainParams):
        self.params = params
        start = start_layout(params)
        super().__init__({
            "start": In(stream.Signature(start)), "mode": Out(start),
            "a_valid": In(1), "b_valid": In(1), "a_ready": Out(1), "b_ready": Out(1),
            "taken": Out(1), "place": Out(place_layout(params)), "left": In(1), "done": In(1), "rests": Out(1),
            "last_word": Out(range(params.channel_words)), "used": Out(range(PARTIALS + 1)),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        start, begins = self.start.payload, Signal()
        mode = Signal(self.mode.shape(), reset_less=True)
        last_word, used = (Signal.like(getattr(self, name), name=f"{name}_now", reset_less=True)
                           for name in ("last_word", "used"))  # fmt: skip
        m.d.comb += [
            self.mode.eq(mode), self.last_word.eq(last_word), self.used.eq(used),
            self.start.ready.eq(self.rests), begins.eq(self.start.valid & self.rests),
        ]  # fmt: skip
        with m.If(begins):
            m.d.sync += [
                mode.eq(start), last_word.eq(start.words - 1),
                used.eq(Mux(start.segment < PARTIALS, start.segment, PARTIALS)),
            ]  # fmt: skip
        busy = self._walk(m, begins, last_word)
        self._admit(m, mode, busy)
        return m

    def _walk(self, m, begins, last_word):
        """Counts; whether there are words to take."""
        start = self.start.payload
        word, partial, first = (Signal.like(self.place[name], name=name) for name in ("word", "partial", "first"))
        # less two: negative at the last pixel
        pixels, segment, left = (Signal(PIXEL_BITS + 1, name=name, reset_less=True)
                                 for name in ("pixels", "segment", "left_pixels"))  # fmt: skip
        busy, pixel_ends, segment_ends = Signal(), Signal(), left[-1]
        m.d.comb += [
            pixel_ends.eq(word == last_word),
            self.place.word.eq(word), self.place.partial.eq(partial), self.place.first.eq(first),
            self.place.last.eq(pixel_ends & segment_ends),
        ]  # fmt: skip
        with m.If(self.taken):
            m.d.sync += word.eq(Mux(pixel_ends, 0, word + 1))
            with m.If(pixel_ends):
                m.d.sync += [
                    pixels.eq(pixels - 1), left.eq(Mux(segment_ends, segment, left - 1)), busy.eq(~pixels[-1]),
                    partial.eq(Mux(segment_ends, 0, partial + 1)),
                    first.eq(segment_ends | (first & (partial != PARTIALS - 1))),
                ]  # fmt: skip
        with m.If(begins):
            m.d.sync += [
                pixels.eq(start.pixels - 2), segment.eq(start.segment - 2), left.eq(start.segment - 2), busy.eq(1),
                word.eq(0), partial.eq(0), first.eq(1),
            ]  # fmt: skip
        return busy

    def _admit(self, m, mode, busy):
        under_way, inside, closed = Signal(range(ROOM + 1)), Signal(range(VectorLane.LATENCY + 1)), Signal()
        reads_b, may = ~(mode.b_is_a | mode.b_none), busy & ~closed & ~(mode.outputs & under_way[-1])
        m.d.comb += [
            self.a_ready.eq(may & (self.b_valid | ~reads_b)), self.b_ready.eq(may & reads_b & self.a_valid),
            self.taken.eq(self.a_valid & self.a_ready), self.rests.eq(~busy & ~closed & (inside == 0)),
        ]  # fmt: skip
        m.d.sync += [
            under_way.eq(under_way + (self.taken & mode.outputs) - self.left),
            inside.eq(Mux(inside == 0, 0, inside - 1)),
        ]  # fmt: skip
        with m.If(self.taken):
            m.d.sync += [inside.eq(VectorLane.LATENCY), closed.eq(mode.sums & self.place.last)]
        with m.If(self.done):
            m.d.sync += closed.eq(0)
