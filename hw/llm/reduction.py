"""Reductions of the vector unit: the sum in the contract's order, the largest element and where it is."""

from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from golden.llm.vector import PARTIALS
from golden.params import LlmParams
from hw.fabric.floats import FloatAdd
from hw.fabric.pipeline import delay, strobes

__all__ = ["MaximumFold", "SumFold"]


class SumFold(wiring.Component):
    """Sums of vectors that come one after the other, a row of `sfu_lanes` numbers a cycle; `ce` low freezes everything.

    The eight partial sums circulate through one adder whose LATENCY is their number: row r + 8 goes in when the sum of
    row r comes out. The last eight sums of a vector are its partials; they are added in pairs in three adders while the
    ring takes the next vector. From the last row to `done`: LATENCY enabled cycles.

    A vector has at least PARTIALS rows in consecutive enabled cycles; rows of +0 fill it up, and between vectors there
    may be a gap.

    Attributes:
        valid, data: a row; lanes that do not count are +0.
        opens, closes: it is one of the first, of the last PARTIALS rows of its vector. last: it is the very last.
        partial: number of the row mod PARTIALS.
        done, total: strobe and the vector's sum, for one enabled cycle.
    """

    def __init__(self, params: LlmParams):
        self.lanes = params.sfu_lanes
        tree = (self.lanes.bit_length() - 1) * FloatAdd.LATENCY
        # the ring, collecting, four pairs, then three adders with one cycle for the neighbour and two for his neighbour
        self.LATENCY = tree + FloatAdd.LATENCY + 1 + 3 + 3 * FloatAdd.LATENCY
        super().__init__({
            "ce": In(1),
            "valid": In(1),
            "opens": In(1),
            "closes": In(1),
            "last": In(1),
            "partial": In(3),
            "data": In(self.lanes * 32),
            "done": Out(1),
            "total": Out(32),
        })

    def elaborate(self, platform):
        m = Module()
        if FloatAdd.LATENCY != PARTIALS:
            raise ValueError(f"FloatAdd.LATENCY = {FloatAdd.LATENCY}: the ring needs PARTIALS = {PARTIALS}")

        def add(name, a, b):
            m.submodules[name] = adder = FloatAdd()
            m.d.comb += [adder.a.eq(a), adder.b.eq(b), adder.ce.eq(self.ce)]
            return adder.o

        def late(value, cycles, name):
            return delay(m, value, cycles, name, enable=self.ce)

        level, depth = [self.data.word_select(i, 32) for i in range(self.lanes)], 0
        while len(level) > 1:
            level = [add(f"tree_{depth}_{i // 2}", level[i], level[i + 1]) for i in range(0, len(level), 2)]
            depth += 1
        tree = depth * FloatAdd.LATENCY
        last = strobes(m, self.valid & self.last, tree + FloatAdd.LATENCY, "last", enable=self.ce)[-1]
        opens = late(self.opens, tree, "opens")
        tag = late(Cat(self.valid & self.closes, self.partial), tree + FloatAdd.LATENCY, "tag")
        ring = Signal(32)
        m.d.comb += ring.eq(add("ring", Mux(opens, 0, ring), level[0]))

        # Pair j is read j + 1 cycles after `last`; the next vector's partial s comes s + 1 cycles after it or later.
        pairs = Signal(data.ArrayLayout(32, PARTIALS), reset_less=True)
        closes, partial = tag[0], tag[1:]
        pair, pairing = Signal(range(PARTIALS // 2)), Signal()
        with m.If(self.ce):
            with m.If(closes):
                m.d.sync += pairs[partial].eq(ring)
            with m.If(pairing):
                m.d.sync += [pair.eq(pair + 1), pairing.eq(pair != PARTIALS // 2 - 1)]
            with m.If(last):
                m.d.sync += [pair.eq(0), pairing.eq(1)]
        even, odd = Signal(32), Signal(32)
        with m.Switch(pair):
            for i in range(PARTIALS // 2):
                with m.Case(i):
                    m.d.comb += [even.eq(pairs[2 * i]), odd.eq(pairs[2 * i + 1])]
        quarter = add("pairs", even, odd)
        half = add("quarters", late(quarter, 1, "quarter"), quarter)
        m.d.comb += [
            self.total.eq(add("halves", late(half, 2, "half"), half)),
            self.done.eq(strobes(m, last, 1 + 3 + 3 * FloatAdd.LATENCY, "done", enable=self.ce)[-1]),
        ]
        return m


class MaximumFold(wiring.Component):
    """Largest element of a vector, and its index; ties go to the lower index; -0 < +0.

    One row a cycle, vectors one behind the other; LATENCY log2(sfu_lanes) + 1 from a row to the result. `ce` low
    freezes everything.

    Attributes:
        begin, index: strobe while the unit is empty: the next row starts at element `index`.
        valid, data, live: a row; lanes with live = 0 do not count.
        fresh: the row is the first of a vector: what was before is forgotten. last: it is the last one.
        done: strobe with the result: maximum (binary32 bits) and where (index), which keep until the next row's.
    """

    def __init__(self, params: LlmParams):
        self.lanes = params.sfu_lanes
        self.LATENCY = (self.lanes - 1).bit_length() + 1
        super().__init__({
            "ce": In(1),
            "begin": In(1),
            "index": In(32),
            "valid": In(1),
            "fresh": In(1),
            "last": In(1),
            "data": In(self.lanes * 32),
            "live": In(self.lanes),
            "done": Out(1),
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
        tag, depth = Cat(self.valid, self.fresh, self.last), 0
        while len(level) > 1:
            winners = []
            for i in range(0, len(level), 2):
                item = Signal(entry, name=f"level_{depth}_{i}", reset_less=True)
                with m.If(self.ce):
                    m.d.sync += item.eq(Mux(level[i + 1].key > level[i].key, level[i + 1], level[i]))
                winners.append(item)
            late = Signal(3, name=f"tag_{depth}")
            with m.If(self.ce):
                m.d.sync += late.eq(tag)
            level, tag, depth = winners, late, depth + 1
        valid, fresh, last = tag
        best, base = Signal(33), Signal(32)
        with m.If(self.ce):
            m.d.sync += self.done.eq(valid & last)
            with m.If(valid):
                m.d.sync += base.eq(base + self.lanes)
                with m.If(fresh | (level[0].key > best)):
                    m.d.sync += [best.eq(level[0].key), self.where.eq(base + level[0].lane)]
        with m.If(self.begin):
            m.d.sync += base.eq(self.index)
        m.d.comb += self.maximum.eq(Mux(best[31], best[:31], ~best[:32]))
        return m
