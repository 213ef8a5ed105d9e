"""golden.floats against exact arithmetic."""

from fractions import Fraction

import numpy as np
import pytest

from golden.floats import BINARY32, BINARY64


def exact(of, bits):
    """Fraction of a finite number, subnormals read as zero."""
    exponent = bits >> of.fraction & (1 << of.exponent) - 1
    significand = (bits & (1 << of.fraction) - 1) | 1 << of.fraction
    magnitude = Fraction(significand) * Fraction(2) ** (exponent - of.bias - of.fraction) if exponent else Fraction(0)
    return -magnitude if bits & of.sign_bit else magnitude


def rounded(of, value):
    """Bits of a Fraction rounded to nearest even, on the subnormal grid too, then flushed."""
    sign, magnitude = (of.sign_bit, -value) if value < 0 else (0, value)
    lowest = 1 - of.bias
    exponent = lowest
    if magnitude:
        exponent = max(magnitude.numerator.bit_length() - magnitude.denominator.bit_length() - 1, lowest)
        while magnitude >= Fraction(2) ** (exponent + 1):
            exponent += 1
    bits = round(magnitude / Fraction(2) ** (exponent - of.fraction)) + (exponent - lowest << of.fraction)
    return sign | (0 if bits < 1 << of.fraction else min(bits, of.infinity_bits))


def pairs(of, count):
    """Finite numbers: any, of like size, with products or sums at both ends of the range."""
    rng = np.random.default_rng(of.bits)
    most = (1 << of.exponent) - 2
    exponent = rng.integers(0, most + 1, count)
    like = np.clip(exponent + rng.integers(-of.fraction - 3, of.fraction + 4, count), 0, most)
    low, high = np.clip(of.bias - exponent + rng.integers(-2, 3, count), 0, most), np.clip(
        3 * of.bias - exponent + rng.integers(-2, 3, count), 0, most)
    other = np.choose(rng.integers(0, 4, count), [rng.integers(0, most + 1, count), like, low, high])
    fractions = rng.integers(0, 1 << of.fraction, (2, count)) & rng.choice([(1 << of.fraction) - 1, 15, 0], (2, count))
    for a, b, fraction, further in zip(exponent.tolist(), other.tolist(), *fractions.tolist(), strict=True):
        yield (int(rng.integers(2)) * of.sign_bit | a << of.fraction | fraction,
               int(rng.integers(2)) * of.sign_bit | b << of.fraction | further)


@pytest.mark.parametrize("of", [BINARY32, BINARY64], ids=["binary32", "binary64"])
def test_against_fractions(of):
    for a, b in pairs(of, 4000):
        x, y = of.from_bits(np.array([a, b], of.unsigned))
        for found, value in ((of.add(x, y), exact(of, a) + exact(of, b)), (of.mul(x, y), exact(of, a) * exact(of, b))):
            bits = int(of.to_bits(found))
            if value:
                assert bits == rounded(of, value), (hex(a), hex(b))
            else:
                assert not bits & ~of.sign_bit


@pytest.mark.parametrize("of", [BINARY32, BINARY64], ids=["binary32", "binary64"])
def test_what_is_special(of):
    infinity, one = of.from_bits([of.infinity_bits, of.bias << of.fraction])
    assert float(one) == 1
    assert int(of.to_bits(of.add(infinity, -infinity))) == of.nan_bits
    assert int(of.to_bits(of.mul(infinity, of.from_bits(1)))) == of.nan_bits
    assert int(of.to_bits(of.add(-infinity, one))) == of.infinity_bits | of.sign_bit
    assert int(of.to_bits(of.ftz(of.from_bits(of.sign_bit | 1)))) == of.sign_bit
    assert int(of.to_bits(of.canonical(of.from_bits(of.infinity_bits | of.sign_bit | 1)))) == of.nan_bits
    assert int(of.to_bits(of.add(one, -one))) == 0
