"""16-bit numbers: what operands and activations of the training engine are. Arithmetic is binary32's.

binary16 keeps its subnormals, in and out: they are normal numbers in binary32, and small gradients live there. bfloat16
has the exponents of binary32 and its simplifications (`golden.floats`): subnormals are zero. Both round binary32 to
nearest even, go to infinity beyond their range, and have one quiet NaN that is positive and without payload.
"""

from dataclasses import dataclass

import numpy as np

from golden.floats import BINARY32, Encoding

__all__ = ["BFLOAT16", "BINARY16", "HALVES", "Half"]


@dataclass(frozen=True)
class Half(Encoding):
    """A 16-bit format. Its functions take and give NumPy arrays: bit patterns are uint16, numbers float32."""

    def widen(self, bits) -> np.ndarray:
        """The numbers of bit patterns, exactly (bfloat16: subnormals become zero of the same sign)."""
        bits = np.asarray(bits, np.uint16)
        if self.exponent == BINARY32.exponent:
            return BINARY32.canonical((bits.astype(np.uint32) << 16).view(np.float32))
        return BINARY32.canonical(bits.view(np.float16).astype(np.float32))

    def narrow(self, x) -> np.ndarray:
        """The bit patterns of binary32 numbers, rounded to nearest even; subnormal numbers of binary32 are zero."""
        x = BINARY32.canonical(x)
        if self.exponent == BINARY32.exponent:
            bits = BINARY32.to_bits(x)
            rounded = bits + np.uint32(0x7FFF) + (bits >> 16 & 1)
            narrow = (np.where(np.isnan(x), bits, rounded) >> 16).astype(np.uint16)
        else:
            with np.errstate(over="ignore", under="ignore"):
                narrow = x.astype(np.float16).view(np.uint16)
        return np.where(np.isnan(x), np.uint16(self.nan_bits), narrow)

    def mul(self, a, b) -> np.ndarray:
        """The product of two bit patterns in binary32: exact, but beyond the range of binary32 (bfloat16 only)."""
        return BINARY32.mul(self.widen(a), self.widen(b))


BINARY16 = Half(5, 10)
BFLOAT16 = Half(8, 7)
HALVES = {"binary16": BINARY16, "bfloat16": BFLOAT16}
