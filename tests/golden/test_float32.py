"""golden.float32 against NumPy float32 and against exact arithmetic."""

from fractions import Fraction

import numpy as np
import pytest

from golden import float32

CORNERS = [0x00000000, 0x00000001, 0x00400000, 0x007FFFFF, 0x00800000, 0x00800001, 0x00FFFFFF, 0x01000000, 0x33800000,
           0x34000000, 0x3F000000, 0x3F7FFFFF, 0x3F800000, 0x3F800001, 0x3FFFFFFF, 0x40000000, 0x40490FDB, 0x4B000001,
           0x4B7FFFFF, 0x4B800000, 0x5F000000, 0x7E800000, 0x7EFFFFFF, 0x7F000000, 0x7F7FFFFF, 0x7F800000, 0x7F800001,
           0x7FC00000, 0x7FFFFFFF]


def corner_pairs():
    signed = np.array(CORNERS + [bits | 1 << 31 for bits in CORNERS], dtype=np.uint32)
    a, b = np.meshgrid(signed, signed)
    return float32.from_bits(a.ravel()), float32.from_bits(b.ravel())


def random_pairs(count=200_000, seed=1):
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 1 << 32, (2, count), dtype=np.uint32)
    near = (bits[0] & np.uint32(0x7FFFFF)) | (bits[0] & np.uint32(0x01000000)) | np.uint32(0x3F000000)
    bits[0] = np.where(np.arange(count) % 3 == 0, near, bits[0])
    bits[1] = np.where(np.arange(count) % 3 == 0, bits[0] ^ (bits[1] & np.uint32(0x8080001F)), bits[1])
    return float32.from_bits(bits[0]), float32.from_bits(bits[1])


def exact_round(value):
    """Bits of the Fraction rounded to nearest even on the binary32 grid, then flushed; sign taken as +."""
    if value == 0:
        return 0
    exponent = max(value.numerator.bit_length() - value.denominator.bit_length() - 1, -127)
    while exponent < -126 or value >= Fraction(2) ** (exponent + 1):
        exponent += 1
    scaled = value / Fraction(2) ** (exponent - 23)
    bits = round(scaled) + ((exponent + 126) << 23)  # Python rounds halves to even; the hidden bit counts 1
    return 0 if bits < 1 << 23 else min(bits, float32.INFINITY_BITS)


@pytest.mark.parametrize("pairs", [corner_pairs, random_pairs])
@pytest.mark.parametrize("name", ["add", "sub", "mul"])
def test_equals_numpy_after_flush(name, pairs):
    a, b = pairs()
    operation = {"add": np.add, "sub": np.subtract, "mul": np.multiply}[name]
    with np.errstate(all="ignore"):
        expected = operation(float32.ftz(a), float32.ftz(b))
    result = getattr(float32, name)(a, b)
    is_nan = np.isnan(expected)
    tiny = np.abs(expected) < np.finfo(np.float32).tiny
    assert np.array_equal(np.isnan(result), is_nan)
    assert np.all(float32.to_bits(result)[is_nan] == float32.NAN_BITS)
    expected = np.where(tiny, np.copysign(np.float32(0), expected), expected)
    assert np.array_equal(float32.to_bits(result)[~is_nan], float32.to_bits(expected)[~is_nan])


def test_mul_against_float64():
    """A product of two 24-bit significands is exact in float64, so its one rounding is the reference."""
    a, b = (float32.ftz(x) for x in random_pairs(seed=2))
    with np.errstate(all="ignore"):
        expected = float32.canonical((a.astype(np.float64) * b.astype(np.float64)).astype(np.float32))
    assert np.array_equal(float32.to_bits(float32.mul(a, b)), float32.to_bits(expected))


def test_flush_happens_after_rounding():
    below = float32.from_bits(0x3F7FFFFF)  # 1 - 2^-24; times 2^-126 rounds to 2^-126 on the subnormal grid
    assert float32.to_bits(float32.mul(below, float32.from_bits(0x00800000))) == 0x00800000
    below = float32.from_bits(0x3F7FFFFE)
    assert float32.to_bits(float32.mul(below, float32.from_bits(0x80800000))) == 0x80000000


def test_signed_zeros():
    zero, minus = np.float32(0), np.float32(-0.0)
    assert float32.to_bits(float32.add(np.float32(3), np.float32(-3))) == 0
    assert float32.to_bits(float32.add(minus, minus)) == float32.SIGN_BIT
    assert float32.to_bits(float32.add(minus, zero)) == 0
    assert float32.to_bits(float32.maximum(minus, zero)) == float32.to_bits(float32.maximum(zero, minus)) == 0
    assert float32.to_bits(float32.ftz(float32.from_bits(0x80000001))) == float32.SIGN_BIT


def test_maximum():
    a, b = corner_pairs()
    result = float32.maximum(a, b)
    nan = np.isnan(a) | np.isnan(b)
    assert np.all(float32.to_bits(result)[nan] == float32.NAN_BITS)
    assert np.array_equal(result[~nan], np.maximum(float32.ftz(a), float32.ftz(b))[~nan])
    assert np.array_equal(float32.to_bits(result), float32.to_bits(float32.maximum(b, a)))


def test_int_to_float_is_rounded_once_from_the_exact_value():
    rng = np.random.default_rng(3)
    values = [0, 1, -1, (1 << 24) + 1, (1 << 24) + 3, -(1 << 24) - 1, (1 << 63) - 1, -(1 << 63), 0x7FFFFFBFFFFFFFFF,
              0x7FFFFFC000000000, 0x7FFFFF4000000000, 0x7FFFFF4000000001, 0xFFFFFF, 0xFFFFFF8, -0x1FFFFFF, 0x1FFFFFD]
    values += [int(v) >> int(s) for v, s in zip(rng.integers(-(1 << 63), (1 << 63) - 1, 3000),
                                                  rng.integers(0, 63, 3000), strict=True)]
    exponents = [0, -1, 40, 64, 65, 90, 104, 127, 128, -126, -127, -149, -150, -151, -173, -174, -189, -190, -300, 300]
    for exponent in exponents:
        result = float32.to_bits(float32.int_to_float(np.array(values), exponent))
        expected = [exact_round(abs(v) * Fraction(2) ** exponent) | (float32.SIGN_BIT if v < 0 else 0) for v in values]
        assert result.tolist() == expected, f"exponent {exponent}"


def test_int_to_float_broadcasts():
    assert float32.int_to_float(np.array([[1], [3]]), np.array([0, 1])).tolist() == [[1, 2], [3, 6]]
    assert float32.int_to_float(5, -1) == np.float32(2.5)
