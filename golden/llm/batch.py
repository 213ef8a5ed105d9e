"""Many vectors at once: the results of `golden.float32`, `golden.functions` and `golden.llm.numerics`, sooner.

The first axis is the vector's, all further axes count vectors: float32 [n, ...]. Inputs are what the engine's own
operations produce: no subnormals, and no NaN but the canonical one. Every result equals that of the specification,
bit for bit (tests/golden/test_batch.py); where a case is rare, the specification itself computes it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from golden import float32 as f32
from golden.functions import LOG2E, SCALE_FRACTION, SEGMENTS, TABLE, X_FRACTION, Function
from golden.params import BLOCK

from . import numerics
from .numerics import EX_MAX

__all__ = ["QuantisedBatch", "add", "convert", "exp", "maximum", "mul", "quantise", "recip", "sub"]

SMALLEST_NORMAL = np.float32(2.0**-126)
ONE_ULP_EXPONENT = 1 << 23
BASE, STEP = np.array(TABLE, np.int32).T.copy()
BASE <<= 3
EXP_LIMIT = np.float32(89)
"""exp is infinite above, 0 below the negative."""
EXP_SCALE = float(LOG2E) * 2.0 ** (23 - X_FRACTION - SCALE_FRACTION)


def _flush(x: np.ndarray) -> np.ndarray:
    """x, its subnormals replaced in place by zeros of the same sign."""
    x *= np.abs(x) >= SMALLEST_NORMAL
    return x


def _exact(
    operation: Callable[..., np.ndarray],
    specification: Callable[..., np.ndarray],
    a: np.ndarray,
    b: np.ndarray | np.float32,
) -> np.ndarray:
    """`operation`, which differs from the specification in subnormal results and in new NaNs only."""
    try:
        with np.errstate(invalid="raise", over="ignore", under="ignore"):
            return _flush(operation(a, b))
    except FloatingPointError:
        return specification(a, b)


def add(a: np.ndarray, b: np.ndarray | np.float32) -> np.ndarray:
    """`float32.add`."""
    return _exact(np.add, f32.add, a, b)


def sub(a: np.ndarray, b: np.ndarray | np.float32) -> np.ndarray:
    """`float32.sub`."""
    return _exact(np.subtract, f32.sub, a, b)


def mul(a: np.ndarray, b: np.ndarray | np.float32) -> np.ndarray:
    """`float32.mul`."""
    return _exact(np.multiply, f32.mul, a, b)


def maximum(x: np.ndarray) -> np.ndarray:
    """float32 [...]: `vector.reduce_max` of every vector."""
    bits = x.view(np.int32)
    largest = (bits ^ (bits >> 31 & 0x7FFFFFFF)).max(0)
    return (largest ^ (largest >> 31 & 0x7FFFFFFF)).view(np.float32)


def convert(exact: np.ndarray) -> np.ndarray:
    """`numerics.convert` of float64 numbers that hold `acc * 2**exponent` exactly."""
    with np.errstate(over="ignore", under="ignore"):
        return _flush((exact + 0.0).astype(np.float32))


def _interpolate(function: Function, index: np.ndarray, d: np.ndarray) -> np.ndarray:
    """int32: significand - 2**23."""
    part = slice(function * SEGMENTS, (function + 1) * SEGMENTS)
    return BASE[part].take(index) + (STEP[part].take(index) * d >> 15)


def _with_nan(bits: np.ndarray, x: np.ndarray) -> np.ndarray:
    """float32 of int32 patterns; the canonical NaN where x is one."""
    undefined = np.isnan(x)
    if undefined.any():
        bits[undefined] = f32.NAN_BITS
    return bits.view(np.float32)


def exp(x: np.ndarray) -> np.ndarray:
    """`functions.exp`."""
    fixed = np.trunc(np.fmax(np.fmin(x, EXP_LIMIT), -EXP_LIMIT) * np.float32(1 << X_FRACTION))
    power = (fixed.astype(np.float64) * EXP_SCALE).astype(np.int32)
    bits = _interpolate(Function.EXP, power >> 15 & 0xFF, power & 0x7FFF)
    bits += (power & -ONE_ULP_EXPONENT) + 127 * ONE_ULP_EXPONENT
    np.minimum(bits, f32.INFINITY_BITS, out=bits)
    bits *= bits >= ONE_ULP_EXPONENT
    return _with_nan(bits, x)


def recip(x: np.ndarray) -> np.ndarray:
    """`functions.recip`."""
    bits = x.view(np.int32)
    exponent = bits >> 23 & 0xFF
    result = _interpolate(Function.RECIP, bits >> 15 & 0xFF, (1 << 15) - (bits & 0x7FFF))
    result += (253 - exponent) * ONE_ULP_EXPONENT
    result *= result >= ONE_ULP_EXPONENT
    result = np.where(exponent == 0, np.int32(f32.INFINITY_BITS), result) | bits & np.int32(-(1 << 31))
    return _with_nan(result, x)


@dataclass(frozen=True)
class QuantisedBatch:
    """x[i] = q[i] * 2**(shift[i // 16] + exponent) of every vector; see `numerics.QuantisedVector`.

    Attributes:
        q: float32 [n, ...], whole numbers -127..127. shift: int32 [n / 16, ...]. exponent: int32 [...].
    """

    q: np.ndarray
    shift: np.ndarray
    exponent: np.ndarray

    def values(self) -> np.ndarray:
        """float64 [n, ...], exact."""
        unit = np.ldexp(1.0, self.shift + self.exponent)
        blocks = self.q.reshape(-1, BLOCK, *self.q.shape[1:])
        return (blocks * unit[:, None]).reshape(self.q.shape)

    def scale(self) -> np.ndarray:
        """float32 [...]: what QNT leaves in a scalar register if `flat`, 2**(exponent + EX_MAX)."""
        return f32.from_bits(np.maximum(self.exponent + EX_MAX + 127, 0) << 23)


def quantise(x: np.ndarray, flat: bool = False) -> QuantisedBatch:
    """`numerics.quantise` of every vector of float32 [n, ...], n a multiple of 16.

    Vectors that are zero, close to the end of the range, or not finite are left to the specification.
    """
    blocks = x.reshape(-1, BLOCK, *x.shape[1:])
    block_exponent = np.abs(blocks).max(1).view(np.int32) >> 23
    largest = block_exponent.max(0)
    shift = np.full_like(block_exponent, EX_MAX) if flat else (block_exponent - largest + EX_MAX).clip(0, EX_MAX)
    exponent = largest - 133 - EX_MAX
    with np.errstate(all="ignore"):
        q = blocks * np.ldexp(np.float32(1), -exponent - shift)[:, None]
        np.rint(q, out=q)
        np.clip(q, -127, 127, out=q)
    q = q.reshape(x.shape)
    for at in zip(*np.nonzero((largest < 16) | (largest == 255)), strict=True):
        here = (slice(None), *at)
        one = numerics.quantise(x[here], flat)
        q[here], shift[here] = one.q, one.shift
    return QuantisedBatch(q, shift, exponent)
