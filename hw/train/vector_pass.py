"""The vector unit's element-wise pass, bit exact with `golden.train.vector`."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from golden.train.params import TrainParams
from golden.train.vector import CONSTANTS
from hw.fabric.block import instantiate
from hw.fabric.pipeline import delay, strobes
from hw.fabric.ram import Ram
from hw.fabric.sure_fifo import SureFIFO

from .vector_lane import VECTOR_LANE_MODULE, VectorLane
from .vector_layouts import constant_layout, start_layout, sums_layout, word_layout
from .vector_sums import VectorSums
from .vector_walk import ROOM, VectorWalk

__all__ = ["VectorPass"]


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
        mode, taken = walk.mode, walk.taken
        constants = self._constants(m, walk)
        before_addends = VectorLane.ADDENDS_AT - 1
        m.d.comb += [
            walk.a_valid.eq(self.a.valid), walk.b_valid.eq(self.b.valid),
            self.a.ready.eq(walk.a_ready), self.b.ready.eq(walk.b_ready),
            walk.left.eq(self.o.valid & self.o.ready), walk.done.eq(totals.done),
            totals.valid.eq(strobes(m, taken & mode.sums, before_addends, "added")[-1]),
            totals.place.eq(delay(m, walk.place, before_addends, "place")),
            totals.used.eq(walk.used), totals.last_word.eq(walk.last_word),
        ]  # fmt: skip
        connect(m, flipped(self.start), walk.start)
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

    def _constants(self, m, walk):
        """c0 .. c4 of the words that are taken, each when the lanes use it."""
        row, rows = self.constants.payload, []
        m.d.comb += self.constants.ready.eq(walk.rests)
        for n, at in zip(range(CONSTANTS), VectorLane.CONSTANTS_AT, strict=True):
            m.submodules[f"c{n}"] = ram = Ram(width=32 * self.params.word, depth=self.params.channel_words)
            m.d.comb += [
                ram.write_enable.eq(self.constants.valid & self.constants.ready & (row.constant == n)),
                ram.write_address.eq(row.word), ram.write_data.eq(row.numbers.as_value()),
                ram.read_address.eq(delay(m, walk.place.word, at - 1, f"word_{n}")), ram.read_enable.eq(1),
            ]  # fmt: skip
            rows.append(ram.read_data)
        return rows
