"""Floating-point units, bit exact with `golden.floats` (nearest even, subnormals are zero, one NaN).

All of them: plain ports, one result a cycle, LATENCY enabled cycles; `ce` low freezes the whole pipe (no other
back-pressure); no reset: the first LATENCY results after power-up mean nothing.
"""

from amaranth import Cat, Const, Module, Mux, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from golden.floats import BINARY32, Format
from hw.fabric.pipeline import Pipelined, count_leading_zeros, shift_right_sticky

__all__ = ["FloatAdd", "FloatMul", "IntToFloat", "Unpacked"]


class Unpacked:
    """Classes of an input, combinational; the significand of a zero or subnormal is 0."""

    def __init__(self, bits, of: Format = BINARY32):
        x = data.StructLayout(
            {"fraction": unsigned(of.fraction), "exponent": unsigned(of.exponent), "sign": unsigned(1)}
        )(bits)
        self.sign, self.exponent, self.fraction = x.sign, x.exponent, x.fraction
        self.is_normal = x.exponent.any()
        is_special = x.exponent.all()
        self.is_infinite = is_special & ~x.fraction.any()
        self.is_nan = is_special & x.fraction.any()
        self.significand = Cat(x.fraction & self.is_normal.replicate(of.fraction), self.is_normal)


def pack(p, of: Format, *, sign, rounded, is_zero, is_infinite, is_nan):
    """Output register: overflow, flush and special cases. `rounded` is signed: {biased exponent, fraction}."""
    exponent = rounded[of.fraction:]
    overflow = ~exponent[-1] & (exponent[:-1] >= (1 << of.exponent) - 1) & ~is_zero
    underflow = exponent[-1] | ~exponent.any()
    width = of.bits - 1
    body = Mux(is_infinite | overflow, of.infinity_bits, rounded[:width] & (~(is_zero | underflow)).replicate(width))
    return p.register(Mux(is_nan, of.nan_bits, Cat(body[:width], sign)), "packed", shape=of.bits)


class FloatAdd(wiring.Component):
    """o = a + b, LATENCY 8.

    1 compare magnitudes, 2 swap, 3 align, 4 add, 5 count leading zeros, 6 normalise, 7 round, 8 pack. The aligned
    operand keeps guard, round and sticky bits, which is exact enough: a cancellation of more than one bit
    happens only where nothing was shifted out. A subnormal sum is exact, so its flush needs no care.
    """

    LATENCY = 8

    def __init__(self, of: Format = BINARY32):
        self.format = of
        super().__init__({"a": In(of.bits), "b": In(of.bits), "ce": In(1), "o": Out(of.bits)})

    def elaborate(self, platform):
        m = Module()
        of, p = self.format, Pipelined(m, self.ce)
        a, b = Unpacked(self.a, of), Unpacked(self.b, of)
        significand = of.fraction + 1
        aligned_bits = significand + 3  # with guard, round and sticky
        distance = aligned_bits.bit_length()

        s1_swap = p.register(self.a[:-1] < self.b[:-1], "s1_swap")
        s1_ab = p.register(a.exponent - b.exponent, "s1_ab", shape=of.exponent)
        s1_ba = p.register(b.exponent - a.exponent, "s1_ba", shape=of.exponent)
        s1_a = p.register(Cat(a.significand, a.exponent, a.sign), "s1_a")
        s1_b = p.register(Cat(b.significand, b.exponent, b.sign), "s1_b")
        subtract = a.sign ^ b.sign
        s1_nan = p.register(a.is_nan | b.is_nan | (a.is_infinite & b.is_infinite & subtract), "s1_nan")
        s1_infinite = p.register(a.is_infinite | b.is_infinite, "s1_infinite")

        s2_large = p.register(Mux(s1_swap, s1_b, s1_a), "s2_large")
        s2_small = p.register(Mux(s1_swap, s1_a[:significand], s1_b[:significand]), "s2_small")
        difference = Mux(s1_swap, s1_ba, s1_ab)
        far = difference[distance:].any().replicate(distance)
        s2_shift = p.register(difference[:distance] | far, "s2_shift", shape=distance)
        s2_subtract = p.register(s1_a[-1] ^ s1_b[-1], "s2_subtract")

        aligned, sticky = shift_right_sticky(m, Cat(Const(0, 2), s2_small), s2_shift, "aligned")
        s3_small = p.register(Cat(sticky, aligned), "s3_small")
        s3_large = p.register(s2_large, "s3_large")
        s3_subtract = p.register(s2_subtract, "s3_subtract")

        addend = s3_small ^ s3_subtract.replicate(aligned_bits)
        total = (s3_large[:significand] << 3) + addend + s3_subtract  # with subtract, the top bit is a carry
        s4_sum = p.register(Cat(total[:aligned_bits], total[aligned_bits] & ~s3_subtract), "s4_sum")
        s4_exponent = p.register(s3_large[significand:-1], "s4_exponent")

        s5_zeros, s5_zero = _leading_zeros(m, p, s4_sum, "s5")
        s5_sum, s5_exponent = p.register(s4_sum, "s5_sum"), p.register(s4_exponent, "s5_exponent")

        s6_sum = p.register(s5_sum << s5_zeros, "s6_sum", shape=aligned_bits + 1)
        s6_exponent = p.register(s5_exponent + 1 - s5_zeros, "s6_exponent", shape=signed(of.exponent + 2))
        s6_zero = p.register(s5_zero, "s6_zero")

        round_up = s6_sum[3] & (s6_sum[:3].any() | s6_sum[4])
        s7 = p.register(Cat(s6_sum[4:-1], s6_exponent).as_signed() + round_up, "s7_rounded",
                        shape=signed(of.bits + 1))

        # an exact zero is negative only if both addends are
        s4_sign = p.register(s3_large[-1], "s4_sign")
        s4_same = p.register(~s3_subtract, "s4_same")
        s5_sign, s5_same = p.register(s4_sign, "s5_sign"), p.register(s4_same, "s5_same")
        s6_sign = p.register(s5_sign & (s5_same | ~s5_zero), "s6_sign")
        m.d.comb += self.o.eq(pack(
            p, of, sign=p.register(s6_sign, "s7_sign"), rounded=s7, is_zero=p.register(s6_zero, "s7_zero"),
            is_infinite=p.delay(s1_infinite, 6, "infinite"), is_nan=p.delay(s1_nan, 6, "nan")))
        return m


class FloatMul(wiring.Component):
    """o = a * b, LATENCY 7, or 10 if the product takes more than two DSP48E2.

    1 unpack (DSP A/B registers), then the product: M, P and a register for the cascade of two DSP48E2, or three more
    for longer ones; then normalise, round, pack. At biased exponent 0 rounding up always gives IEEE's result after the
    flush: it carries only out of all ones, the one pattern that rounds to the smallest normal number on the twice as
    coarse subnormal grid.
    """

    LATENCY = 7

    def __init__(self, of: Format = BINARY32):
        self.format = of
        self.product_cycles = 3 if of.fraction <= BINARY32.fraction else 6
        self.LATENCY = 4 + self.product_cycles
        super().__init__({"a": In(of.bits), "b": In(of.bits), "ce": In(1), "o": Out(of.bits)})

    def elaborate(self, platform):
        m = Module()
        of, p, cycles = self.format, Pipelined(m, self.ce), self.product_cycles
        a, b = Unpacked(self.a, of), Unpacked(self.b, of)
        wide = signed(of.exponent + 2)

        # the fractions go unmasked into the multiplier: zero is a flag of its own
        s1_a = p.register(Cat(a.fraction, Const(1, 1)), "s1_a")
        s1_b = p.register(Cat(b.fraction, Const(1, 1)), "s1_b")
        s1_exponent = p.register(a.exponent + b.exponent, "s1_exponent")
        s1_zero = p.register(~a.is_normal | ~b.is_normal, "s1_zero")
        s1_infinite = p.register(a.is_infinite | b.is_infinite, "s1_infinite")
        s1_nan = p.register(a.is_nan | b.is_nan, "s1_nan")
        s2_nan = p.register(s1_nan | (s1_infinite & s1_zero), "s2_nan")

        made = p.delay(s1_a * s1_b, cycles, "product")
        exponent = p.delay(s1_exponent, cycles - 1, "exponent")
        low = p.register(exponent - of.bias, "exponent_low", shape=wide)
        high = p.register(exponent - (of.bias - 1), "exponent_high", shape=wide)

        top, at = made[-1], of.fraction  # the kept fraction begins at bit `at`, or one higher
        kept = p.register(Mux(top, made[at + 1:-1], made[at:-2]), "kept")
        kept_exponent = p.register(Mux(top, high, low), "kept_exponent", shape=wide)
        guard = Mux(top, made[at], made[at - 1])
        sticky = made[:at - 1].any() | (top & made[at - 1])
        lowest = Mux(top, made[at + 1], made[at])
        rounds = p.register(guard & (sticky | lowest), "rounds")

        rounded = p.register(Cat(kept, kept_exponent).as_signed() + (rounds | ~kept_exponent.any()), "rounded",
                             shape=signed(of.bits + 1))
        m.d.comb += self.o.eq(pack(
            p, of, sign=p.delay(a.sign ^ b.sign, cycles + 3, "sign"), rounded=rounded,
            is_zero=p.delay(s1_zero, cycles + 2, "zero"), is_infinite=p.delay(s1_infinite, cycles + 2, "infinite"),
            is_nan=p.delay(s2_nan, cycles + 1, "nan")))
        return m


class IntToFloat(wiring.Component):
    """o = i * 2**exponent in binary32, rounded once, i of `width` bits signed, exponent of 10 bits signed, LATENCY 6.

    1 magnitude, 2 count leading zeros, 3 normalise, 4 guard and sticky, 5 round (biased exponent 0: see FloatMul),
    6 pack. i = 0 gives +0.
    """

    LATENCY = 6

    def __init__(self, width):
        if not 2 <= width <= 64:
            raise ValueError(f"width must be between 2 and 64, not {width!r}")
        self.width = width
        super().__init__({"i": In(signed(width)), "exponent": In(signed(10)), "ce": In(1), "o": Out(32)})

    def elaborate(self, platform):
        m = Module()
        p = Pipelined(m, self.ce)
        padding = max(0, 27 - self.width)  # at least 24 bits, guard and two more, so that the slices below exist
        width = self.width + padding

        s1_sign = p.register(self.i[-1], "s1_sign")
        magnitude = (self.i[:] ^ self.i[-1].replicate(self.width)) + self.i[-1]
        s1_magnitude = p.register(Cat(Const(0, padding), magnitude[:self.width]), "s1_magnitude")
        s1_exponent = p.register(self.exponent + (127 + self.width - 1), "s1_exponent", shape=signed(11))

        s2_zeros, s2_zero = _leading_zeros(m, p, s1_magnitude, "s2")
        s2_magnitude = p.register(s1_magnitude, "s2_magnitude")
        s2_exponent = p.register(s1_exponent, "s2_exponent")

        s3_sum = p.register(s2_magnitude << s2_zeros, "s3_sum", shape=width)
        s3_exponent = p.register(s2_exponent - s2_zeros, "s3_exponent", shape=signed(11))

        low = width - 24  # position of the lowest kept bit
        s4_kept = p.register(s3_sum[low:width - 1], "s4_kept")
        round_up = s3_sum[low - 1] & (s3_sum[:low - 1].any() | s3_sum[low])
        s4_round_up = p.register(round_up | ~s3_exponent.any(), "s4_round_up")
        s4_exponent = p.register(s3_exponent, "s4_exponent")

        s5 = p.register(Cat(s4_kept, s4_exponent).as_signed() + s4_round_up, "s5_rounded", shape=signed(34))
        m.d.comb += self.o.eq(pack(
            p, BINARY32, sign=p.delay(s1_sign, 4, "sign"), rounded=s5, is_zero=p.delay(s2_zero, 3, "zero"),
            is_infinite=Const(0, 1), is_nan=Const(0, 1)))
        return m


def _leading_zeros(m, p, value, name):
    """Registered leading zeros and zero flag; beyond 32 bits the two halves are joined after the register."""
    if len(value) <= 32:
        zeros, is_zero = count_leading_zeros(m, value, "leading")
        return p.register(zeros, f"{name}_zeros"), p.register(is_zero, f"{name}_zero")
    high, high_zero = count_leading_zeros(m, value[-32:], "leading_high")
    low, low_zero = count_leading_zeros(m, Cat(Const(0, 64 - len(value)), value[:-32]), "leading_low")
    high, high_zero = p.register(high, f"{name}_high"), p.register(high_zero, f"{name}_high_zero")
    low, low_zero = p.register(low, f"{name}_low"), p.register(low_zero, f"{name}_low_zero")
    return Cat(Mux(high_zero, low, high), high_zero), high_zero & low_zero
