"""binary32 as `golden.floats` has it, and what only binary32 is used for."""

import numpy as np

from golden.floats import BINARY32

NAN_BITS, INFINITY_BITS, SIGN_BIT = BINARY32.nan_bits, BINARY32.infinity_bits, BINARY32.sign_bit
to_bits, from_bits, ftz, canonical = BINARY32.to_bits, BINARY32.from_bits, BINARY32.ftz, BINARY32.canonical
add, mul = BINARY32.add, BINARY32.mul


def neg(x):
    """The sign bit inverted, nothing else: no flush, no canonical NaN (it is a wire in hardware)."""
    return from_bits(to_bits(x) ^ np.uint32(SIGN_BIT))


def sub(a, b):
    """a - b = add(a, neg(b))."""
    return add(a, neg(b))


def maximum(a, b):
    """The larger one; NaN if either is NaN; -0 counts as less than +0."""
    a, b = np.broadcast_arrays(canonical(a), canonical(b))
    larger = np.where(_order(a) >= _order(b), to_bits(a), to_bits(b))
    return from_bits(np.where(np.isnan(a) | np.isnan(b), np.uint32(NAN_BITS), larger))


def int_to_float(i, exponent=0):
    """i * 2**exponent, rounded once from the exact value of the 64-bit signed integer i; 0 gives +0."""
    i, exponent = np.broadcast_arrays(np.asarray(i, dtype=np.int64), np.asarray(exponent, dtype=np.int64))
    negative = i < 0
    magnitude = np.where(negative, ~i.view(np.uint64) + np.uint64(1), i.view(np.uint64))
    significand, leading_zeros = _normalize(magnitude)
    biased = exponent + (63 + 127) - leading_zeros
    return _round_and_pack(negative, biased, significand, magnitude == 0)


def _order(x):
    """int64 key that orders float32 values, -0 before +0."""
    bits = to_bits(x).astype(np.int64)
    return np.where(bits & SIGN_BIT, SIGN_BIT - 1 - bits, bits)


def _normalize(magnitude):
    """uint64 shifted left until bit 63 is set, and by how much (zero: stays zero)."""
    leading_zeros = np.zeros(magnitude.shape, dtype=np.int64)
    for step in (32, 16, 8, 4, 2, 1):
        small = magnitude < np.uint64(1 << (64 - step))
        magnitude = np.where(small, magnitude << np.uint64(step), magnitude)
        leading_zeros += np.where(small, step, 0)
    return magnitude, leading_zeros


def _round_and_pack(negative, biased, significand, is_zero):
    """float32 of significand / 2^63 * 2^(biased - 127), significand being uint64 with bit 63 set.

    At biased exponent 0 the grid is twice as coarse: only 24 leading ones reach 2^-126 (after which FTZ no longer
    bites), so rounding up always is right there: it carries out of exactly that pattern and the rest is flushed.
    """
    kept = (significand >> np.uint64(40)).astype(np.int64)
    rest = (significand & np.uint64((1 << 40) - 1)).astype(np.int64)
    half = 1 << 39
    round_up = (rest > half) | ((rest == half) & (kept & 1 == 1)) | (biased == 0)
    packed = np.clip(biased, -2, 300) * (1 << 23) + (kept & 0x7FFFFF) + round_up
    packed = np.where(packed >= INFINITY_BITS, INFINITY_BITS, packed)
    packed = np.where((packed < (1 << 23)) | is_zero, 0, packed)
    return from_bits(packed | np.where(negative & ~is_zero, SIGN_BIT, 0))
