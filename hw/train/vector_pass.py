"""The vector unit's element-wise pass, bit exact with `golden.train.vector`."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from golden.train.params import PARTIALS, PIXEL_BITS, TrainParams
from golden.train.vector import CONSTANTS
from hw.fabric.block import instantiate
from hw.fabric.pipeline import delay, strobes
from hw.fabric.ram import Ram
from hw.fabric.sure_fifo import SureFIFO

from .vector_lane import VECTOR_LANE_MODULE, VectorLane
from .vector_layouts import constant_layout, place_layout, start_layout, sums_layout, word_layout
from .vector_sums import VectorSums

__all__ = ["VectorPass", "VectorWalk"]

ROOM = 64
"""Words that may be under way."""


class VectorWalk(wiring.Component):
    """Where a pass is: a word on in every cycle with `taken`.

    Attributes:
        start, begin: a pass, and that it begins. taken: the word at `place` is.
        busy: there are words to take. ends: with `taken`, this is the last one of a segment.
    """

    def __init__(self, params: TrainParams):
        super().__init__({
            "start": In(start_layout(params)), "begin": In(1), "taken": In(1),
            "place": Out(place_layout(params)), "busy": Out(1), "last_word": Out(range(params.channel_words)),
        })

    def elaborate(self, platform):
        m = Module()
        start, begin = self.start, self.begin
        word, partial, first = (Signal.like(self.place[name], name=name) for name in ("word", "partial", "first"))
        last_word = Signal.like(self.last_word, reset_less=True)
        # less two: negative at the last pixel
        pixels, segment, left = (Signal(PIXEL_BITS + 1, name=name, reset_less=True)
                                 for name in ("pixels", "segment", "left"))  # fmt: skip
        pixel_ends, segment_ends = Signal(), left[-1]
        m.d.comb += [
            self.last_word.eq(last_word), pixel_ends.eq(word == last_word),
            self.place.word.eq(word), self.place.partial.eq(partial), self.place.first.eq(first),
            self.place.last.eq(pixel_ends & segment_ends),
        ]  # fmt: skip
        with m.If(self.taken):
            m.d.sync += word.eq(Mux(pixel_ends, 0, word + 1))
            with m.If(pixel_ends):
                m.d.sync += [
                    pixels.eq(pixels - 1), left.eq(Mux(segment_ends, segment, left - 1)),
                    partial.eq(Mux(segment_ends, 0, partial + 1)),
                    first.eq(segment_ends | (first & (partial != PARTIALS - 1))),
                    self.busy.eq(~pixels[-1]),
                ]  # fmt: skip
        with m.If(begin):
            m.d.sync += [
                pixels.eq(start.pixels - 2), segment.eq(start.segment - 2), left.eq(start.segment - 2),
                last_word.eq(start.words - 1), self.busy.eq(1),
                word.eq(0), partial.eq(0), first.eq(1),
            ]  # fmt: skip
        return m


class VectorPass(wiring.Component):
    """`golden.train.vector.vector_pass` between streams of words, pixel after pixel; a word a cycle.

    LATENCY 45: taken in cycle t, a word is offered at `o` in t + 45 at the earliest. Lanes never stop; no more words
    are let in than the FIFO at the end, a LUT RAM, has places for (as in `hw.train.wuve`).

    A segment whose sums are taken ends with SEGMENT + 14 * words cycles in which no word is taken (see `VectorSums`),
    and one more before another pass; a pass without sums with LATENCY such cycles, in which the lanes empty for the
    next pass, whose modes are others. Sums of 8 words and more that nobody takes stop the unit at a segment's end.

    Lanes are instances of VECTOR_LANE_MODULE and SUM_LANE_MODULE, which are emitted once.

    Attributes:
        start: taken between passes; words of a pass from the next cycle on.
        constants: a row of constants, taken between passes too, as a row that is written under a pass would change it;
            they stay from pass to pass. What is offered with a start, or after, comes too late for that pass.
        a, b: words of a pass, together; `b` waits in passes with b_is_a or b_none.
        o: words out, of passes with `outputs`. sums: of passes with `sums`, for each segment, those of each word of
            channels.
    """

    LATENCY = VectorLane.LATENCY + 1
    SEGMENT = VectorLane.ADDENDS_AT - 1 + VectorSums.COMBINED

    def __init__(self, params: TrainParams):
        self.params = params
        word = stream.Signature(word_layout(params))
        super().__init__({
            "start": In(stream.Signature(start_layout(params))),
            "constants": In(stream.Signature(constant_layout(params))),
            "a": In(word), "b": In(word), "o": Out(word), "sums": Out(stream.Signature(sums_layout(params))),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        m.submodules.walk = walk = VectorWalk(self.params)
        m.submodules.totals = totals = VectorSums(self.params)
        mode = Signal(start_layout(self.params), reset_less=True)
        taken = self._admit(m, mode, walk, totals.done)
        constants = self._constants(m, walk.place.word)
        used = Signal.like(totals.used, reset_less=True)
        with m.If(walk.begin):
            start = self.start.payload
            m.d.sync += [mode.eq(start), used.eq(Mux(start.segment < PARTIALS, start.segment, PARTIALS))]
        before_addends = VectorLane.ADDENDS_AT - 1
        m.d.comb += [
            walk.start.eq(self.start.payload), walk.taken.eq(taken),
            totals.valid.eq(strobes(m, taken & mode.sums, before_addends, "added")[-1]),
            totals.place.eq(delay(m, walk.place, before_addends, "place")),
            totals.used.eq(used), totals.last_word.eq(walk.last_word),
        ]  # fmt: skip
        connect(m, totals.o, flipped(self.sums))

        made = Signal(word_layout(self.params))
        for k in range(self.params.word):
            lane = instantiate(m, VECTOR_LANE_MODULE, VectorLane.PORTS, f"lane_{k}")
            m.d.comb += [
                lane.a.eq(self.a.payload[k]), lane.b.eq(self.b.payload[k]),
                *(getattr(lane, name).eq(mode[name]) for name in ("gate", "relu", "b_is_a", "b_none")),
                *(getattr(lane, f"c{n}").eq(row.word_select(k, 32)) for n, row in enumerate(constants)),
                totals.z[k].eq(lane.z), totals.zb[k].eq(lane.zb), made[k].eq(lane.half),
            ]  # fmt: skip
        m.submodules.results = results = SureFIFO(width=made.shape().size, depth=ROOM)
        valid = strobes(m, taken & mode.outputs, VectorLane.LATENCY, "valid")[-1]
        m.d.comb += [
            results.w_en.eq(valid), results.w_data.eq(made),
            self.o.valid.eq(results.r_rdy), self.o.payload.eq(results.r_data), results.r_en.eq(self.o.ready),
        ]  # fmt: skip
        return m

    def _admit(self, m, mode, walk, done):
        """A word is taken: there is place for it, and the segment before is done; a start: nothing is inside."""
        under_way, inside, closed = Signal(range(ROOM + 1)), Signal(range(self.LATENCY)), Signal()
        taken, left, rests = Signal(), self.o.valid & self.o.ready, Signal()
        reads_b, may = ~(mode.b_is_a | mode.b_none), walk.busy & ~closed & ~(mode.outputs & under_way[-1])
        m.d.comb += [
            self.a.ready.eq(may & (self.b.valid | ~reads_b)), self.b.ready.eq(may & reads_b & self.a.valid),
            taken.eq(self.a.valid & self.a.ready),
            rests.eq(~walk.busy & ~closed & (inside == 0)),
            self.start.ready.eq(rests), self.constants.ready.eq(rests), walk.begin.eq(self.start.valid & rests),
        ]  # fmt: skip
        m.d.sync += [
            under_way.eq(under_way + (taken & mode.outputs) - left), inside.eq(Mux(inside == 0, 0, inside - 1)),
        ]  # fmt: skip
        with m.If(taken):
            m.d.sync += [inside.eq(VectorLane.LATENCY), closed.eq(mode.sums & walk.place.last)]
        with m.If(done):
            m.d.sync += closed.eq(0)
        return taken

    def _constants(self, m, word):
        """c0 .. c4 of words, each when the lanes take it; `word` is the one that is taken."""
        row, rows = self.constants.payload, []
        for n, at in zip(range(CONSTANTS), VectorLane.CONSTANTS_AT, strict=True):
            m.submodules[f"c{n}"] = ram = Ram(width=32 * self.params.word, depth=self.params.channel_words)
            m.d.comb += [
                ram.write_enable.eq(self.constants.valid & self.constants.ready & (row.constant == n)),
                ram.write_address.eq(row.word), ram.write_data.eq(row.numbers.as_value()),
                ram.read_address.eq(delay(m, word, at - 1, f"word_{n}")), ram.read_enable.eq(1),
            ]  # fmt: skip
            rows.append(ram.read_data)
        return rows
