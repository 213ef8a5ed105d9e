# amaranth: UnusedElaboratable=no
"""FloatAdd, FloatMul and IntToFloat in Verilator against golden, bit for bit."""

import numpy as np
import pytest

from golden import float32
from golden.floats import BINARY32, BINARY64
from hw.fabric.floats import FloatAdd, FloatMul, IntToFloat
from tests.hw.fabric.vectors import check_bits, run_vectors

CORNERS = [0x00000000, 0x00000001, 0x007FFFFF, 0x00800000, 0x00800001, 0x00FFFFFF, 0x01000000, 0x0C000000, 0x26000000,
           0x32FFFFFF, 0x33000000, 0x33800000, 0x33800001, 0x34000000, 0x34800000, 0x3F000000, 0x3F7FFFFE, 0x3F7FFFFF,
           0x3F800000, 0x3F800001, 0x3FFFFFFF, 0x40000000, 0x40490FDB, 0x4B000001, 0x4B7FFFFF, 0x4B800000, 0x4C000000,
           0x5F000000, 0x7E800000, 0x7EFFFFFF, 0x7F000000, 0x7F7FFFFF, 0x7F800000, 0x7F800001, 0x7FC00000, 0x7FFFFFFF]


def corners(of):
    """Bits of every class, of ones that cancel, tie and lie at the ends of the classes."""
    ends = of.bias - of.fraction, of.bias + of.fraction
    exponents = {0, 1, 2, of.bias - 1, of.bias, of.bias + 1, *(end + step for end in ends for step in (-2, -1, 0, 1)),
                 *((1 << of.exponent) - step for step in (1, 2, 3))}
    ones = (1 << of.fraction) - 1
    fractions = {0, 1, ones, ones - 1, 1 << of.fraction - 1}
    found = {exponent << of.fraction | fraction for exponent in exponents for fraction in fractions}
    return sorted(found | (set(CORNERS) if of is BINARY32 else set()))


def crossed(of):
    signed = np.array(corners(of) + [bits | of.sign_bit for bits in corners(of)], np.uint64)
    return np.stack([part.ravel() for part in np.meshgrid(signed, signed)])


def assembled(rng, of, exponents, fractions):
    """Bits [2, count] of random signs."""
    signs = rng.integers(0, 2, exponents.shape, dtype=np.uint64)
    return (signs << np.uint64(of.bits - 1)) | exponents.astype(np.uint64) << np.uint64(of.fraction) | fractions


def any_fractions(rng, of, count):
    return rng.integers(0, 1 << of.fraction, (2, count), dtype=np.uint64)


def any_bits(rng, of, count):
    return rng.integers(0, (1 << of.bits) - 1, (2, count), dtype=np.uint64, endpoint=True)


def near(rng, of, count):
    """Exponents of like size and sparse fractions: ties, cancellation, alignment, subnormal results."""
    most = (1 << of.exponent) - 1
    exponent = rng.integers(0, most + 1, count)
    other = np.clip(exponent + rng.integers(-of.fraction - 7, of.fraction + 8, count), 0, most)
    ones = (1 << of.fraction) - 1
    masks = np.array([ones, 7 << of.fraction - 3, ones - 0x3F, 0, 7], np.uint64)
    fractions = any_fractions(rng, of, count) & rng.choice(masks, (2, count))
    fractions |= rng.choice(np.array([0, ones - 7], np.uint64), (2, count))
    return assembled(rng, of, np.stack([exponent, other]), fractions)


def products_near_limits(rng, of, count):
    """Exponents that sum to the neighbourhood of the smallest normal product or of the largest."""
    exponent = rng.integers(1, (1 << of.exponent) - 1, count)
    sums = [of.bias - 1, of.bias, of.bias + 1, 3 * of.bias - 1, 3 * of.bias, 3 * of.bias + 1]
    other = np.clip(rng.choice(sums, count) - exponent, 1, (1 << of.exponent) - 2)
    ones = (1 << of.fraction) - 1
    fractions = any_fractions(rng, of, count) | rng.choice(np.array([0, ones - 3], np.uint64), (2, count))
    fractions &= rng.choice(np.array([ones, 3, 0x7F << of.fraction - 7], np.uint64), (2, count))
    return assembled(rng, of, np.stack([exponent, other]), fractions)


def subnormal_ties(rng, of, count):
    """Products whose significand is all ones just below the smallest normal number, and their neighbours."""
    exponents = np.repeat([[of.bias - 1], [1]], count, axis=1)
    fractions = np.stack([(1 << of.fraction) - 16 + rng.integers(0, 16, count), rng.integers(0, 12, count)])
    return assembled(rng, of, exponents, fractions.astype(np.uint64))


@pytest.mark.parametrize("stall", [0.0, 0.4])
@pytest.mark.parametrize("of", [BINARY32, BINARY64], ids=["binary32", "binary64"])
@pytest.mark.parametrize("name", ["add", "mul"])
def test_add_and_mul(name, of, stall, tmp_path):
    rng = np.random.default_rng(11)
    parts = [crossed(of), any_bits(rng, of, 10_000), near(rng, of, 10_000), products_near_limits(rng, of, 6_000),
             subnormal_ties(rng, of, 1_000)]
    a, b = np.concatenate([part[:, ::3] for part in parts] if stall else parts, axis=1)
    unit, golden = (FloatAdd(of), of.add) if name == "add" else (FloatMul(of), of.mul)
    result = run_vectors(unit, f"float_{name}_{of.bits}", tmp_path, stall=stall, a=a, b=b)
    check_bits(result, of.to_bits(golden(of.from_bits(a), of.from_bits(b))), a=a, b=b)


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
