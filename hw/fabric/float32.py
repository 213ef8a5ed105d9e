"""Float32 units, bit exact with `golden.float32` (nearest even, subnormals are zero, one NaN 0x7FC00000).

All of them: plain ports, one result a cycle, LATENCY enabled cycles; `ce` low freezes the whole pipe (no other
back-pressure); no reset: the first LATENCY results after power-up mean nothing.
"""

from amaranth import Cat, Const, Module, Mux, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from golden.float32 import INFINITY_BITS, NAN_BITS
from hw.fabric.pipeline import Pipelined, count_leading_zeros, shift_right_sticky

FLOAT32 = data.StructLayout({"fraction": unsigned(23), "exponent": unsigned(8), "sign": unsigned(1)})


class Unpacked:
    """Classes of a float32 input, combinational; the significand of a zero or subnormal is 0."""

    def __init__(self, bits):
        x = FLOAT32(bits)
        self.sign, self.exponent = x.sign, x.exponent
        self.is_normal = x.exponent.any()
        is_special = x.exponent.all()
        self.is_infinite = is_special & ~x.fraction.any()
        self.is_nan = is_special & x.fraction.any()
        self.significand = Cat(x.fraction & self.is_normal.replicate(23), self.is_normal)


def pack(p, *, sign, rounded, is_zero, is_infinite, is_nan):
    """Output register: overflow, flush and special cases. `rounded` is signed: {biased exponent, 23-bit fraction}."""
    exponent = rounded[23:]
    overflow = ~exponent[-1] & (exponent[:-1] >= 255) & ~is_zero
    underflow = exponent[-1] | ~exponent.any()
    body = Mux(is_infinite | overflow, INFINITY_BITS, rounded[:31] & (~(is_zero | underflow)).replicate(31))
    return p.register(Mux(is_nan, NAN_BITS, Cat(body[:31], sign)), "packed", shape=32)


class FloatAdd(wiring.Component):
    """o = a + b, LATENCY 8.

    1 compare magnitudes, 2 swap, 3 align, 4 add, 5 count leading zeros, 6 normalise, 7 round, 8 pack. The aligned
    operand keeps guard, round and sticky bits, which is exact enough: a cancellation of more than one bit
    happens only where nothing was shifted out. A subnormal sum is exact, so its flush needs no care.
    """

    LATENCY = 8

    def __init__(self):
        super().__init__({"a": In(32), "b": In(32), "ce": In(1), "o": Out(32)})

    def elaborate(self, platform):
        m = Module()
        p = Pipelined(m, self.ce)
        a, b = Unpacked(self.a), Unpacked(self.b)

        s1_swap = p.register(self.a[:31] < self.b[:31], "s1_swap")
        s1_ab = p.register(a.exponent - b.exponent, "s1_ab", shape=8)
        s1_ba = p.register(b.exponent - a.exponent, "s1_ba", shape=8)
        s1_a = p.register(Cat(a.significand, a.exponent, a.sign), "s1_a")
        s1_b = p.register(Cat(b.significand, b.exponent, b.sign), "s1_b")
        subtract = a.sign ^ b.sign
        s1_nan = p.register(a.is_nan | b.is_nan | (a.is_infinite & b.is_infinite & subtract), "s1_nan")
        s1_infinite = p.register(a.is_infinite | b.is_infinite, "s1_infinite")

        s2_large = p.register(Mux(s1_swap, s1_b, s1_a), "s2_large")
        s2_small = p.register(Mux(s1_swap, s1_a[:24], s1_b[:24]), "s2_small")
        difference = Mux(s1_swap, s1_ba, s1_ab)
        s2_shift = p.register(difference[:5] | difference[5:].any().replicate(5), "s2_shift", shape=5)
        s2_subtract = p.register(s1_a[-1] ^ s1_b[-1], "s2_subtract")

        aligned, sticky = shift_right_sticky(m, Cat(Const(0, 2), s2_small), s2_shift, "aligned")
        s3_small = p.register(Cat(sticky, aligned), "s3_small")
        s3_large = p.register(s2_large, "s3_large")
        s3_subtract = p.register(s2_subtract, "s3_subtract")

        addend = s3_small ^ s3_subtract.replicate(27)
        total = (s3_large[:24] << 3) + addend + s3_subtract  # with subtract, bit 27 is the carry of a - b >= 0
        s4_sum = p.register(Cat(total[:27], total[27] & ~s3_subtract), "s4_sum")
        s4_exponent = p.register(s3_large[24:32], "s4_exponent")

        zeros, is_zero = count_leading_zeros(m, s4_sum, "leading")
        s5_zeros, s5_zero = p.register(zeros, "s5_zeros"), p.register(is_zero, "s5_zero")
        s5_sum, s5_exponent = p.register(s4_sum, "s5_sum"), p.register(s4_exponent, "s5_exponent")

        s6_sum = p.register(s5_sum << s5_zeros, "s6_sum", shape=28)
        s6_exponent = p.register(s5_exponent + 1 - s5_zeros, "s6_exponent", shape=signed(10))
        s6_zero = p.register(s5_zero, "s6_zero")

        round_up = s6_sum[3] & (s6_sum[:3].any() | s6_sum[4])
        s7 = p.register(Cat(s6_sum[4:27], s6_exponent).as_signed() + round_up, "s7_rounded", shape=signed(33))

        # an exact zero is negative only if both addends are
        s4_sign = p.register(s3_large[-1], "s4_sign")
        s4_same = p.register(~s3_subtract, "s4_same")
        s5_sign = p.register(s4_sign & (s4_same | ~is_zero), "s5_sign")
        m.d.comb += self.o.eq(pack(
            p, sign=p.delay(s5_sign, 2, "sign"), rounded=s7, is_zero=p.register(s6_zero, "s7_zero"),
            is_infinite=p.delay(s1_infinite, 6, "infinite"), is_nan=p.delay(s1_nan, 6, "nan")))
        return m


class FloatMul(wiring.Component):
    """o = a * b, LATENCY 7.

    1 unpack (DSP A/B registers), 2 to 4 product (M, P and one register for the cascade of two DSP48E2),
    5 normalise, 6 round, 7 pack. At biased exponent 0 rounding up always gives IEEE's result after the flush:
    it carries only out of 24 ones, the one pattern that rounds to 2^-126 on the twice as coarse subnormal grid.
    """

    LATENCY = 7

    def __init__(self):
        super().__init__({"a": In(32), "b": In(32), "ce": In(1), "o": Out(32)})

    def elaborate(self, platform):
        m = Module()
        p = Pipelined(m, self.ce)
        a, b = Unpacked(self.a), Unpacked(self.b)

        # the fractions go unmasked into the multiplier: zero is a flag of its own
        s1_a = p.register(Cat(self.a[:23], Const(1, 1)), "s1_a")
        s1_b = p.register(Cat(self.b[:23], Const(1, 1)), "s1_b")
        s1_exponent = p.register(a.exponent + b.exponent, "s1_exponent")
        s1_zero = p.register(~a.is_normal | ~b.is_normal, "s1_zero")
        s1_infinite = p.register(a.is_infinite | b.is_infinite, "s1_infinite")
        s1_nan = p.register(a.is_nan | b.is_nan, "s1_nan")
        s2_nan = p.register(s1_nan | (s1_infinite & s1_zero), "s2_nan")

        s4_product = p.delay(s1_a * s1_b, 3, "product")
        s3_exponent = p.delay(s1_exponent, 2, "exponent")
        s4_low = p.register(s3_exponent - 127, "s4_low", shape=signed(10))
        s4_high = p.register(s3_exponent - 126, "s4_high", shape=signed(10))

        top = s4_product[47]
        s5_kept = p.register(Mux(top, s4_product[24:47], s4_product[23:46]), "s5_kept")
        s5_exponent = p.register(Mux(top, s4_high, s4_low), "s5_exponent", shape=signed(10))
        guard = Mux(top, s4_product[23], s4_product[22])
        sticky = s4_product[:22].any() | (top & s4_product[22])
        lowest = Mux(top, s4_product[24], s4_product[23])
        s5_round_up = p.register(guard & (sticky | lowest), "s5_round_up")

        round_up = s5_round_up | ~s5_exponent.any()
        s6 = p.register(Cat(s5_kept, s5_exponent).as_signed() + round_up, "s6_rounded", shape=signed(33))
        m.d.comb += self.o.eq(pack(
            p, sign=p.delay(a.sign ^ b.sign, 6, "sign"), rounded=s6, is_zero=p.delay(s1_zero, 5, "zero"),
            is_infinite=p.delay(s1_infinite, 5, "infinite"), is_nan=p.delay(s2_nan, 4, "nan")))
        return m


class IntToFloat(wiring.Component):
    """o = i * 2**exponent rounded once, i of `width` bits signed, exponent of 10 bits signed, LATENCY 6.

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

        s2_zeros, s2_zero = self._count(m, p, s1_magnitude)
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
            p, sign=p.delay(s1_sign, 4, "sign"), rounded=s5, is_zero=p.delay(s2_zero, 3, "zero"),
            is_infinite=Const(0, 1), is_nan=Const(0, 1)))
        return m

    @staticmethod
    def _count(m, p, magnitude):
        """Registered leading zeros and zero flag; beyond 32 bits the two halves are joined after the register."""
        if len(magnitude) <= 32:
            zeros, is_zero = count_leading_zeros(m, magnitude, "leading")
            return p.register(zeros, "s2_zeros"), p.register(is_zero, "s2_zero")
        high, high_zero = count_leading_zeros(m, magnitude[-32:], "leading_high")
        low, low_zero = count_leading_zeros(m, Cat(Const(0, 64 - len(magnitude)), magnitude[:-32]), "leading_low")
        s2_high, s2_high_zero = p.register(high, "s2_high"), p.register(high_zero, "s2_high_zero")
        s2_low, s2_low_zero = p.register(low, "s2_low"), p.register(low_zero, "s2_low_zero")
        return Cat(Mux(s2_high_zero, s2_low, s2_high), s2_high_zero), s2_high_zero & s2_low_zero
