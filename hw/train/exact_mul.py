"""The product of two 16-bit operands, exact in binary32."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from golden.floats import BINARY32
from hw.fabric.pipeline import Pipelined

__all__ = ["FRACTION", "ExactMul", "operand_layout"]

FRACTION = 10
"""Bits of an operand's fraction: binary16's; bfloat16 has fewer."""
DROPPED = BINARY32.fraction - FRACTION
"""Low bits of a widened number, which are zero."""


def operand_layout() -> data.StructLayout:
    """A 16-bit number, widened to binary32, without the low bits of the fraction. A subnormal one is zero."""
    return data.StructLayout({
        "fraction": unsigned(FRACTION), "exponent": unsigned(BINARY32.exponent), "sign": unsigned(1),
    })


class ExactMul(wiring.Component):
    """o = a * b as `golden.float16.Half.mul`, LATENCY 4, one a cycle. Without back-pressure and reset.

    1 the DSP48E2's A and B registers, 2 M, 3 P, 4 normalise and pack. The significand has 22 bits, so nothing is
    rounded; only products of bfloat16 leave the range of binary32, to infinity or zero.

    Attributes:
        a, b: `operand_layout`. on: else o is +0, whatever a and b are. o: bits of binary32.
    """

    LATENCY = 4

    def __init__(self):
        super().__init__({"a": In(operand_layout()), "b": In(operand_layout()), "on": In(1), "o": Out(32)})

    def elaborate(self, platform):
        m = Module()
        p, of = Pipelined(m), BINARY32
        a, b = self.a, self.b
        wide = signed(of.exponent + 2)

        s1_a = p.register(Cat(a.fraction, Const(1, 1)), "s1_a")
        s1_b = p.register(Cat(b.fraction, Const(1, 1)), "s1_b")
        s1_exponent = p.register(a.exponent + b.exponent, "s1_exponent")
        s1_sign = p.register(a.sign ^ b.sign, "s1_sign")
        s1_on = p.register(self.on, "s1_on")
        zeros = [~x.exponent.any() for x in (a, b)]
        specials = [x.exponent.all() for x in (a, b)]
        s1_zero = [p.register(zero, f"s1_zero_{name}") for zero, name in zip(zeros, "ab", strict=True)]
        s1_special = [p.register(special, f"s1_special_{name}") for special, name in zip(specials, "ab", strict=True)]
        s1_fraction = [p.register(x.fraction.any(), f"s1_fraction_{name}") for x, name in ((a, "a"), (b, "b"))]

        s2_product = p.register(s1_a * s1_b, "s2_product")
        s2_low = p.register(s1_exponent - of.bias, "s2_low", shape=wide)
        s2_high = p.register(s1_exponent - (of.bias - 1), "s2_high", shape=wide)
        nan = Signal()
        m.d.comb += nan.eq(
            (s1_special[0] & (s1_fraction[0] | s1_zero[1])) | (s1_special[1] & (s1_fraction[1] | s1_zero[0]))
        )
        s2_nan = p.register(nan & s1_on, "s2_nan")
        s2_infinite = p.register((s1_special[0] | s1_special[1]) & s1_on, "s2_infinite")
        s2_zero = p.register(s1_zero[0] | s1_zero[1] | ~s1_on, "s2_zero")
        s2_sign = p.register(s1_sign & s1_on, "s2_sign")

        s3_product = p.register(s2_product, "s3_product")
        s3_low, s3_high = p.register(s2_low[:of.exponent], "s3_low"), p.register(s2_high[:of.exponent], "s3_high")
        s3_nan, s3_sign = p.register(s2_nan, "s3_nan"), p.register(s2_sign, "s3_sign")
        beyond, below = [], []  # the range, if the significand's top bit is clear, and if it is set
        for exponent, name in ((s2_low, "low"), (s2_high, "high")):
            over = ~exponent[-1] & (exponent[:-1] >= (1 << of.exponent) - 1) & ~s2_zero
            beyond.append(p.register(over | s2_infinite, f"s3_beyond_{name}"))
            below.append(p.register(exponent[-1] | ~exponent[:-1].any() | s2_zero, f"s3_below_{name}"))

        top = s3_product[-1]
        fraction = Cat(Const(0, of.fraction - 2 * FRACTION - 1),
                       Mux(top, s3_product[:2 * FRACTION + 1], s3_product[:2 * FRACTION] << 1)[:2 * FRACTION + 1])
        infinite, zero = Mux(top, beyond[1], beyond[0]), Mux(top, below[1], below[0])
        body = Cat(fraction, Mux(top, s3_high, s3_low)) & (~zero).replicate(of.bits - 1)
        with_ends = Mux(s3_nan, of.nan_bits, Cat(Mux(infinite, of.infinity_bits, body)[:of.bits - 1], s3_sign))
        m.d.comb += self.o.eq(p.register(with_ends, "packed", shape=of.bits))
        return m
