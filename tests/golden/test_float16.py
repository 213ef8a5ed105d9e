"""golden.float16 against exact arithmetic, over all bit patterns."""

from fractions import Fraction

import numpy as np
import pytest

from golden.float16 import BFLOAT16, BINARY16
from golden.floats import BINARY32

BOTH = pytest.mark.parametrize("half", [BINARY16, BFLOAT16], ids=["binary16", "bfloat16"])
ALL = np.arange(1 << 16, dtype=np.uint16)


def value(half, bits):
    """Fraction of a finite bit pattern, as IEEE reads it."""
    exponent, fraction = bits >> half.fraction & (1 << half.exponent) - 1, bits & (1 << half.fraction) - 1
    significand = fraction | (exponent > 0) << half.fraction
    magnitude = Fraction(significand) * Fraction(2) ** (max(exponent, 1) - half.bias - half.fraction)
    return -magnitude if bits >> 15 else magnitude


def finite(half):
    return ALL[(ALL & half.infinity_bits) != half.infinity_bits]


@BOTH
def test_widen_is_exact(half):
    for bits in finite(half).tolist():
        wide = half.widen(bits)
        subnormal = not bits & half.infinity_bits
        expected = Fraction(0) if subnormal and half is BFLOAT16 else value(half, bits)
        assert Fraction(float(wide)) == expected, hex(bits)
        assert np.signbit(wide) == bits >> 15


@BOTH
def test_there_and_back(half):
    back = half.narrow(half.widen(ALL))
    nan = half.infinity_bits < (ALL & 0x7FFF)
    zero = (ALL & half.infinity_bits == 0) & (half is BFLOAT16)
    expected = np.where(nan, half.nan_bits, np.where(zero, ALL & 0x8000, ALL))
    assert np.array_equal(back, expected)


@BOTH
def test_narrow_rounds_to_nearest_even(half):
    """Every tie between neighbours, and the numbers of binary32 on both sides of it."""
    low = np.arange(half.infinity_bits - 1, dtype=np.uint16)
    if half is BFLOAT16:
        low = low[low >= 1 << half.fraction]
    a, b = half.widen(low).astype(np.float64), half.widen(low + np.uint16(1)).astype(np.float64)
    tie = ((a + b) / 2).astype(np.float32)
    even = np.where(low & 1, low + 1, low)
    assert np.array_equal(half.narrow(tie), even)
    assert np.array_equal(half.narrow(-tie), even | 0x8000)
    assert np.array_equal(half.narrow(np.nextafter(tie, np.float32(0))), low)
    assert np.array_equal(half.narrow(np.nextafter(tie, np.float32(np.inf))), low + 1)


@pytest.mark.parametrize(("half", "x", "bits"), [
    (BINARY16, 65504.0, 0x7BFF), (BINARY16, 65519.99, 0x7BFF), (BINARY16, 65520.0, 0x7C00), (BINARY16, 2.0**-25, 0),
    (BINARY16, 2.0**-25 * 1.0001, 1), (BINARY16, -(2.0**-26), 0x8000), (BINARY16, np.inf, 0x7C00),
    (BINARY16, -np.nan, 0x7E00), (BINARY16, 2.0**-140, 0), (BFLOAT16, 3.4e38, 0x7F80), (BFLOAT16, -np.inf, 0xFF80),
    (BFLOAT16, np.nan, 0x7FC0), (BFLOAT16, 2.0**-127, 0), (BFLOAT16, -0.0, 0x8000),
])  # fmt: skip
def test_what_is_special(half, x, bits):
    assert int(half.narrow(np.float32(x))) == bits


@BOTH
def test_products_are_exact(half):
    rng = np.random.default_rng(1)
    a, b = rng.choice(finite(half), (2, 4000))
    for x, y, product in zip(a.tolist(), b.tolist(), half.mul(a, b).tolist(), strict=True):
        exact = Fraction(float(half.widen(x))) * Fraction(float(half.widen(y)))
        if abs(exact) >= Fraction(2) ** 128:
            assert np.isinf(product)
        elif abs(exact) < Fraction(2) ** -126:
            assert product == 0
        else:
            assert Fraction(product) == exact


@BOTH
def test_products_of_what_is_special(half):
    zero, inf, nan = np.uint16(0), np.uint16(half.infinity_bits), np.uint16(half.nan_bits | 1)
    assert BINARY32.to_bits(half.mul(zero, inf)) == BINARY32.nan_bits
    assert BINARY32.to_bits(half.mul(nan | np.uint16(0x8000), zero)) == BINARY32.nan_bits
    assert half.mul(inf, np.uint16(1 << half.fraction | 0x8000)) == -np.inf
