"""A weight's update: lanes of the WUVE, bit exact with `golden.train.update`."""

from collections.abc import Callable
from functools import partial
from typing import ClassVar

from amaranth.hdl import Cat, Module, Mux, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from golden.functions import Function
from golden.train.params import TrainParams
from hw.fabric.float16 import Narrow
from hw.fabric.floats import FloatAdd, FloatMul
from hw.fabric.functions import FunctionUnit
from hw.fabric.pipeline import delay

__all__ = ["LANES", "UPDATE_LANE_MODULE", "AdamLane", "SgdLane", "lane_ports", "update_lane"]

UPDATE_LANE_MODULE = "lacuna_update_lane"


def lane_ports(p: TrainParams) -> wiring.Signature:
    return wiring.Signature({
        "gradient": In(32), **dict.fromkeys(p.masters, In(32)), "pruned": In(1), **dict.fromkeys(p.settings, In(32)),
        **{f"new_{name}": Out(32) for name in p.masters}, "half": Out(16),
    })  # fmt: skip


class Lane(wiring.Component):
    """A weight a cycle, LATENCY cycles later. Nothing stops and nothing is reset: the first LATENCY results after
    power-up mean nothing.

    Attributes:
        gradient, pruned, w and the optimiser's states: of a weight. rate ..: `TrainParams.settings`, constant while
            weights are inside.
        new_w, new_<state>, half: of the weight that entered LATENCY cycles ago.
    """

    GRADIENT = FloatMul.LATENCY + FloatAdd.LATENCY
    """Unscaled, with decay, it is made."""
    MOVED: ClassVar[int]
    """What is taken from w is made."""
    BEHIND = FloatAdd.LATENCY + Narrow.LATENCY
    LATENCY: ClassVar[int]

    def __init__(self, params: TrainParams):
        self.params = params
        super().__init__(lane_ports(params))

    def elaborate(self, platform):
        m = Module()
        unit, later = partial(self.unit, m), partial(self.later, m)
        scaled = unit("unscaling", FloatMul(), a=self.gradient, b=self.unscale)
        decayed = unit("decaying", FloatMul(), a=self.w, b=Mux(self.pruned, self.pruned_decay, self.decay))
        moved, states = self.step(unit, later, unit("decay_sum", FloatAdd(), a=scaled, b=decayed))
        old_w = later(self.w, 0, self.MOVED, "w")
        w = unit("weight_sum", FloatAdd(), a=old_w, b=Cat(moved[:-1], ~moved[-1]))
        m.d.comb += self.half.eq(unit("narrow", Narrow(self.params.half), i=w))
        for name, (value, made) in {"w": (w, self.MOVED + FloatAdd.LATENCY), **states}.items():
            m.d.comb += getattr(self, f"new_{name}").eq(later(value, made, self.LATENCY, f"new_{name}"))
        return m

    def step(self, unit: Callable[..., Value], later: Callable[..., Value], g: Value
             ) -> tuple[Value, dict[str, tuple[Value, int]]]:
        """(what is taken from w, in cycle MOVED; new states, and the cycle of each) of g, in cycle GRADIENT."""
        raise NotImplementedError

    @staticmethod
    def unit(m, name, component, **inputs):
        """Output of an arithmetic unit that never stops."""
        m.submodules[name] = component
        m.d.comb += [component.ce.eq(1), *(getattr(component, port).eq(value) for port, value in inputs.items())]
        return component.o

    @staticmethod
    def later(m, value, start, end, name):
        """What is there in cycle `start`, in cycle `end`."""
        return delay(m, value, end - start, f"{name}_{end}")


class SgdLane(Lane):
    """Stochastic gradient descent, LATENCY 41. Four multipliers, three adders in a row:

        cycle   0                    7             15           23     30           38     41
                unscale*g | decay*w  +  momentum*v  +    = v    rate*v | w - rate*v | narrow
    """

    ADDED = Lane.GRADIENT + FloatAdd.LATENCY
    """v is made."""
    MOVED = ADDED + FloatMul.LATENCY
    LATENCY = MOVED + Lane.BEHIND

    def step(self, unit, later, g):
        kept = unit("keeping", FloatMul(), a=later(self.v, 0, FloatAdd.LATENCY, "v"), b=self.momentum)
        v = unit("velocity_sum", FloatAdd(), a=kept, b=g)
        return unit("moving", FloatMul(), a=v, b=self.rate), {"v": (v, self.ADDED)}


class AdamLane(Lane):
    """Adam, LATENCY 71. Seven multipliers, five adders and a reciprocal root:

        cycle   0                    7            15           22    23       30          38      53    60       68
                unscale*g | decay*w  + momentum*m  +                 m rate*m              |       *  w - ..  narrow
                                                   g*g | kept*v  +            v + epsilon  | rsqrt |
    """

    FIRST = Lane.GRADIENT + FloatAdd.LATENCY
    """m is made."""
    SECOND = Lane.GRADIENT + FloatMul.LATENCY + FloatAdd.LATENCY
    """v is made."""
    ROOT = SECOND + FloatAdd.LATENCY + FunctionUnit.LATENCY
    MOVED = ROOT + FloatMul.LATENCY
    LATENCY = MOVED + Lane.BEHIND

    def step(self, unit, later, g):
        kept = unit("keeping", FloatMul(), a=later(self.m, 0, FloatAdd.LATENCY, "m"), b=self.momentum)
        first = unit("first_sum", FloatAdd(), a=kept, b=g)
        squared = unit("squaring", FloatMul(), a=g, b=g)
        kept = unit("keeping_squares", FloatMul(), a=later(self.v, 0, self.GRADIENT, "v"), b=self.square_momentum)
        second = unit("second_sum", FloatAdd(), a=kept, b=squared)

        above = unit("epsilon_sum", FloatAdd(), a=second, b=self.epsilon)
        root = unit("root", FunctionUnit(), x=above, op=Function.RSQRT)
        scaled = unit("scaling", FloatMul(), a=first, b=self.rate)
        scaled = later(scaled, self.FIRST + FloatMul.LATENCY, self.ROOT, "scaled")
        moved = unit("moving", FloatMul(), a=scaled, b=root)
        return moved, {"m": (first, self.FIRST), "v": (second, self.SECOND)}


LANES: dict[str, type[Lane]] = {"sgd": SgdLane, "adam": AdamLane}
"""By key of `golden.train.update.RULES`."""


def update_lane(params: TrainParams) -> Lane:
    """UPDATE_LANE_MODULE."""
    return LANES[params.optimiser_name](params)
