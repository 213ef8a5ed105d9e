"""What comes into a row of the STCE from the left: its numbers and its steps."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from golden.train.params import GROUP, TrainParams
from hw.fabric.float16 import Widen
from hw.fabric.pipeline import delay

from .exact_mul import DROPPED
from .uspe import PLACE_BITS, SLOT_BITS, SUM_BITS, Uspe, link_layout, step_layout

__all__ = ["RowFeed", "control_layout"]


def control_layout(params: TrainParams) -> data.StructLayout:
    """What a row does in a cycle.

    `load`: the word of numbers is for this row. `write`: its next number goes to `place` of the row's elements; with
    `spread` the one that lies at the row's place in a word, else the next one of the word that was loaded.
    `on`, `half`, `slot`, `sum`: a step, see `step_layout`; `first`, `last`: it begins, or ends, its sum. `store`: the
    step's weight is for row `row` to keep.
    """
    return data.StructLayout({
        "load": 1, "write": 1, "spread": 1, "place": PLACE_BITS, "on": 1, "half": 1, "slot": SLOT_BITS, "sum": SUM_BITS,
        "first": 1, "last": 1, "store": 1, "row": (params.rows - 1).bit_length(),
    })


class RowFeed(wiring.Component):
    """Numbers of a row, widened, and its steps, LATENCY 2 cycles later; a number a cycle.

    Args:
        row: its number in the array.

    Attributes:
        control: of this row. word: `params.word` numbers; those to spread lie there when row 0, or the first of each
            `params.word` rows in the cycles behind that, is told to write.
        stationary: the group of the word that is the row's comes first.
        groups: if weights are stationary: rows that have any; 0: all.
    """

    LATENCY = Widen.LATENCY

    def __init__(self, params: TrainParams, row: int):
        self.params, self.row = params, row
        super().__init__({
            "control": In(control_layout(params)), "word": In(16 * params.word),
            "stationary": In(1), "groups": In(range(params.rows)),
            "step": Out(step_layout()), "link": Out(link_layout()),
        })

    def elaborate(self, platform):
        m = Module()
        p, control = self.params, self.control
        m.submodules.widen = widen = Widen(p.half)
        numbers = Signal(16 * p.word, reset_less=True)
        group = 16 * GROUP * (self.row % (p.word // GROUP))
        with m.If(control.load):
            m.d.sync += numbers.eq(Mux(self.stationary, self.word.rotate_right(group), self.word))
        with m.Elif(control.write):
            m.d.sync += numbers.eq(numbers >> 16)
        mine = delay(m, self.word.word_select(self.row % p.word, 16), self.row - self.row // p.word, "mine")
        m.d.comb += [widen.ce.eq(1), widen.i.eq(Mux(control.spread, mine, numbers[:16]))]

        has_weights = Signal()
        m.d.sync += has_weights.eq((self.groups == 0) | (self.groups > self.row))
        later = data.View(control_layout(p), delay(m, control, self.LATENCY, "control"))
        m.d.comb += [
            self.link.write.eq(later.write), self.link.place.eq(later.place),
            self.link.number.eq(widen.o[DROPPED:]),
            self.step.on.eq(later.on & has_weights), self.step.half.eq(later.half), self.step.slot.eq(later.slot),
            self.step.sum.eq(later.sum), self.step.store.eq(later.store & (later.row == self.row)),
            Cat(self.step.first, self.step.capture).eq(Cat(
                delay(m, later.first, Uspe.PRODUCT, "first"), delay(m, later.last, Uspe.SUM, "last"))),
        ]  # fmt: skip
        return m
