"""The N:M sparse tensor computing engine: a systolic array of USPEs, output- or weight-stationary."""

from itertools import pairwise

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from golden.floats import BINARY32
from golden.train.params import GROUP, INTERLEAVE, TrainParams
from hw.fabric.block import instantiate
from hw.fabric.float16 import Widen
from hw.fabric.pipeline import delay, strobes

from .exact_mul import DROPPED
from .row_feed import RowFeed, control_layout
from .uspe import SLOT_BITS, USPE_MODULE, Uspe

__all__ = ["Stce", "weight_layout"]

RING = GROUP * INTERLEAVE


def weight_layout(params: TrainParams) -> data.ArrayLayout:
    """A step's weights: of each column a 16-bit number and which of 16 numbers it is multiplied with."""
    return data.ArrayLayout(data.StructLayout({"value": 16, "index": SLOT_BITS}), params.columns)


class Stce(wiring.Component):
    """`rows` x `columns` elements, a step a cycle. Row r does what `control` says `row_delay` r cycles later: 1, or if
    weights are stationary 8 slots + 1.

    From the last step of a sum j: output-stationary, sum j of row r leaves OUTPUT + 8 (rows - 1 - r) cycles later, so
    `rows` x 8 vectors of sums, the last row first, without a gap; weight-stationary, vector j leaves
    OUTPUT_STATIONARY + 8 slots (rows - 1) cycles later. No back-pressure.

    Attributes:
        control: for row 0. word, groups: see RowFeed; a word to load lies there when the row it is for loads.
        weights: of the step of the same cycle.
        stationary, slots_log2: weights are stationary, a group has 2**slots_log2 of them. They change only when for
            RING cycles and all that is under way nothing has been said in `control`.
        sums, valid: a vector of the columns' sums.
    """

    RING = RING
    """Cycles of silence."""

    def __init__(self, params: TrainParams):
        self.params = params
        self.OUTPUT = self.output(params)
        self.OUTPUT_STATIONARY = self.OUTPUT - Uspe.DRAIN + 1
        super().__init__({
            "control": In(control_layout(params)), "word": In(16 * params.word),
            "groups": In(range(params.rows)), "weights": In(weight_layout(params)),
            "stationary": In(1), "slots_log2": In(range(GROUP.bit_length())),
            "sums": Out(BINARY32.bits).array(params.columns), "valid": Out(1),
        })

    @staticmethod
    def output(params: TrainParams) -> int:
        """OUTPUT of an array."""
        return RowFeed.LATENCY + params.rows - 1 + params.columns - 1 + Uspe.SUM + Uspe.DRAIN

    def elaborate(self, platform):
        m = Module()
        p = self.params
        controls = self._controls(m)
        elements = [
            [instantiate(m, USPE_MODULE, Uspe.ports(), f"uspe_{row}_{column}") for column in range(p.columns)]
            for row in range(p.rows)
        ]
        for row, (control, of_row) in enumerate(zip(controls, elements, strict=True)):
            m.submodules[f"feed_{row}"] = feed = RowFeed(p, row)
            m.d.comb += [
                feed.control.eq(control),
                *(getattr(feed, name).eq(getattr(self, name)) for name in ("word", "stationary", "groups")),
                of_row[0].step.eq(feed.step), of_row[0].link.eq(feed.link),
            ]  # fmt: skip
            for left, right in pairwise(of_row):
                m.d.comb += [right.step.eq(left.step_right), right.link.eq(left.link_right)]
            for column, element in enumerate(of_row):
                m.d.comb += element.stationary.eq(self.stationary)
                if row:
                    upper = elements[row - 1][column]
                    m.d.comb += [element.slot.eq(upper.slot_below), element.above.eq(upper.below)]
        for column, element in enumerate(elements[0]):
            m.submodules[f"widen_{column}"] = widen = Widen(p.half)
            weight = data.View(weight_layout(p).elem_shape,
                               delay(m, self.weights[column], column, f"weight_{column}"))
            m.d.comb += [
                widen.ce.eq(1), widen.i.eq(weight.value), element.slot.value.eq(widen.o[DROPPED:]),
                element.slot.index.eq(delay(m, weight.index, Widen.LATENCY, f"index_{column}")),
            ]
        for column, element in enumerate(elements[-1]):
            m.d.comb += self.sums[column].eq(delay(m, element.below, p.columns - 1 - column, f"sum_{column}"))
        self._valid(m, controls[-1])
        return m

    def _controls(self, m):
        """The control of every row. Rings of RING places, of which 8 slots are used, make the long delays."""
        shape, at = control_layout(self.params), Signal(range(RING))
        most = Mux(self.stationary, (INTERLEAVE << self.slots_log2) - 1, RING - 1)
        m.d.sync += at.eq((at + 1) & most)
        controls = [self.control]
        for row in range(1, self.params.rows):
            before = controls[-1].as_value()
            ring = Memory(shape=len(before), depth=RING, init=[], attrs={"ram_style": "distributed"})
            m.submodules[f"ring_{row}"] = ring
            write, read = ring.write_port(), ring.read_port(domain="comb")
            control = Signal(shape, name=f"control_{row}")
            m.d.comb += [write.addr.eq(at), write.data.eq(before), write.en.eq(1), read.addr.eq(at)]
            m.d.sync += control.as_value().eq(Mux(self.stationary, read.data, before))
            controls.append(control)
        return controls

    def _valid(self, m, last_row):
        after = RowFeed.LATENCY + Uspe.SUM + self.params.columns - 1
        ends = Signal(2)  # any sum, the first sum of a row
        m.d.comb += ends.eq(Cat(last_row.last, last_row.last & (last_row.sum == 0)))
        any_sum = strobes(m, ends[0] & self.stationary, after + 1, "any_sum")[-1]
        begins = strobes(m, ends[1] & ~self.stationary, after + Uspe.DRAIN - 1, "begins")[-1]
        left = Signal(range(INTERLEAVE * self.params.rows + 1))
        with m.If(begins):
            m.d.sync += left.eq(INTERLEAVE * self.params.rows)
        with m.Elif(left != 0):
            m.d.sync += left.eq(left - 1)
        m.d.comb += self.valid.eq(any_sum | (left != 0))
