"""Largest numbers of windows, bit exact with `golden.train.pooling`."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from golden.train.params import TrainParams
from hw.fabric.pipeline import strobes

from .vector_layouts import word_layout

__all__ = ["TAP_BITS", "PoolLanes", "tap_layout"]

TAP_BITS = 8


def tap_layout(p: TrainParams) -> data.StructLayout:
    """A tap's numbers of a word of channels. `tap`: how many follow; `first`, `last`: of the window's. `dy`: instead,
    behind the last one, the gradient of the window's number."""
    return data.StructLayout({"numbers": word_layout(p), "word": range(p.channel_words), "tap": TAP_BITS, "first": 1,
                              "last": 1, "dy": 1})


class PoolLanes(wiring.Component):
    """A word a cycle, LATENCY 2, which nothing stops. The largest number of each channel so far, and its tap or bits,
    wait in a LUT RAM for the next tap's:

        1 the key, 2 compare with the RAM's, write that

    Keys are ordered as numbers are, without signs: NaN above all, zeros (bfloat16: and subnormals) equal.

    Attributes:
        i, valid: a tap, while `valid`. back: taps come out, else numbers; stable.
        o: of a last tap the largest number's bits or tap; of a dy what becomes dX: `narrow(0 + dy)`.
        word: of `o`. largest, gradient: strobes: what it is.
    """

    LATENCY = 2

    def __init__(self, params: TrainParams):
        self.params = params
        super().__init__({
            "i": In(tap_layout(params)), "valid": In(1), "back": In(1),
            "o": Out(word_layout(params)), "word": Out(range(params.channel_words)), "largest": Out(1),
            "gradient": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        p = self.params
        state = data.ArrayLayout(data.StructLayout({"key": 16, "kept": 16}), p.word)
        m.submodules.largest_yet = ram = Memory(shape=state.size, depth=p.channel_words, init=[],
                                                attrs={"ram_style": "distributed"})
        write, read = ram.write_port(), ram.read_port(domain="comb")
        tap, before, now = Signal(self.i.shape(), reset_less=True), Signal(state), Signal(state)
        valid = strobes(m, self.valid, 1, "valid")[-1]
        m.d.comb += [
            read.addr.eq(tap.word), before.as_value().eq(read.data), write.addr.eq(tap.word), write.en.eq(valid),
            write.data.eq(now),
        ]
        m.d.sync += [
            tap.eq(self.i), self.word.eq(tap.word), self.largest.eq(valid & tap.last & ~tap.dy),
            self.gradient.eq(valid & tap.dy),
        ]
        for k in range(p.word):
            key, nan, zero = self._key(m, k)
            kept = Mux(self.back, tap.tap, tap.numbers[k])
            larger = tap.first | (key > before[k].key)
            m.d.comb += [now[k].key.eq(Mux(larger, key, before[k].key)),
                         now[k].kept.eq(Mux(larger, kept, before[k].kept))]
            gradient = Mux(nan, p.half.nan_bits, tap.numbers[k] & (~zero).replicate(16))
            m.d.sync += self.o[k].eq(Mux(tap.dy, gradient, now[k].kept))
        return m

    def _key(self, m, k):
        """(key, NaN, zero), registers."""
        half, number = self.params.half, self.i.numbers[k]
        fraction, exponent, sign = number[:half.fraction], number[half.fraction:15], number[15]
        body = exponent if half.exponent == 8 else number[:15]
        key, nan, zero = (Signal(bits, name=f"{name}_{k}", reset_less=True)
                          for name, bits in (("key", 16), ("nan", 1), ("zero", 1)))  # fmt: skip
        is_nan, is_zero = exponent.all() & fraction.any(), ~body.any()
        magnitude = (number[:15] ^ sign.replicate(15)) & (~is_zero).replicate(15) | is_nan.replicate(15)
        m.d.sync += [key.eq(Cat(magnitude, ~sign | is_zero | is_nan)), nan.eq(is_nan), zero.eq(is_zero)]
        return key, nan, zero
