"""The numeric contract of floating point: what every unit of this project computes, bit for bit.

IEEE 754 with three simplifications that save logic:

* DAZ: a subnormal input is read as zero of the same sign.
* FTZ after rounding: the result is rounded to nearest even as IEEE prescribes, on the subnormal grid where it is
  subnormal; if what comes out is subnormal, it becomes zero of the same sign. In binary32 an exact result in
  [2^-126 - 2^-150, 2^-126) therefore gives 2^-126, because IEEE rounds it up to that.
* Every NaN result is the one quiet NaN with a positive sign and no payload, whatever the inputs' signs and payloads.
"""

from dataclasses import dataclass

import numpy as np

__all__ = ["BINARY32", "BINARY64", "Encoding", "Format"]


@dataclass(frozen=True)
class Encoding:
    """A binary interchange format: sign, exponent, fraction.

    Attributes:
        exponent, fraction: bits of these.
    """

    exponent: int
    fraction: int

    @property
    def bits(self) -> int:
        return 1 + self.exponent + self.fraction

    @property
    def bias(self) -> int:
        return (1 << self.exponent - 1) - 1

    @property
    def sign_bit(self) -> int:
        return 1 << self.bits - 1

    @property
    def infinity_bits(self) -> int:
        return (1 << self.exponent) - 1 << self.fraction

    @property
    def nan_bits(self) -> int:
        """Of the one NaN that comes out."""
        return self.infinity_bits | 1 << self.fraction - 1


@dataclass(frozen=True)
class Format(Encoding):
    """A format that NumPy computes in. Its functions take and give NumPy arrays (or scalars) of `dtype`, and broadcast.

    Attributes:
        dtype: NumPy's type. unsigned: of its bit patterns.
    """

    dtype: type[np.floating]
    unsigned: type[np.unsignedinteger]

    def to_bits(self, x):
        """Bit patterns of numbers."""
        return np.asarray(x, dtype=self.dtype).view(self.unsigned)

    def from_bits(self, bits):
        """Numbers of bit patterns (any integer type)."""
        return np.asarray(bits).astype(self.unsigned).view(self.dtype)

    def ftz(self, x):
        """x with subnormals replaced by zero of the same sign; NaNs pass unchanged."""
        bits = self.to_bits(x)
        normal = bits & self.unsigned(self.infinity_bits)
        return self.from_bits(np.where(normal, bits, bits & self.unsigned(self.sign_bit)))

    def canonical(self, x):
        """x after FTZ, with every NaN replaced by the canonical one."""
        x = self.ftz(x)
        return self.from_bits(np.where(np.isnan(x), self.unsigned(self.nan_bits), self.to_bits(x)))

    def add(self, a, b):
        """a + b. Exact cancellation gives +0; only (-0) + (-0) gives -0."""
        with np.errstate(all="ignore"):
            return self.canonical(self.ftz(a) + self.ftz(b))

    def mul(self, a, b):
        """a * b; 0 * inf is NaN."""
        with np.errstate(all="ignore"):
            return self.canonical(self.ftz(a) * self.ftz(b))


BINARY32 = Format(8, 23, np.float32, np.uint32)
BINARY64 = Format(11, 52, np.float64, np.uint64)
