"""Sums of the vector unit: eight partial sums of each channel, combined at a segment's end."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from golden.train.params import PARTIALS, TrainParams
from hw.fabric.block import instantiate
from hw.fabric.floats import FloatAdd
from hw.fabric.pipeline import delay, strobes
from hw.fabric.ram import Ram
from hw.fabric.sure_fifo import SureFIFO

from .vector_layouts import place_layout, sums_layout

__all__ = ["SUM_LANE_MODULE", "SumLane", "VectorSums"]

SUM_LANE_MODULE = "lacuna_sum_lane"
LEVELS = PARTIALS.bit_length() - 1
"""Of the tree that combines partial sums."""
PLACES = 16
"""Of sums that wait to be taken: for those that are under way, of two cycles each, and as many more."""
FLAGS = ("combine", "zero", "made_now", "made_before")


class SumLane(wiring.Component):
    """o = a + b, LATENCY 9 from the flags, one a cycle; nothing is reset.

    b is +0 (`zero`), or o (`made_now`), or o of a cycle ago (`made_before`), or else `read`. a is `value`, or b of a
    cycle ago (`combine`).

    Attributes:
        combine, zero, made_now, made_before: registered here, for they drive all bits. value, read: a cycle later.
        o: LATENCY cycles after the flags.
    """

    LATENCY = 1 + FloatAdd.LATENCY
    PORTS = wiring.Signature({**dict.fromkeys(FLAGS, In(1)), "value": In(32), "read": In(32), "o": Out(32)})

    def __init__(self):
        super().__init__(self.PORTS)

    def elaborate(self, platform):
        m = Module()
        m.submodules.adder = adder = FloatAdd()
        combine, zero, made_now, made_before = (delay(m, getattr(self, flag), 1, flag) for flag in FLAGS)
        kept = Mux(made_now, adder.o, Mux(made_before, delay(m, adder.o, 1, "before"), self.read))
        b = Signal(32)
        m.d.comb += [
            b.eq(kept & (~zero).replicate(32)),
            adder.a.eq(Mux(combine, delay(m, b, 1, "held"), self.value)), adder.b.eq(b), adder.ce.eq(1),
            self.o.eq(adder.o),
        ]  # fmt: skip
        return m


class VectorSums(wiring.Component):
    """2 * `word` adders, a word a cycle, whose partial sums are rows of a RAM: 8 for each word of channels.

    A pixel and the next one that is added to the same partial sum are 8 * words cycles apart, 8 at least, which is the
    adder's latency: the sum then is at the adder's output or, a cycle later, on its way into the RAM, and is taken from
    there. So nothing ever waits for a sum. The first pixel of a partial sum is added to +0, so nothing is cleared.

    At a segment's end the same adders add the partial sums of a word, in three rounds over all words: two rows are
    read, and their sum takes the place of the first, or in the last round leaves. A round begins PAUSE cycles after the
    last thing it needs was given to the adders. Meanwhile nothing may be added; `done` says when words may come again,
    COMBINED + 14 * words cycles after the last one if sums are taken.

    Attributes:
        valid, place: of a word that is added. z, zb: its addends, a cycle later.
        used: partial sums that a segment has, min(segment, 8); last_word: words less one. Constant from a segment's
            first word to `done`.
        o: sums of a segment, word after word. done: the last ones were given to the adders.
    """

    PAUSE = FloatAdd.LATENCY - 1
    COMBINED = 3 * PAUSE

    def __init__(self, params: TrainParams):
        self.params = params
        addends = data.ArrayLayout(32, params.word)
        super().__init__({
            "valid": In(1), "place": In(place_layout(params)), "z": In(addends), "zb": In(addends),
            "used": In(range(PARTIALS + 1)), "last_word": In(range(params.channel_words)),
            "o": Out(stream.Signature(sums_layout(params))), "done": Out(1),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        self._room = Signal()
        reads, row, adds, level = self._combine(m)
        final = adds & level[-1]

        place, flags = self.place, {flag: Signal(name=f"{flag}_next") for flag in FLAGS}
        read_row, write_row = Signal(len(row)), Signal(len(row))
        spread = Cat((level != number) & row[number] for number in range(LEVELS))  # of two rows the first
        m.d.comb += [
            read_row.eq(Mux(reads, row, Cat(place.partial, place.word))),
            write_row.eq(Mux(reads, Cat(spread, row[LEVELS:]), read_row)),
        ]  # fmt: skip
        into_ram = strobes(m, self.valid | (adds & ~final), SumLane.LATENCY, "into_ram")
        rows = [write_row]
        for cycle in range(SumLane.LATENCY):
            rows.append(delay(m, rows[-1], 1, f"row_{cycle}"))
        m.d.comb += [
            flags["combine"].eq(reads),
            flags["zero"].eq(Mux(reads, (level == 0) & (row[:LEVELS] >= self.used), place.first)),
            flags["made_now"].eq(into_ram[-2] & (rows[-2] == read_row)),
            flags["made_before"].eq(into_ram[-1] & (rows[-1] == read_row)),
        ]  # fmt: skip

        made = Signal(sums_layout(self.params))
        m.submodules.partials = partials = Ram(width=made.shape().size, depth=PARTIALS * self.params.channel_words)
        m.submodules.results = results = SureFIFO(width=made.shape().size, depth=PLACES, margin=PLACES // 2)
        m.d.comb += [
            partials.read_address.eq(read_row), partials.read_enable.eq(1),
            partials.write_address.eq(rows[-1]), partials.write_enable.eq(into_ram[-1]), partials.write_data.eq(made),
            results.w_en.eq(strobes(m, final, SumLane.LATENCY, "final")[-1]), results.w_data.eq(made),
            self._room.eq(results.room),
            self.o.valid.eq(results.r_rdy), self.o.payload.eq(results.r_data), results.r_en.eq(self.o.ready),
        ]  # fmt: skip
        read = sums_layout(self.params)(partials.read_data)
        for sums, values in (("s0", self.z), ("s1", self.zb)):
            for k in range(self.params.word):
                lane = instantiate(m, SUM_LANE_MODULE, SumLane.PORTS, f"{sums}_{k}")
                m.d.comb += [
                    *(getattr(lane, flag).eq(value) for flag, value in flags.items()),
                    lane.value.eq(values[k]), lane.read.eq(read[sums][k]), made[sums][k].eq(lane.o),
                ]  # fmt: skip
        return m

    def _combine(self, m):
        """(a row is read for combination, which, it is added to the one before, level): what happens at a segment's
        end."""
        level, row = Signal(range(LEVELS)), Signal(LEVELS + len(self.last_word))
        wait, waits, turn = Signal(range(self.PAUSE)), Signal(), Signal()
        partial, word = row[:LEVELS], row[LEVELS:]
        second = Cat(partial[number] & (level == number) for number in range(LEVELS)).any()
        reads, last = Signal(), Signal()
        m.d.comb += [
            reads.eq(turn & ((level != LEVELS - 1) | second | self._room)),
            last.eq((Cat((level > number) | partial[number] for number in range(LEVELS))).all()
                    & (word == self.last_word)),
            self.done.eq(reads & last & (level == LEVELS - 1)),
        ]  # fmt: skip
        with m.If(self.valid & self.place.last):
            m.d.sync += [waits.eq(1), wait.eq(self.PAUSE - 1), level.eq(0), row.eq(0)]
        with m.If(waits):
            m.d.sync += wait.eq(wait - 1)
            with m.If(wait == 0):
                m.d.sync += [waits.eq(0), turn.eq(1)]
        with m.If(reads):
            m.d.sync += row.eq(row + (1 << level))
            with m.If(last):
                m.d.sync += [row.eq(0), turn.eq(0), level.eq(level + 1)]
                m.d.sync += [waits.eq(level != LEVELS - 1), wait.eq(self.PAUSE - 1)]
        return reads, row, reads & second, level
