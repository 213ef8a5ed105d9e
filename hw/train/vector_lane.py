"""A lane of the vector unit: elements of a pass but their sums, bit exact with `golden.train.vector`."""

from amaranth.hdl import Module, Mux
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from golden.train.params import TrainParams
from hw.fabric.float16 import Narrow, Widen
from hw.fabric.floats import FloatAdd, FloatMul
from hw.fabric.pipeline import delay

__all__ = ["VECTOR_LANE_MODULE", "VectorLane"]

VECTOR_LANE_MODULE = "lacuna_vector_lane"


class VectorLane(wiring.Component):
    """An element a cycle, LATENCY 44. Four multipliers, three adders:

        cycle  0       2      9      17     18              25                33     41        44
               widen b | b*c0 | + c1 | > 0? | z*c2 and b*c3 | t3 = z*c2 + b*c3 | + c4 | narrow |
                                            | z*b           | z, zb

    Nothing stops and nothing is reset: the first LATENCY results after power-up mean nothing.

    Attributes:
        a, b: of an element, 16 bits. gate, relu, b_is_a, b_none: constant while elements are inside.
        c0 .. c4: of an element's channel, binary32, CONSTANTS_AT[n] cycles after it.
        z, zb: addends of its sums, binary32, ADDENDS_AT cycles after it. half: out, LATENCY cycles after it.
    """

    COMPARED = Widen.LATENCY + FloatMul.LATENCY + FloatAdd.LATENCY
    GATED = COMPARED + 1
    """z is made."""
    ADDENDS_AT = GATED + FloatMul.LATENCY
    SCALED = ADDENDS_AT + FloatAdd.LATENCY
    LATENCY = SCALED + FloatAdd.LATENCY + Narrow.LATENCY
    CONSTANTS_AT = (Widen.LATENCY, Widen.LATENCY + FloatMul.LATENCY, GATED, GATED, SCALED)

    PORTS = wiring.Signature({
        "a": In(16), "b": In(16), "gate": In(1), "relu": In(1), "b_is_a": In(1), "b_none": In(1),
        **{f"c{n}": In(32) for n in range(len(CONSTANTS_AT))},
        "z": Out(32), "zb": Out(32), "half": Out(16),
    })  # fmt: skip

    def __init__(self, params: TrainParams):
        self.params = params
        super().__init__(self.PORTS)

    def elaborate(self, platform):
        m = Module()
        half = self.params.half

        def unit(name, component, **inputs):
            m.submodules[name] = component
            m.d.comb += [component.ce.eq(1), *(getattr(component, port).eq(value) for port, value in inputs.items())]
            return component.o

        chosen = Mux(self.b_is_a, self.a, self.b) & (~self.b_none).replicate(16)
        b = unit("widen_b", Widen(half), i=chosen)
        shifted = unit("gate_sum", FloatAdd(), a=unit("gate_product", FloatMul(), a=b, b=self.c0), b=self.c1)
        exponent, is_nan = shifted[23:31], shifted[22:31].all()
        is_open = delay(m, ~self.gate | (~shifted[-1] & exponent.any() & ~is_nan), 1, "is_open")

        a = unit("widen_a", Widen(half), i=delay(m, self.a, self.GATED - Widen.LATENCY, "a"))
        z = a & is_open.replicate(32)
        b = delay(m, b, self.GATED - Widen.LATENCY, "b")
        t1 = unit("scaling_z", FloatMul(), a=z, b=self.c2)
        t2 = unit("scaling_b", FloatMul(), a=b, b=self.c3)
        t3 = unit("scaled_sum", FloatAdd(), a=t1, b=t2)
        y = unit("shifting", FloatAdd(), a=t3, b=self.c4)
        # a NaN that comes out of an adder is positive
        above = y & (~(self.relu & y[-1])).replicate(32)
        m.d.comb += [
            self.z.eq(delay(m, z, FloatMul.LATENCY, "z")), self.zb.eq(unit("product", FloatMul(), a=z, b=b)),
            self.half.eq(unit("narrow", Narrow(half), i=above)),
        ]  # fmt: skip
        return m
