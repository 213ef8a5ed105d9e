"""Gradients of weights that are sums of parts."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from golden.train.params import GROUP, TrainParams
from hw.fabric.floats import FloatAdd
from hw.fabric.pipeline import delay, strobes
from hw.fabric.sure_fifo import SureFIFO

__all__ = ["PartSums", "numbers_layout"]


def numbers_layout(p: TrainParams) -> data.ArrayLayout:
    """`update_lanes` numbers in binary32."""
    return data.ArrayLayout(32, p.update_lanes)


class PartSums(wiring.Component):
    """((0 + p0) + p1) + .. of `parts` blocks that come one after the other, and so for block after block; a word of
    `update_lanes` numbers a cycle. A single part leaves as it is, in the cycle in which it comes; else a word of the
    last part is offered LATENCY cycles later.

    Sums wait in a LUT RAM for the next part's numbers. These come a block's words later, 256 / update_lanes, 16 or
    more: the adder has made a sum until then.

    Attributes:
        start: strobe: the first block is next. parts: stable.
        i: blocks. o: their sums.
    """

    ADDED = 1 + FloatAdd.LATENCY
    """A sum is made."""
    LATENCY = ADDED + 1
    DEPTH = 32

    def __init__(self, params: TrainParams):
        self.params = params
        numbers = stream.Signature(numbers_layout(params))
        super().__init__({"start": In(1), "parts": In(8), "i": In(numbers), "o": Out(numbers)})

    def elaborate(self, platform):
        m = Module()
        p, layout = self.params, numbers_layout(self.params)
        words = GROUP * GROUP // p.update_lanes
        m.submodules.results = results = SureFIFO(width=layout.size, depth=self.DEPTH, margin=2 + self.ADDED)
        m.submodules.so_far = ram = Memory(shape=layout.size, depth=words, init=[], attrs={"ram_style": "distributed"})
        write, read = ram.write_port(), ram.read_port(domain="comb")
        place, first, last, single, takes = Signal(range(words)), Signal(), Signal(), Signal(), Signal()
        m.d.comb += takes.eq(self.i.valid & self.i.ready & ~single)
        with m.If(single):
            m.d.comb += [
                self.i.ready.eq(self.o.ready), self.o.valid.eq(self.i.valid), self.o.payload.eq(self.i.payload),
            ]
        with m.Else():
            m.d.comb += [
                self.i.ready.eq(~last | results.room), self.o.valid.eq(results.r_rdy),
                self.o.payload.as_value().eq(results.r_data), results.r_en.eq(self.o.ready),
            ]
        sums, before = Signal(layout), Signal(layout)
        m.d.comb += [
            before.as_value().eq(Mux(first, 0, read.data)), read.addr.eq(place), write.data.eq(sums),
            write.addr.eq(delay(m, place, self.ADDED, "place")),
            write.en.eq(strobes(m, takes, self.ADDED, "added")[-1]),
            results.w_data.eq(sums), results.w_en.eq(strobes(m, takes & last, self.ADDED, "whole")[-1]),
        ]
        for k in range(p.update_lanes):
            m.submodules[f"add_{k}"] = add = FloatAdd()
            m.d.comb += [add.a.eq(delay(m, before[k], 1, f"before_{k}")), add.ce.eq(1), sums[k].eq(add.o),
                         add.b.eq(delay(m, self.i.payload[k], 1, f"part_{k}"))]  # fmt: skip
        self._count(m, takes, place, first, last, single)
        return m

    def _count(self, m, takes, place, first, last, single):
        left, ends, one = Signal.like(self.parts), Signal(), self.parts == 1
        m.d.comb += ends.eq(takes & place.all())
        with m.If(takes):
            m.d.sync += place.eq(place + 1)
        with m.If(ends):
            m.d.sync += [first.eq(last), left.eq(Mux(last, self.parts, left - 1)), last.eq(Mux(last, one, left == 2))]
        with m.If(self.start):
            m.d.sync += [place.eq(0), first.eq(1), left.eq(self.parts), last.eq(one), single.eq(one)]
