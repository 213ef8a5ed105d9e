"""Unary functions on float32 (reciprocal, reciprocal square root, exponential), bit exact with `hw.fabric.functions`.

Each is range reduction plus one piecewise linear table of 256 segments, all in integers:

    significand = (2^20 + base[i]) * 8 + (step[i] * d >> 15)         in [2^23, 2^24], 2^24 only at exact powers of two

where i is the segment and d the position inside it. For exp, base is the segment's left end and d = delta in
[0, 2^15); for the falling functions, base is the right end and d = 2^15 - delta. Both ends of a segment lie on
the function, so powers of two come out exact: recip(2^k), rsqrt(4^k), exp(0) = 1, exp2(k).

Numbers are those of `golden.float32`: subnormals are zero in and out, one NaN. Special cases:

    recip   NaN: NaN   +-0: +-inf   +-inf: +-0   results below 2^-126: 0 of the same sign
    rsqrt   NaN: NaN   +-0: +-inf   +inf: +0     negative (not -0): NaN
    exp     NaN: NaN   result at least 2^128: +inf       result below 2^-126: +0; the same for exp2

Largest relative errors: recip 2^-17.9, rsqrt 2^-17.3, exp2 2^-18, exp 2^-18 wherever the result is normal (tested).
"""

from decimal import Decimal, localcontext
from enum import IntEnum
from math import isqrt

import numpy as np

from golden import float32
from golden.float32 import INFINITY_BITS, NAN_BITS, SIGN_BIT

SEGMENTS = 256
DELTA_WIDTH = 15     # position inside a segment
BASE_WIDTH = 20
STEP_WIDTH = 16
X_FRACTION = 19      # exp: |x| < 128 as fixed point 7.19
SCALE_FRACTION = 25  # exp: log2(e) as fixed point 1.25
X_WIDTH = 7 + X_FRACTION
SCALE_WIDTH = 1 + SCALE_FRACTION


class Function(IntEnum):
    """Operation codes of the function unit."""

    RECIP = 0
    RSQRT = 1
    EXP = 2
    EXP2 = 3


def _round_sqrt(numerator, denominator):
    """round(sqrt(numerator / denominator)) exactly."""
    return (isqrt(4 * numerator // denominator) + 1) // 2


def _segment(low_21, high_24):
    """(base, step) of a segment from its lower end in units of 2^-20 and its upper end in units of 2^-23."""
    return low_21 - (1 << BASE_WIDTH), high_24 - 8 * low_21


def _recip_segment(i):
    def point(i, bits):  # 2^bits / (1 + i / 256), rounded
        return ((SEGMENTS << (bits + 1)) // (SEGMENTS + i) + 1) // 2
    return _segment(point(i + 1, 21), point(i, 24))


def _rsqrt_segment(i):
    def point(j, bits):  # 2^bits / sqrt(q), q = 1 + j / 128, doubled in the upper half of the table (odd exponents)
        return _round_sqrt(128 << (2 * bits), (128 + j) << (i >> 7))
    return _segment(point((i & 127) + 1, 21), point(i & 127, 24))


def _exp2_segment(i):
    def point(i, bits):
        with localcontext() as context:
            context.prec = 40
            return int((Decimal(2) ** (Decimal(i) / SEGMENTS) * (1 << bits)).to_integral_value())
    return _segment(point(i, 20), point(i + 1, 23))


def _scale():
    with localcontext() as context:
        context.prec = 40
        return int((Decimal(1 << SCALE_FRACTION) / Decimal(2).ln()).to_integral_value())


def table():
    """Rows (base, step) of the three tables, one after the other: recip, rsqrt, exp2."""
    return [segment(i) for segment in (_recip_segment, _rsqrt_segment, _exp2_segment) for i in range(SEGMENTS)]


TABLE = table()
_BASE, _STEP = (np.array(column, dtype=np.int64) for column in zip(*TABLE, strict=True))
LOG2E = _scale()
ONE = 1 << SCALE_FRACTION


def recip(x):
    """1 / x."""
    sign, exponent, fraction = _unpack(x)
    significand = _interpolate(Function.RECIP, fraction >> DELTA_WIDTH, (1 << 15) - (fraction & 0x7FFF))
    result = _pack(sign, 253 - exponent, significand)
    result = np.where(exponent == 0, sign | INFINITY_BITS, result)
    return _finish(np.where(exponent == 255, sign, result), np.isnan(x))


def rsqrt(x):
    """1 / sqrt(x)."""
    sign, exponent, fraction = _unpack(x)
    odd = ~exponent & 1  # the unbiased exponent is odd
    index = (odd << 7) | (fraction >> 16)
    significand = _interpolate(Function.RSQRT, index, (1 << 15) - (fraction >> 1 & 0x7FFF))
    result = _pack(0 * sign, 190 - ((exponent + 1) >> 1), significand)
    result = np.where(exponent == 255, 0, result)
    result = np.where(exponent == 0, sign | INFINITY_BITS, result)
    return _finish(result, np.isnan(x) | ((sign != 0) & (exponent != 0)))


def exp(x):
    """e ** x."""
    return _exponential(x, LOG2E)


def exp2(x):
    """2 ** x."""
    return _exponential(x, ONE)


def sigmoid(x):
    """1 / (1 + exp(-x)) as the fixed sequence exp, add, recip."""
    e = exp(float32.neg(x))
    d = float32.add(np.float32(1), e)
    return recip(d)


def silu(x):
    """x * sigmoid(x): the sequence exp, add, recip, mul. silu(-inf) is NaN (-inf * 0)."""
    return float32.mul(x, sigmoid(x))


GELU_LINEAR = np.float32(-1.5957691216057308)  # -2 sqrt(2 / pi)
GELU_CUBIC = np.float32(-0.07135481282747557)  # 0.044715 times that


def gelu(x):
    """x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2, with (1 + tanh u) / 2 = 1 / (1 + exp(-2 u)).

    The sequence: s = x * x; t = s * GELU_CUBIC; u = t + GELU_LINEAR; e = exp(u * x); d = 1 + e; y = x * recip(d).
    gelu(-inf) is NaN.
    """
    s = float32.mul(x, x)
    t = float32.mul(s, GELU_CUBIC)
    u = float32.add(t, GELU_LINEAR)
    e = exp(float32.mul(u, x))
    d = float32.add(np.float32(1), e)
    return float32.mul(x, recip(d))


def _exponential(x, scale):
    sign, exponent, fraction = _unpack(x)
    shift = np.clip(133 - exponent, 0, 31)
    magnitude = ((1 << 23 | fraction) << 2) >> shift                      # 7.19
    product = magnitude * scale >> (X_FRACTION + SCALE_FRACTION - 23)     # 8.23
    power = np.where(sign != 0, -product, product)
    delta, index = power & 0x7FFF, power >> DELTA_WIDTH & 0xFF
    result = _pack(0 * sign, (power >> 23) + 127, _interpolate(Function.EXP, index, delta))
    result = np.where(exponent >= 134, np.where(sign != 0, 0, INFINITY_BITS), result)
    return _finish(result, np.isnan(x))


def _unpack(x):
    """Sign (bit 31 in place), biased exponent and fraction as int64. Subnormals show by exponent 0."""
    bits = float32.to_bits(x).astype(np.int64)
    return bits & SIGN_BIT, bits >> 23 & 0xFF, bits & 0x7FFFFF


def _interpolate(function, index, d):
    row = function * SEGMENTS + index
    return (((1 << BASE_WIDTH) + _BASE[row]) << 3) + (_STEP[row] * d >> DELTA_WIDTH)


def _pack(sign, biased, significand):
    """sign | biased exponent | fraction; significand in [2^23, 2^24] carries into the exponent at 2^24."""
    packed = biased * (1 << 23) + (significand - (1 << 23))
    packed = np.where(packed >= INFINITY_BITS, INFINITY_BITS, packed)
    return sign | np.where(packed < (1 << 23), 0, packed)


def _finish(result, is_nan):
    return float32.from_bits(np.where(is_nan, NAN_BITS, result))
