# amaranth: UnusedElaboratable=no
"""FloatAdd, FloatMul and IntToFloat in Verilator against golden.float32, bit for bit."""

import numpy as np
import pytest

from golden import float32
from hw.fabric.float32 import FloatAdd, FloatMul, IntToFloat
from tests.hw.fabric.vectors import check_bits, run_vectors

CORNERS = [0x00000000, 0x00000001, 0x007FFFFF, 0x00800000, 0x00800001, 0x00FFFFFF, 0x01000000, 0x0C000000, 0x26000000,
           0x32FFFFFF, 0x33000000, 0x33800000, 0x33800001, 0x34000000, 0x34800000, 0x3F000000, 0x3F7FFFFE, 0x3F7FFFFF,
           0x3F800000, 0x3F800001, 0x3FFFFFFF, 0x40000000, 0x40490FDB, 0x4B000001, 0x4B7FFFFF, 0x4B800000, 0x4C000000,
           0x5F000000, 0x7E800000, 0x7EFFFFFF, 0x7F000000, 0x7F7FFFFF, 0x7F800000, 0x7F800001, 0x7FC00000, 0x7FFFFFFF]


def crossed():
    signed = np.array(CORNERS + [bits | 1 << 31 for bits in CORNERS])
    a, b = np.meshgrid(signed, signed)
    return a.ravel(), b.ravel()


def any_bits(rng, count):
    return rng.integers(0, 1 << 32, (2, count))


def near(rng, count):
    """Exponents within 30 of each other and sparse fractions: ties, cancellation, alignment, subnormal results."""
    exponent = rng.integers(0, 256, count)
    other = np.clip(exponent + rng.integers(-30, 31, count), 0, 255)
    fractions = rng.integers(0, 1 << 23, (2, count)) & rng.choice([0x7FFFFF, 0x700000, 0x7FFFC0, 0, 7], (2, count))
    fractions |= rng.choice([0, 0x7FFFF8], (2, count))
    return (rng.integers(0, 2, (2, count)) << 31) + (np.stack([exponent, other]) << 23) + fractions


def products_near_limits(rng, count):
    """Exponents that sum to the neighbourhood of 2^-126 or of 2^128."""
    exponent = rng.integers(1, 255, count)
    other = np.clip(rng.choice([126, 127, 128, 380, 381, 382], count) - exponent, 1, 254)
    fractions = rng.integers(0, 1 << 23, (2, count)) | rng.choice([0, 0x7FFFFC], (2, count))
    fractions &= rng.choice([0x7FFFFF, 3, 0x7F0000], (2, count))
    return (rng.integers(0, 2, (2, count)) << 31) + (np.stack([exponent, other]) << 23) + fractions


def subnormal_ties(rng, count):
    """Products whose significand is 24 ones just below 2^-126, and their neighbours."""
    fraction = 0x7FFFF0 + rng.integers(0, 16, count)
    a = (rng.integers(0, 2, count) << 31) + (126 << 23) + fraction
    b = (rng.integers(0, 2, count) << 31) + (1 << 23) + rng.integers(0, 12, count)
    return np.stack([a, b])


@pytest.mark.parametrize("stall", [0.0, 0.4])
@pytest.mark.parametrize("name", ["add", "mul"])
def test_add_and_mul(name, stall, tmp_path):
    rng = np.random.default_rng(11)
    parts = [np.stack(crossed()), any_bits(rng, 10_000), near(rng, 10_000), products_near_limits(rng, 6_000),
             subnormal_ties(rng, 1_000)]
    a, b = np.concatenate([part[:, ::3] for part in parts] if stall else parts, axis=1)
    unit, golden = (FloatAdd(), float32.add) if name == "add" else (FloatMul(), float32.mul)
    result = run_vectors(unit, f"float_{name}", tmp_path, stall=stall, a=a, b=b)
    check_bits(result, float32.to_bits(golden(float32.from_bits(a), float32.from_bits(b))), a=a, b=b)


@pytest.mark.parametrize("stall", [0.0, 0.4])
@pytest.mark.parametrize("width", [8, 32, 48, 64])
def test_int_to_float(width, stall, tmp_path):
    rng = np.random.default_rng(width)
    top = 1 << (width - 1)
    values = [0, 1, -1, 2, 3, -3, top - 1, -top, 1 - top]
    ties = [(1 << k) * odd + extra for odd in (0xFFFFFF, 0x800001, 0xFFFFFE) for k in range(40) for extra in (0, 1, -1)]
    ties += [(odd << k) + (1 << k >> 1) + extra for odd in (0xFFFFFF, 0x800001) for k in range(40) for extra in (0, 1)]
    values += [sign * v for v in ties for sign in (1, -1) if v < top]
    corner_exponents = np.array([0, -1, 1, 511, -512, -126, -149, -150, -189, 65, 64, 96, 104, 127, 128])
    i, exponent = (x.ravel() for x in np.meshgrid(np.array(values, dtype=np.int64), corner_exponents))
    count = 3_000 if stall else 20_000
    random = rng.integers(-top, top - 1, count, endpoint=True) >> rng.integers(0, width, count)
    # the second half lands around the smallest normal number and the largest
    limit = rng.choice([-126, 127], count) - np.floor(np.log2(np.abs(random.astype(np.float64)) + 1)).astype(int)
    spread = np.where(np.arange(count) % 2, rng.integers(-512, 512, count), limit + rng.integers(-2, 3, count))
    i = np.concatenate([i[::5] if stall else i, random])
    exponent = np.concatenate([exponent[::5] if stall else exponent, spread])
    result = run_vectors(IntToFloat(width), f"int_to_float_{width}", tmp_path, stall=stall,
                         i=i.view(np.uint64) & np.uint64(2 * top - 1), exponent=exponent & 0x3FF)
    check_bits(result, float32.to_bits(float32.int_to_float(i, exponent)), i=i, exponent=exponent)


@pytest.mark.parametrize("width", [1, 65])
def test_width_is_checked(width):
    with pytest.raises(ValueError, match=f"width must be between 2 and 64, not {width}"):
        IntToFloat(width)
