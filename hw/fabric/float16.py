"""Between binary32 and 16-bit numbers, bit exact with `golden.float16`.

Plain ports, one result a cycle, LATENCY enabled cycles; `ce` low freezes the whole pipe; no reset: the first LATENCY
results after power-up mean nothing.
"""

from amaranth import Cat, Const, Module, Mux, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from golden.float16 import Half
from golden.floats import BINARY32
from hw.fabric.floats import Unpacked
from hw.fabric.pipeline import Pipelined, count_leading_zeros, shift_right_sticky

__all__ = ["Narrow", "Widen"]


class Narrow(wiring.Component):
    """o = the 16-bit number nearest to i, a binary32 number, LATENCY 3.

    1 distance from the smallest normal exponent, 2 shift below it (binary16 only), 3 round and pack. The significand
    with its leading one is added to the exponent less one, so that a subnormal result needs no case, nor what rounds up
    to a normal number or to infinity.
    """

    LATENCY = 3

    def __init__(self, half: Half):
        self.half = half
        super().__init__({"i": In(BINARY32.bits), "ce": In(1), "o": Out(16)})

    def elaborate(self, platform):
        m = Module()
        half, p = self.half, Pipelined(m, self.ce)
        x = Unpacked(self.i)
        kept_bits = half.fraction + 2  # leading one, fraction, guard
        least = BINARY32.bias - half.bias + 1  # exponent of the smallest normal number, biased as in binary32
        dropped = BINARY32.fraction + 1 - kept_bits

        above = x.exponent - least  # the exponent less one
        s1_low = above[-1]
        s1_exponent = p.register(above[:half.exponent] & ~s1_low.replicate(half.exponent), "s1_exponent")
        s1_kept = p.register(x.significand[dropped:], "s1_kept")
        s1_sticky = p.register(x.significand[:dropped].any(), "s1_sticky")
        s1_infinite = p.register(x.exponent >= least + (1 << half.exponent) - 2, "s1_infinite")
        s1_sign, s1_nan = p.register(x.sign, "s1_sign"), p.register(x.is_nan, "s1_nan")

        if half.exponent < BINARY32.exponent:
            distance = kept_bits.bit_length()
            below = least - x.exponent
            far = (x.exponent < least - (1 << distance) + 1).replicate(distance)
            s1_shift = p.register(Mux(s1_low, below[:distance] | far, 0), "s1_shift", shape=distance)
            kept, lost = shift_right_sticky(m, s1_kept, s1_shift, "kept")
        else:
            kept, lost = s1_kept, Const(0, 1)
        s2_kept = p.register(kept, "s2_kept")
        s2_sticky = p.register(s1_sticky | lost, "s2_sticky")
        s2_exponent, s2_infinite = p.register(s1_exponent, "s2_exponent"), p.register(s1_infinite, "s2_infinite")

        round_up = s2_kept[0] & (s2_sticky | s2_kept[1])
        rounded = Cat(Const(0, half.fraction), s2_exponent) + s2_kept[1:] + round_up
        body = Mux(s2_infinite, half.infinity_bits, rounded[:15])
        s2_sign, s2_nan = p.register(s1_sign, "s2_sign"), p.register(s1_nan, "s2_nan")
        m.d.comb += self.o.eq(p.register(Mux(s2_nan, half.nan_bits, Cat(body[:15], s2_sign)), "packed", shape=16))
        return m


class Widen(wiring.Component):
    """o = i, a 16-bit number, in binary32, LATENCY 2.

    1 leading zeros of the fraction, 2 normalise what is subnormal in binary16 (in bfloat16 it becomes zero).
    """

    LATENCY = 2

    def __init__(self, half: Half):
        self.half = half
        super().__init__({"i": In(16), "ce": In(1), "o": Out(BINARY32.bits)})

    def elaborate(self, platform):
        m = Module()
        half, p = self.half, Pipelined(m, self.ce)
        layout = data.StructLayout(
            {"fraction": unsigned(half.fraction), "exponent": unsigned(half.exponent), "sign": unsigned(1)}
        )
        zeros, no_fraction = count_leading_zeros(m, layout(self.i).fraction, "leading")
        s1, s1_zeros = layout(p.register(self.i, "s1")), p.register(zeros, "s1_zeros")
        s1_no_fraction = p.register(no_fraction, "s1_no_fraction")

        rebias = BINARY32.bias - half.bias
        is_normal, is_special = s1.exponent.any(), s1.exponent.all()
        if rebias:
            fraction = Mux(is_normal, s1.fraction, s1.fraction << 1 << s1_zeros)[:half.fraction]
            small = Mux(s1_no_fraction, 0, rebias - s1_zeros)
        else:
            fraction, small = s1.fraction & is_normal.replicate(half.fraction), Const(0, BINARY32.exponent)
        exponent = Mux(is_special, (1 << BINARY32.exponent) - 1, Mux(is_normal, s1.exponent + rebias, small))
        body = Cat(Const(0, BINARY32.fraction - half.fraction), fraction, exponent[:BINARY32.exponent], s1.sign)
        is_nan = is_special & ~s1_no_fraction
        m.d.comb += self.o.eq(p.register(Mux(is_nan, BINARY32.nan_bits, body), "packed", shape=BINARY32.bits))
        return m
