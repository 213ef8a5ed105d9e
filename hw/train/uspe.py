"""The unified sparse processing element: eight sums of products in the pipeline of one adder."""

from amaranth.hdl import Cat, Module, Mux
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from golden.floats import BINARY32
from golden.train.params import GROUP, INTERLEAVE
from hw.fabric.floats import FloatAdd
from hw.fabric.pipeline import delay

from .exact_mul import ExactMul, operand_layout

__all__ = ["USPE_MODULE", "Uspe", "link_layout", "slot_layout", "step_layout"]

USPE_MODULE = "lacuna_uspe"
PLACES = 2 * GROUP
PLACE_BITS, SLOT_BITS, SUM_BITS = (size.bit_length() - 1 for size in (PLACES, GROUP, INTERLEAVE))


def step_layout() -> data.StructLayout:
    """What a row does in a cycle. `first` and `capture` belong to steps 4 and 12 cycles ago, whose product or sum is
    there now.

    `on`: a product is added, else +0. `half`: of the row's numbers. `slot`, `sum`: of the step; where a stationary
    weight lies. `store`: the weight that comes is kept there. `first`: the sum begins: from +0, or from the one of the
    element above if weights are stationary. `capture`: the sum is finished.
    """
    return data.StructLayout({"on": 1, "half": 1, "slot": SLOT_BITS, "sum": SUM_BITS, "store": 1,
                              "first": 1, "capture": 1})


def link_layout() -> data.StructLayout:
    """A number of the row for one of the 2 x 16 places."""
    return data.StructLayout({"write": 1, "place": PLACE_BITS, "number": operand_layout()})


def slot_layout() -> data.StructLayout:
    """A weight and which of 16 numbers it is multiplied with."""
    return data.StructLayout({"value": operand_layout(), "index": SLOT_BITS})


class Uspe(wiring.Component):
    """Multiplies the weight of a step with the number that its index names and adds that to the step's sum.

    A step a cycle, sum j every eighth: the adder's 8 stages hold the 8 sums. PRODUCT = 4 cycles to the product, SUM =
    12 to the sum. Data and control pass on to the right and downwards in a cycle.

    Attributes:
        step, link: from the left; step_right, link_right: a cycle later.
        slot: from above, for the step of the same cycle; slot_below: a cycle later.
        above: output-stationary: finished sums of the elements above; they leave, as those of this element, at `below`,
            DRAIN = 9 cycles later. Weight-stationary: sums that begin here; finished ones leave a cycle after their
            `capture`.
        stationary: weights are stationary; changes only while nothing is under way.
    """

    PRODUCT, SUM, DRAIN = ExactMul.LATENCY, ExactMul.LATENCY + FloatAdd.LATENCY, INTERLEAVE + 1

    def __init__(self):
        super().__init__(self.ports())

    @staticmethod
    def ports() -> wiring.Signature:
        return wiring.Signature({
            "step": In(step_layout()), "step_right": Out(step_layout()),
            "link": In(link_layout()), "link_right": Out(link_layout()),
            "slot": In(slot_layout()), "slot_below": Out(slot_layout()),
            "above": In(BINARY32.bits), "below": Out(BINARY32.bits),
            "stationary": In(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.multiply = multiply = ExactMul()
        m.submodules.add = add = FloatAdd()
        step, link, slot = self.step, self.link, self.slot
        m.d.comb += [
            self.step_right.eq(delay(m, step, 1, "step")), self.link_right.eq(delay(m, link, 1, "link")),
            self.slot_below.eq(delay(m, slot, 1, "slot")),
        ]
        kept = self._memory(m, "weights", GROUP * INTERLEAVE, len(slot.as_value()), step.store,
                            Cat(step.sum, step.slot), slot.as_value(), Cat(step.sum, step.slot))
        weight = data.View(slot_layout(), Mux(self.stationary, kept, slot.as_value()))
        number = self._memory(m, "numbers", PLACES, len(link.number.as_value()), link.write, link.place,
                              link.number.as_value(), Cat(weight.index, step.half))
        m.d.comb += [
            multiply.a.eq(number), multiply.b.eq(weight.value), multiply.on.eq(step.on),
            add.ce.eq(1), add.a.eq(multiply.o),
            add.b.eq(Mux(step.first, self.above & self.stationary.replicate(len(self.above)), add.o)),
        ]
        leaves = delay(m, Mux(step.capture, add.o, self.above), self.DRAIN - 1, "drain")
        m.d.comb += self.below.eq(delay(m, Mux(self.stationary, add.o, leaves), 1, "below"))
        return m

    @staticmethod
    def _memory(m, name, depth, width, write, write_at, written, read_at):
        m.submodules[name] = memory = Memory(shape=width, depth=depth, init=[], attrs={"ram_style": "distributed"})
        port, read = memory.write_port(), memory.read_port(domain="comb")
        m.d.comb += [port.en.eq(write), port.addr.eq(write_at), port.data.eq(written), read.addr.eq(read_at)]
        return read.data
