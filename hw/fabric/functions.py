"""Reciprocal, reciprocal square root and exponential of float32, bit exact with `golden.functions`."""

from amaranth import Cat, Const, Module, Mux, signed
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from golden.float32 import INFINITY_BITS, NAN_BITS
from golden.functions import (
    BASE_WIDTH,
    DELTA_WIDTH,
    LOG2E,
    ONE,
    SCALE_FRACTION,
    SCALE_WIDTH,
    SEGMENTS,
    STEP_WIDTH,
    TABLE,
    X_FRACTION,
    X_WIDTH,
)
from hw.fabric.floats import Unpacked
from hw.fabric.pipeline import Pipelined

PRODUCT_DROP = X_FRACTION + SCALE_FRACTION - 23  # bits of x * log2(e) below the fraction of 23 bits
POWER_WIDTH = X_WIDTH + SCALE_WIDTH - PRODUCT_DROP
BIAS_RECIP, BIAS_RSQRT, BIAS_EXP = 253, 190, 127


class FunctionUnit(wiring.Component):
    """o = f(x) with f = recip, rsqrt, exp or exp2 by `op` (`golden.functions.Function`), one a cycle, LATENCY 15.

    Range reduction, one table row {base, step}, one multiplication, one addition:

        significand = (2^20 + base[i]) * 8 + (step[i] * d >> 15)

    1 unpack, 2 x as fixed point, 3 to 5 times log2(e) (two DSP48E2), 6 sign, 7 segment and position, 8 table read
    (one RAMB36, 1024 x 36), 9 its output register, 10 to 12 step * d (one DSP48E2: A/B, M, P), 13 add, 14 exponent,
    15 pack. `ce` low freezes the whole pipe. No reset: the first LATENCY results after power-up mean nothing.
    """

    LATENCY = 15

    def __init__(self):
        super().__init__({"x": In(32), "op": In(2), "ce": In(1), "o": Out(32)})

    def elaborate(self, platform):
        m = Module()
        p = Pipelined(m, self.ce)
        x = Unpacked(self.x)

        s1_x = p.register(self.x, "s1_x")
        s1_op = p.register(self.op, "s1_op")
        shift = (134 - self.x[23:31])[:8]  # meaningless for |x| >= 128, where exp is a special case
        s1_shift = p.register(Mux(shift >= 31, 31, shift), "s1_shift", shape=5)

        power = self._power(p, s1_x, s1_op, s1_shift)                    # as of stage 6
        s6_x, s6_op = p.delay(s1_x, 5, "x"), p.delay(s1_op, 5, "op")
        row, position, exponent = self._reduce(p, power, s6_x, s6_op)  # as of stage 7
        s13 = self._interpolate(m, p, row, position)
        special = self._special(p, x)                                    # as of stage 2

        s13_exponent = p.delay(exponent, 6, "exponent")
        s14_exponent = p.register(s13_exponent + s13[24], "s14_exponent", shape=signed(10))
        s14_fraction = p.register(s13[:23], "s14_fraction")
        s14_sign, s14_nan, s14_infinite, s14_zero = p.delay(special, 12, "special")

        overflow = ~s14_exponent[-1] & (s14_exponent[:9] >= 255)
        underflow = s14_exponent[-1] | ~s14_exponent.any()
        zero = s14_zero | (underflow & ~s14_infinite)
        finite = Cat(s14_fraction, s14_exponent[:8]) & (~zero).replicate(31)
        body = Mux((s14_infinite | overflow) & ~s14_zero, INFINITY_BITS, finite)
        m.d.comb += self.o.eq(p.register(Mux(s14_nan, NAN_BITS, Cat(body[:31], s14_sign)), "packed", shape=32))
        return m

    @staticmethod
    def _power(p, s1_x, s1_op, s1_shift):
        """x * log2(e), or x * 1 for exp2, with 23 fraction bits, signed; stages 2 to 6."""
        significand = Cat(Const(0, 3), s1_x[:23], Const(1, 1))  # 7.20, shifted by at least 1
        s2_x = p.register(significand >> s1_shift, "s2_x", shape=X_WIDTH)
        s2_scale = p.register(Mux(s1_op[0], ONE, LOG2E), "s2_scale", shape=SCALE_WIDTH)
        s5_product = p.delay(s2_x * s2_scale, 3, "product")
        s5_negative = p.delay(s1_x[31], 4, "negative")
        magnitude = Cat(s5_product[PRODUCT_DROP:], Const(0, 1))
        return p.register((magnitude ^ s5_negative.replicate(len(magnitude))) + s5_negative, "s6_power",
                          shape=signed(POWER_WIDTH + 1))

    @staticmethod
    def _reduce(p, s6_power, s6_x, s6_op):
        """Table row, position inside the segment, and biased exponent (signed) of the result; stage 7."""
        fraction, biased = s6_x[:23], s6_x[23:31]
        is_exp = s6_op[1]
        segment = Mux(is_exp, s6_power[DELTA_WIDTH:23],
                      Mux(s6_op[0], Cat(fraction[16:], ~s6_x[23]), fraction[DELTA_WIDTH:]))
        table = Cat(s6_op[0] & ~is_exp, is_exp)
        row = p.register(Cat(segment, table), "s7_row", shape=10)
        delta = Mux(s6_op[0], fraction[1:16], fraction[:DELTA_WIDTH])
        # falling functions count from the right end: 2^15 - delta
        position = Mux(is_exp, s6_power[:DELTA_WIDTH], ~delta) + Mux(is_exp, Const(0, 1), 1)
        s7_position = p.register(position, "s7_position", shape=DELTA_WIDTH + 1)
        halved = (biased + 1)[1:]
        # the inverse of an unsigned byte is 255 - byte
        base = Mux(is_exp, s6_power[23:].as_signed(), ~Mux(s6_op[0], halved, biased))
        bias = Mux(is_exp, BIAS_EXP, Mux(s6_op[0], BIAS_RSQRT - 255, BIAS_RECIP - 255))
        return row, s7_position, p.register(base + bias, "s7_exponent", shape=signed(10))

    @staticmethod
    def _interpolate(m, p, s7_row, s7_position):
        """Significand in [2^23, 2^24]; stages 8 to 13."""
        m.submodules.table = table = memory.Memory(
            shape=BASE_WIDTH + STEP_WIDTH, depth=4 * SEGMENTS, init=[base << STEP_WIDTH | step for base, step in TABLE],
            attrs={"ram_style": "block"})
        read = table.read_port()
        m.d.comb += [read.addr.eq(s7_row), read.en.eq(p.enable)]
        s9_data = p.register(read.data, "s9_data")
        s10_step = p.register(s9_data[:STEP_WIDTH], "s10_step")
        s10_position = p.delay(s7_position, 3, "position")
        s12_product = p.delay(s10_step * s10_position, 2, "step_product")
        s12_base = p.delay(s9_data[STEP_WIDTH:], 3, "base")
        first = Cat(Const(0, 3), s12_base, Const(1, 1))
        return p.register(first + s12_product[DELTA_WIDTH:], "s13_significand", shape=25)

    def _special(self, p, x):
        """Registered {sign, nan, infinite, zero} of the result, as far as x alone decides it; stage 2."""
        is_zero, is_huge = ~x.is_normal, x.exponent >= 134
        is_exp, is_rsqrt = self.op[1], ~self.op[1] & self.op[0]
        negative = self.x[31]
        s1 = p.register(Cat(x.is_nan, x.is_infinite, is_zero, is_huge, negative, is_exp, is_rsqrt), "s1_class")
        nan, infinite, zero, huge, negative, is_exp, is_rsqrt = s1
        return p.register(Cat(
            negative & ~is_exp,
            nan | (is_rsqrt & negative & ~zero),
            Mux(is_exp, huge & ~negative, zero),
            Mux(is_exp, huge & negative, infinite)), "s2_special")
