"""Numeric contract of the matrix path: activation quantisation, exact products, conversion (docs/numerics.md)."""

from dataclasses import dataclass

import numpy as np

from golden import float32 as f32
from golden.params import BLOCK

__all__ = ["EX_MAX", "QuantisedVector", "convert", "quantise"]

EX_MAX = 6
"""Largest block shift: a block's exponent lies at most this far below the vector's largest."""


@dataclass(frozen=True)
class QuantisedVector:
    """x[i] = q[i] * 2**(shift[i // 16] + exponent): block floating point.

    Attributes:
        q: int64 [n], -127..127. shift: int64 [n / 16], 0..EX_MAX. exponent: of shift 0.
    """

    q: np.ndarray
    shift: np.ndarray
    exponent: int

    def integers(self) -> np.ndarray:
        """int64 [n]: q << shift."""
        return self.q << np.repeat(self.shift, BLOCK)


def quantise(x: np.ndarray, flat: bool = False) -> QuantisedVector:
    """INT8 blocks of 16 under power-of-two scales.

    A block whose largest biased exponent is e gets shift clamp(e - emax + EX_MAX, 0, EX_MAX), emax being the vector's;
    `flat` gives every block EX_MAX. The unit is 2**(emax - 133 - EX_MAX + shift), so that the largest magnitude lies
    in 64..127; q = RNE(x / unit), clamped to +-127. Infinities and NaN count as exponent 255 and become +-127.

    Args:
        x: float32 [n], n a multiple of 16.
    """
    bits = f32.to_bits(f32.ftz(x)).astype(np.int64)
    exponent = bits >> 23 & 0xFF
    emax = int(exponent.max(initial=0))
    block_max = exponent.reshape(-1, BLOCK).max(1)
    shift = np.full(len(block_max), EX_MAX) if flat else np.clip(block_max - emax + EX_MAX, 0, EX_MAX)
    significand = np.where(exponent > 0, bits & 0x7FFFFF | 1 << 23, 0)
    # significand * 2**(exponent - 150) / 2**(emax - 133 - EX_MAX + shift) = significand >> right
    right = np.minimum(17 + emax - EX_MAX + np.repeat(shift, BLOCK) - exponent, 31)
    floor = significand >> right
    rest = significand & ((1 << right) - 1)
    half = 1 << (right - 1)
    magnitude = np.minimum(floor + ((rest > half) | ((rest == half) & (floor & 1 == 1))), 127)
    return QuantisedVector(np.where(bits >> 31 & 1, -magnitude, magnitude), shift.astype(np.int64), emax - 133 - EX_MAX)


def convert(acc: np.ndarray, exponent: int) -> np.ndarray:
    """float32: acc * 2**exponent rounded once to nearest even; acc is the exact 48-bit sum."""
    limit = 1 << 47
    if np.any(acc >= limit) or np.any(acc < -limit):
        raise OverflowError(f"accumulator of 48 bits overflows: {int(np.abs(acc).max())}")
    return f32.int_to_float(acc.astype(np.int64), exponent)
