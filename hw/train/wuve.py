"""WUVE: the update of master weights, bit exact with `golden.train.update`."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from golden.train.params import TrainParams
from golden.train.update import SETTINGS
from hw.fabric.block import instantiate
from hw.fabric.float16 import Narrow
from hw.fabric.floats import FloatAdd, FloatMul
from hw.fabric.pipeline import delay, strobes
from hw.fabric.sure_fifo import SureFIFO

__all__ = ["UPDATE_LANE_MODULE", "UpdateLane", "Wuve", "step_layout", "updated_layout"]

UPDATE_LANE_MODULE = "lacuna_update_lane"

ROOM = 64
"""Words that may be under way."""


def step_layout(p: TrainParams) -> data.StructLayout:
    """Weights to update. `pruned`: the forward pass dropped the weight."""
    numbers = data.ArrayLayout(32, p.update_lanes)
    return data.StructLayout({"gradient": numbers, "w": numbers, "v": numbers, "pruned": p.update_lanes})


def updated_layout(p: TrainParams) -> data.StructLayout:
    """Updated weights, in binary32 and rounded to 16 bits."""
    numbers = data.ArrayLayout(32, p.update_lanes)
    return data.StructLayout({"w": numbers, "v": numbers, "half": data.ArrayLayout(16, p.update_lanes)})


class UpdateLane(wiring.Component):
    """A weight a cycle, LATENCY 41. Four multipliers, three adders in a row:

        cycle   0                    7             15           23     30           38     41
                unscale*g | decay*w  +  momentum*v  +    = v    rate*v | w - rate*v | narrow

    Nothing stops and nothing is reset: the first LATENCY results after power-up mean nothing.

    Attributes:
        gradient, w, v, pruned: of a weight. rate .. pruned_decay: constant while weights are inside.
        new_w, new_v, half: of the weight that entered LATENCY cycles ago.
    """

    ADDED = FloatMul.LATENCY + 2 * FloatAdd.LATENCY
    """v is made."""
    MOVED = ADDED + FloatMul.LATENCY + FloatAdd.LATENCY
    """w is made."""
    LATENCY = MOVED + Narrow.LATENCY

    PORTS = wiring.Signature({
        "gradient": In(32), "w": In(32), "v": In(32), "pruned": In(1), **dict.fromkeys(SETTINGS, In(32)),
        "new_w": Out(32), "new_v": Out(32), "half": Out(16),
    })  # fmt: skip

    def __init__(self, params: TrainParams):
        self.params = params
        super().__init__(self.PORTS)

    def elaborate(self, platform):
        m = Module()

        def unit(name, component, **inputs):
            m.submodules[name] = component
            m.d.comb += [component.ce.eq(1), *(getattr(component, port).eq(value) for port, value in inputs.items())]
            return component.o

        def later(value, start, end, name):
            return delay(m, value, end - start, f"{name}_{end}")

        scaled = unit("unscaling", FloatMul(), a=self.gradient, b=self.unscale)
        decayed = unit("decaying", FloatMul(), a=self.w, b=Mux(self.pruned, self.pruned_decay, self.decay))
        g = unit("decay_sum", FloatAdd(), a=scaled, b=decayed)

        kept = unit("keeping", FloatMul(), a=later(self.v, 0, FloatAdd.LATENCY, "v"), b=self.momentum)
        v = unit("velocity_sum", FloatAdd(), a=kept, b=g)

        moved = unit("moving", FloatMul(), a=v, b=self.rate)
        old_w = later(self.w, 0, self.ADDED + FloatMul.LATENCY, "w")
        w = unit("weight_sum", FloatAdd(), a=old_w, b=Cat(moved[:-1], ~moved[-1]))

        m.d.comb += [
            self.half.eq(unit("narrow", Narrow(self.params.half), i=w)),
            self.new_w.eq(later(w, self.MOVED, self.LATENCY, "new_w")),
            self.new_v.eq(later(v, self.ADDED, self.LATENCY, "new_v")),
        ]
        return m


class Wuve(wiring.Component):
    """Lanes between two streams, a word of `update_lanes` weights a cycle; LATENCY 42: taken in cycle t, a word is
    offered in t + 42 at the earliest.

    Lanes never stop, for an enable would reach all their registers, 2,200 a lane. Instead no more words are let in
    than the FIFO at the end, a LUT RAM, has places for. A place is taken for LATENCY cycles at least, so that with
    ROOM >= LATENCY a word enters every cycle, and a receiver that stops and goes on finds no gap.

    Lanes are instances of UPDATE_LANE_MODULE, which is emitted once.

    Attributes:
        i: weights to update. o: the same ones updated, in the same order.
        rate .. pruned_decay: SETTINGS, constant from the first word's entry until the last one is offered.
    """

    LATENCY = UpdateLane.LATENCY + 1

    def __init__(self, params: TrainParams):
        self.params = params
        super().__init__({
            "i": In(stream.Signature(step_layout(params))), "o": Out(stream.Signature(updated_layout(params))),
            **dict.fromkeys(SETTINGS, In(32)),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        step, updated = self.i.payload, Signal(updated_layout(self.params))
        for k in range(self.params.update_lanes):
            lane = instantiate(m, UPDATE_LANE_MODULE, UpdateLane.PORTS, f"lane_{k}")
            m.d.comb += [getattr(lane, name).eq(getattr(self, name)) for name in SETTINGS]
            m.d.comb += [
                lane.gradient.eq(step.gradient[k]), lane.w.eq(step.w[k]), lane.v.eq(step.v[k]),
                lane.pruned.eq(step.pruned[k]),
                updated.w[k].eq(lane.new_w), updated.v[k].eq(lane.new_v), updated.half[k].eq(lane.half),
            ]  # fmt: skip
        m.submodules.results = results = SureFIFO(width=updated.shape().size, depth=ROOM)
        under_way = Signal(range(ROOM + 1))
        taken, left = self.i.valid & self.i.ready, self.o.valid & self.o.ready
        m.d.sync += under_way.eq(under_way + taken - left)
        m.d.comb += [
            self.i.ready.eq(~under_way[-1]),
            results.w_en.eq(strobes(m, taken, UpdateLane.LATENCY, "valid")[-1]), results.w_data.eq(updated),
            self.o.valid.eq(results.r_rdy), self.o.payload.eq(results.r_data), results.r_en.eq(self.o.ready),
        ]  # fmt: skip
        return m
