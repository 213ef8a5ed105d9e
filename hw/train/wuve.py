"""WUVE: the update of master weights, bit exact with `golden.train.update`."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from golden.train.params import TrainParams
from hw.fabric.block import instantiate
from hw.fabric.pipeline import strobes
from hw.fabric.sure_fifo import SureFIFO

from .update_lane import LANES, UPDATE_LANE_MODULE, lane_ports

__all__ = ["Wuve", "step_layout", "updated_layout"]


def step_layout(p: TrainParams) -> data.StructLayout:
    """Weights to update. `pruned`: the forward pass dropped the weight."""
    numbers = data.ArrayLayout(32, p.update_lanes)
    return data.StructLayout({"gradient": numbers, **dict.fromkeys(p.masters, numbers), "pruned": p.update_lanes})


def updated_layout(p: TrainParams) -> data.StructLayout:
    """Updated weights, in binary32 and rounded to 16 bits."""
    numbers = data.ArrayLayout(32, p.update_lanes)
    return data.StructLayout({**dict.fromkeys(p.masters, numbers), "half": data.ArrayLayout(16, p.update_lanes)})


class Wuve(wiring.Component):
    """Lanes between two streams, a word of `update_lanes` weights a cycle; taken in cycle t, a word is offered in
    t + `latency` at the earliest: 42, Adam 72.

    Lanes never stop, for an enable would reach all their registers, 2,200 a lane. Instead no more words are let in
    than the FIFO at the end, a LUT RAM, has places for. A place is taken for `latency` cycles at least, so that with
    `room` >= `latency` a word enters every cycle, and a receiver that stops and goes on finds no gap.

    Lanes are instances of UPDATE_LANE_MODULE, which is emitted once.

    Attributes:
        i: weights to update. o: the same ones updated, in the same order.
        rate ..: `TrainParams.settings`, constant from the first word's entry until the last one is offered.
    """

    def __init__(self, params: TrainParams):
        self.params = params
        super().__init__({
            "i": In(stream.Signature(step_layout(params))), "o": Out(stream.Signature(updated_layout(params))),
            **dict.fromkeys(params.settings, In(32)),
        })  # fmt: skip

    @staticmethod
    def latency(params: TrainParams) -> int:
        return LANES[params.optimiser_name].LATENCY + 1

    @staticmethod
    def room(params: TrainParams) -> int:
        """Words that may be under way: a power of two."""
        return 1 << Wuve.latency(params).bit_length()

    def elaborate(self, platform):
        m = Module()
        p, room = self.params, self.room(self.params)
        step, updated = self.i.payload, Signal(updated_layout(p))
        for k in range(p.update_lanes):
            lane = instantiate(m, UPDATE_LANE_MODULE, lane_ports(p), f"lane_{k}")
            m.d.comb += [getattr(lane, name).eq(getattr(self, name)) for name in p.settings]
            m.d.comb += [getattr(lane, name).eq(step[name][k]) for name in step_layout(p).members]
            m.d.comb += [updated[name][k].eq(getattr(lane, f"new_{name}")) for name in p.masters]
            m.d.comb += updated.half[k].eq(lane.half)
        m.submodules.results = results = SureFIFO(width=updated.shape().size, depth=room)
        under_way = Signal(range(room + 1))
        taken, left = self.i.valid & self.i.ready, self.o.valid & self.o.ready
        m.d.sync += under_way.eq(under_way + taken - left)
        m.d.comb += [
            self.i.ready.eq(~under_way[-1]),
            results.w_en.eq(strobes(m, taken, self.latency(p) - 1, "valid")[-1]), results.w_data.eq(updated),
            self.o.valid.eq(results.r_rdy), self.o.payload.eq(results.r_data), results.r_en.eq(self.o.ready),
        ]  # fmt: skip
        return m
