"""Reductions of the vector unit: the sum in the contract's order, the largest element and where it is."""

from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from golden.llm.vector import PARTIALS
from golden.params import LlmParams
from hw.fabric.float32 import FloatAdd

__all__ = ["MaximumFold", "SumFold"]


class SumFold(wiring.Component):
    """total = sum of rows of `sfu_lanes` numbers; `finish` once after the last row, then `done`.

    The eight partial sums circulate through one adder whose LATENCY is their number: each cycle one comes out, gets a
    row or +0 added and goes in again. After `finish` and the tree's latency: 8 cycles to collect the partials and
    12 + 10 + 9 to add them. Rows must come in consecutive enabled cycles. `ce` low freezes everything.

    Attributes:
        start: forget the sums (at least PARTIALS enabled cycles before the first row reaches the ring).
        valid, data: a row; lanes that do not count are +0.
    """

    def __init__(self, params: LlmParams):
        self.lanes = params.sfu_lanes
        super().__init__({
            "ce": In(1),
            "start": In(1),
            "valid": In(1),
            "data": In(self.lanes * 32),
            "finish": In(1),
            "done": Out(1),
            "total": Out(32),
        })

    def elaborate(self, platform):
        m = Module()
        if FloatAdd.LATENCY != PARTIALS:
            raise ValueError(f"FloatAdd.LATENCY = {FloatAdd.LATENCY}: the ring needs PARTIALS = {PARTIALS}")
        level = [self.data.word_select(i, 32) for i in range(self.lanes)]
        depth = 0
        while len(level) > 1:
            sums = []
            for i in range(0, len(level), 2):
                adder = FloatAdd()
                m.submodules[f"tree_{depth}_{i // 2}"] = adder
                m.d.comb += [adder.a.eq(level[i]), adder.b.eq(level[i + 1]), adder.ce.eq(self.ce)]
                sums.append(adder.o)
            level, depth = sums, depth + 1
        flags = Cat(self.valid, self.finish)
        for i in range(depth * FloatAdd.LATENCY):
            late = Signal(2, name=f"flags_{i}")
            with m.If(self.ce):
                m.d.sync += late.eq(flags)
            flags = late
        valid, finish = flags[0], flags[1]

        m.submodules.ring = ring = FloatAdd()
        partial = Signal(data.ArrayLayout(32, PARTIALS), reset_less=True)
        fresh, phase, first = Signal(4), Signal(3), Signal(3)
        seen = Signal()
        count, width = Signal(4), Signal(4)
        m.d.comb += [
            ring.ce.eq(self.ce),
            ring.a.eq(Mux(fresh != 0, 0, ring.o)),
            ring.b.eq(Mux(valid, level[0], 0)),
            self.total.eq(partial[0]),
        ]
        with m.If(self.ce):
            m.d.sync += phase.eq(phase + 1)
            with m.If(fresh != 0):
                m.d.sync += fresh.eq(fresh - 1)
            with m.If(valid & ~seen):
                m.d.sync += [seen.eq(1), first.eq(phase)]
            with m.FSM():
                with m.State("FOLD"):
                    m.d.sync += count.eq(0)
                    with m.If(finish):
                        m.next = "COLLECT"
                with m.State("COLLECT"):
                    m.d.sync += count.eq(count + 1)
                    where = Signal(3)
                    m.d.comb += where.eq(phase - first)
                    with m.Switch(where):
                        for i in range(PARTIALS):
                            with m.Case(i):
                                m.d.sync += partial[i].eq(ring.o)
                    with m.If(count == PARTIALS - 1):
                        m.d.sync += [count.eq(0), width.eq(PARTIALS // 2)]
                        m.next = "COMBINE"
                with m.State("COMBINE"):
                    m.d.sync += count.eq(count + 1)
                    for i in range(PARTIALS // 2):
                        with m.If(count == i):
                            m.d.comb += [ring.a.eq(partial[2 * i]), ring.b.eq(partial[2 * i + 1])]
                        with m.If(count == PARTIALS + i):
                            m.d.sync += partial[i].eq(ring.o)
                    with m.If(count == PARTIALS + width - 1):
                        m.d.sync += [count.eq(0), width.eq(width >> 1)]
                        with m.If(width == 1):
                            m.next = "DONE"
                with m.State("DONE"):
                    m.d.comb += self.done.eq(1)
                    with m.If(self.start):
                        m.next = "FOLD"
            with m.If(self.start):
                m.d.sync += [fresh.eq(PARTIALS), seen.eq(0)]
        return m


class MaximumFold(wiring.Component):
    """Largest element so far, and its index; ties go to the lower index; -0 < +0.

    LATENCY log2(sfu_lanes) + 1 from a row to the result. `ce` low freezes everything.

    Attributes:
        clear: forget. begin, index: the next row starts at element `index`.
        valid, data, live: a row; lanes with live = 0 do not count.
        key, maximum, where: the result: ordering key, binary32 bits, index.
    """

    def __init__(self, params: LlmParams):
        self.lanes = params.sfu_lanes
        self.LATENCY = (self.lanes - 1).bit_length() + 1
        super().__init__({
            "ce": In(1),
            "clear": In(1),
            "begin": In(1),
            "index": In(32),
            "valid": In(1),
            "data": In(self.lanes * 32),
            "live": In(self.lanes),
            "maximum": Out(32),
            "where": Out(32),
        })

    def elaborate(self, platform):
        m = Module()
        entry = data.StructLayout({"key": unsigned(33), "lane": unsigned(4)})
        level = []
        for i in range(self.lanes):
            bits = self.data.word_select(i, 32)
            item = Signal(entry, name=f"lane_{i}")
            order = Mux(bits[31], ~bits, bits | (1 << 31))
            m.d.comb += [item.key.eq(Mux(self.live[i], Cat(order[:32], 1), 0)), item.lane.eq(i)]
            level.append(item)
        valid, depth = self.valid, 0
        while len(level) > 1:
            winners = []
            for i in range(0, len(level), 2):
                item = Signal(entry, name=f"level_{depth}_{i}", reset_less=True)
                with m.If(self.ce):
                    m.d.sync += item.eq(Mux(level[i + 1].key > level[i].key, level[i + 1], level[i]))
                winners.append(item)
            late = Signal(name=f"valid_{depth}")
            with m.If(self.ce):
                m.d.sync += late.eq(valid)
            level, valid, depth = winners, late, depth + 1
        best, base = Signal(33), Signal(32)
        with m.If(self.ce):
            with m.If(valid):
                m.d.sync += base.eq(base + self.lanes)
                with m.If(level[0].key > best):
                    m.d.sync += [best.eq(level[0].key), self.where.eq(base + level[0].lane)]
            with m.If(self.begin):
                m.d.sync += base.eq(self.index)
            with m.If(self.clear):
                m.d.sync += [best.eq(0), self.where.eq(0)]
        m.d.comb += self.maximum.eq(Mux(best[31], best[:31], ~best[:32]))
        return m
