"""The matrix unit: buffers, schedule, array and sums."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out, connect, flipped

from golden.train.params import TrainParams
from hw.fabric.pipeline import delay, strobes

from .layouts import addressed_layout
from .pixel_walk import mm_layout
from .row_feed import control_layout
from .schedule import Schedule, step_plan_layout
from .stce import Stce
from .sums import Sums
from .weight_fetch import WeightFetch
from .word_fetch import WordFetch

__all__ = ["MatrixUnit"]


class MatrixUnit(wiring.Component):
    """MM, as `golden.train.matrix`: an instruction's tiles follow each other without a gap; the next instruction begins
    when the last tile's steps are scheduled, or, if one of the two is stationary, when its sums are in memory.

    Attributes:
        mm: instructions. finished: strobe: the oldest one's sums are in memory. busy: there is one.
        write_x, write_values, write_index, write_row, write_data: a memory word into a buffer.
        words, answered: what goes to memory; a strobe: a word of it is there.
        steps: the array's first row multiplies. wrong: an instruction is none; it has no end.
    """

    CLEAR = Stce.RING
    """Cycles after a reset until nothing of before is left in delays."""

    def __init__(self, params: TrainParams):
        self.params = params
        super().__init__({
            "mm": In(stream.Signature(mm_layout())), "finished": Out(1), "busy": Out(1),
            "write_x": In(1), "write_values": In(1), "write_index": In(1),
            "write_row": In(range(max(params.x_words, params.w_steps))), "write_data": In(params.axi_bits),
            "words": Out(stream.Signature(addressed_layout(params))), "answered": In(1),
            "steps": Out(1), "wrong": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        p = self.params
        m.submodules.schedule = schedule = Schedule(p)
        m.submodules.word_fetch = word_fetch = WordFetch(p)
        m.submodules.weight_fetch = weight_fetch = WeightFetch(p)
        m.submodules.stce = stce = Stce(p)
        m.submodules.sums = sums = Sums(p)
        mm = Signal(mm_layout(), reset_less=True)
        accepts = self.mm.valid & self.mm.ready
        with m.If(accepts):
            m.d.sync += mm.eq(self.mm.payload)
        m.d.sync += schedule.start.eq(accepts)
        m.d.comb += [
            self.mm.ready.eq(schedule.idle & ~schedule.start & sums.mm.ready),
            sums.mm.valid.eq(self.mm.valid & schedule.idle & ~schedule.start), sums.mm.payload.eq(self.mm.payload),
            schedule.mm.eq(mm), word_fetch.mm.eq(mm), self.busy.eq(~schedule.idle | schedule.start | sums.busy),
            self.finished.eq(sums.finished), schedule.finished.eq(sums.finished), schedule.room.eq(sums.room),
            sums.tile.eq(schedule.tile), sums.tile_rows.eq(schedule.tile_rows), sums.tile_last.eq(schedule.tile_last),
            sums.tile_stationary.eq(mm.stationary),
            *(getattr(word_fetch, name).eq(getattr(schedule, name))
              for name in ("restart", "free", "slot", "tap")),
            *(getattr(stce, name).eq(getattr(schedule, name)) for name in ("stationary", "slots_log2", "groups")),
            stce.word.eq(word_fetch.word), stce.weights.eq(weight_fetch.weights),
            sums.valid.eq(stce.valid), *(sums.sums[column].eq(value) for column, value in enumerate(stce.sums)),
            sums.answered.eq(self.answered),
            word_fetch.write.eq(self.write_x), word_fetch.write_row.eq(self.write_row),
            word_fetch.write_data.eq(self.write_data),
            *(getattr(weight_fetch, name).eq(getattr(self, name))
              for name in ("write_values", "write_index", "write_row", "write_data")),
        ]
        m.d.comb += [self.steps.eq(stce.control.on), self.wrong.eq(sums.wrong | schedule.wrong)]
        connect(m, sums.words, flipped(self.words))
        self._control(m, schedule, weight_fetch, stce)
        return m

    def _control(self, m, schedule, weight_fetch, stce):
        """Words, weights and what the rows do come together at the array."""
        p, fetch = self.params, WordFetch.LATENCY
        before = fetch - WeightFetch.LATENCY
        step = data.View(step_plan_layout(p), self._delayed(m, schedule, before))
        m.d.comb += [weight_fetch.row.eq(step.w), weight_fetch.slot.eq(step.slot), weight_fetch.dense.eq(step.dense)]
        control = stce.control
        later = data.View(step_plan_layout(p), delay(m, step, WeightFetch.LATENCY, "step"))
        m.d.comb += [getattr(control, name).eq(getattr(later, name))
                     for name in control_layout(p).members if name in step_plan_layout(p).members]
        m.d.comb += [
            control.load.eq(strobes(m, schedule.load, fetch, "load")[-1]),
            control.write.eq(strobes(m, schedule.write, fetch + 1, "write")[-1]),
            control.spread.eq(delay(m, schedule.spread, fetch + 1, "spread")),
            control.place.eq(delay(m, schedule.place, fetch + 1, "place")),
        ]

    def _delayed(self, m, schedule, further):
        """The schedule's step, LEAD or LEAD_SPREAD and `further` cycles later."""
        plan = schedule.step.as_value()
        ring = Memory(shape=len(plan), depth=Stce.RING, init=[], attrs={"ram_style": "distributed"})
        m.submodules.steps = ring
        write, read = ring.write_port(), ring.read_port(domain="comb")
        at, last = Signal(range(Stce.RING)), Signal(range(Stce.RING), init=Stce.RING - 1)
        m.d.sync += last.eq(Mux(schedule.spread, Schedule.LEAD_SPREAD, Schedule.LEAD) + further - 2)
        m.d.sync += at.eq(Mux(at >= last, 0, at + 1))
        m.d.comb += [write.en.eq(1), write.addr.eq(at), write.data.eq(plan), read.addr.eq(at)]
        return delay(m, read.data, 1, "plan")
