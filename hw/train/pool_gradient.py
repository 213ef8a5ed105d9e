"""Gradients of largest numbers of windows: dY at the tap that was the largest, else +0."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from golden.train.params import TrainParams
from hw.fabric.pipeline import delay, strobes
from hw.fabric.ram import Ram

from .pool_lanes import TAP_BITS
from .vector_layouts import word_layout

__all__ = ["PoolGradient"]


class PoolGradient(wiring.Component):
    """Gathers taps and gradients of a window; then a word a cycle of dX, tap after tap. BANKS windows are gathered or
    wait. A window's first word comes LATENCY + 1 cycles behind its last gradient, its last one may.

    Attributes:
        last_word, last_tap: of a pixel's words and of a window's taps; stable.
        start: strobe, between instructions: these are new.
        taken: strobe: a window's last gradient is on its way. room: so a further window may be, all but its taps before
            the last one.
        i, word, largest, gradient: of PoolLanes.
        may: a word may come in LATENCY cycles. o, valid: it does.
    """

    BANKS = 4
    LATENCY = 2

    def __init__(self, params: TrainParams):
        self.params = params
        word = range(params.channel_words)
        super().__init__({
            "last_word": In(word), "last_tap": In(TAP_BITS), "start": In(1), "taken": In(1), "room": Out(1),
            "i": In(word_layout(params)), "word": In(word), "largest": In(1), "gradient": In(1),
            "may": In(1), "o": Out(word_layout(params)), "valid": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        p = self.params
        into, out_of = Signal(range(self.BANKS)), Signal(range(self.BANKS))
        held, whole = Signal(range(self.BANKS + 1)), Signal(range(self.BANKS + 1))
        word, tap = Signal(range(p.channel_words)), Signal(TAP_BITS)
        gathered, goes, word_ends, freed = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            self.room.eq(held != self.BANKS), gathered.eq(self.gradient & (self.word == self.last_word)),
            goes.eq((whole != 0) & self.may), word_ends.eq(goes & (word == self.last_word)),
            freed.eq(word_ends & (tap == 0)),
        ]
        m.d.sync += [
            held.eq(held + self.taken - freed), whole.eq(whole + gathered - freed),
            into.eq(into + gathered), out_of.eq(out_of + freed),
        ]
        with m.If(goes):
            m.d.sync += word.eq(Mux(word_ends, 0, word + 1))
        with m.If(word_ends):
            m.d.sync += tap.eq(Mux(freed, self.last_tap, tap - 1))
        with m.If(self.start):
            m.d.sync += tap.eq(self.last_tap)

        rams = []
        for name, bits, strobe in (("taps", TAP_BITS, self.largest), ("gradients", 16, self.gradient)):
            m.submodules[name] = ram = Ram(width=bits * p.word, depth=self.BANKS * p.channel_words)
            m.d.comb += [
                ram.write_address.eq(Cat(self.word, into)), ram.write_enable.eq(strobe),
                ram.write_data.eq(Cat(self.i[k][:bits] for k in range(p.word))), ram.read_address.eq(Cat(word, out_of)),
            ]
            rams.append(ram.read_data)
        this = delay(m, tap, 1, "tap")
        for k in range(p.word):
            chosen = rams[0].word_select(k, TAP_BITS) == this
            m.d.sync += self.o[k].eq(rams[1].word_select(k, 16) & chosen.replicate(16))
        m.d.comb += self.valid.eq(strobes(m, goes, self.LATENCY, "goes")[-1])
        return m
