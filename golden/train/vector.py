"""What the vector unit's element-wise pass computes: the datapath of batch norm, ReLU, residual addition, bias and
pooling, forward and backward.

Operands a, b are 16-bit numbers, widened; every channel has constants c0 .. c4 in binary32. Order of operations (each
one rounded, `golden.floats`), an element at a time:

    z = a, or with `gate` a where b * c0 + c1 > 0, else +0      NaN and both zeros are not > 0
    y = (z * c2 + b * c3) + c4
    y = y if y > 0 or NaN, else +0                              with `relu`
    out = narrow(y)
    s0 = sum of z, s1 = sum of z * b                            of a channel over the pixels of a segment

A sum is eight partial sums that start as +0; pixel i of the segment is added to partial sum i mod 8, i ascending; then
((p0 + p1) + (p2 + p3)) + ((p4 + p5) + (p6 + p7)).
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from golden.float16 import Half
from golden.floats import BINARY32
from golden.params import check

from .params import PARTIALS, PIXEL_BITS

__all__ = ["CONSTANTS", "Passed", "VectorMode", "vector_pass"]

CONSTANTS = 5
"""c0 .. c4."""
BLOCK = 1 << 15
"""Elements that are computed at a time, so that they stay in a cache."""
EXACT = 2.0**-102
"""Sums of binary32 numbers that are zero or not smaller are multiples of 2^-126, and so never subnormal."""


@dataclass(frozen=True, kw_only=True)
class VectorMode:
    """What a pass does.

    Attributes:
        segment: pixels that are summed up; a pass has whole segments.
        gate, relu: see above.
        outputs, sums: what comes out: the tensor of 16-bit numbers, s0 and s1 of each segment, or both.
        b_is_a: b is a. b_none: b is +0. Neither: b is a tensor of its own.
    """

    segment: int
    gate: bool = False
    relu: bool = False
    outputs: bool = True
    sums: bool = False
    b_is_a: bool = False
    b_none: bool = False

    def __post_init__(self) -> None:
        check(0 < self.segment < 1 << PIXEL_BITS, "segment", self.segment, f"must be 1 to 2^{PIXEL_BITS} - 1")
        check(self.outputs or self.sums, "outputs, sums", (self.outputs, self.sums), "a pass has either or both")
        check(not (self.b_is_a and self.b_none), "b_is_a, b_none", (self.b_is_a, self.b_none), "not both")

    @property
    def reads_b(self) -> bool:
        return not (self.b_is_a or self.b_none)


class Passed(NamedTuple):
    """What comes out of a pass, None for what was not asked for.

    Attributes:
        out: uint16 [pixels, channels]. s0, s1: float32 [segments, channels].
    """

    out: np.ndarray | None
    s0: np.ndarray | None
    s1: np.ndarray | None


def vector_pass(mode: VectorMode, half: Half, a: np.ndarray, b: np.ndarray | None, constants: np.ndarray) -> Passed:
    """Runs a pass.

    Args:
        a, b: uint16 [pixels, channels]; b is None where the pass reads none. constants: float32 [5, channels].

    Raises:
        ValueError: shapes that do not match, pixels that are no whole segments, b given or missing.
    """
    constants = BINARY32.ftz(constants)
    pixels, channels = a.shape
    shape_of_b = None if b is None else b.shape
    check((b is not None) == mode.reads_b, "b", shape_of_b, "is given if and only if the pass reads it")
    check(shape_of_b in (None, a.shape), "b", shape_of_b, f"must have the shape of a, {a.shape}")
    check(constants.shape == (CONSTANTS, channels), "constants", constants.shape, f"must be [{CONSTANTS}, {channels}]")
    check(0 < pixels < 1 << PIXEL_BITS and pixels % mode.segment == 0, "pixels", pixels,
          f"must be segments of {mode.segment}, below 2^{PIXEL_BITS}")

    segment = mode.segment if mode.sums else pixels
    a = a.reshape(-1, segment, channels)
    b = None if b is None else b.reshape(a.shape)
    out = np.empty(a.shape, np.uint16) if mode.outputs else None
    sums = np.zeros((2, len(a), channels), np.float32) if mode.sums else None
    at_once = max(1, BLOCK // (segment * channels))
    step = max(1, BLOCK // (PARTIALS * channels)) * PARTIALS
    with np.errstate(all="ignore"):
        for first in range(0, len(a), at_once):
            some = slice(first, first + at_once)
            partials = np.zeros((2, len(a[some]), PARTIALS * channels), np.float32)
            for pixel in range(0, segment, step):
                place = some, slice(pixel, pixel + step)
                x = half.widen(a[place])
                y = x if mode.b_is_a else np.zeros_like(x) if b is None else half.widen(b[place])
                z = np.where(_add(_mul(y, constants[0]), constants[1]) > 0, x, np.float32(0)) if mode.gate else x
                if out is not None:
                    out[place] = _output(mode, half, z, y, constants)
                if sums is not None:
                    partials = np.stack([_accumulate(partials[0], z), _accumulate(partials[1], _mul(z, y))])
            if sums is not None:
                sums[:, some] = _combine(partials.reshape(2, -1, PARTIALS, channels))
    return Passed(None if out is None else out.reshape(pixels, channels), *((None, None) if sums is None else sums))


def _output(mode, half, z, b, constants):
    _, _, c2, c3, c4 = constants
    y = _add(_add(_mul(z, c2), _mul(b, c3)), c4)
    if mode.relu:
        y = np.where((y > 0) | np.isnan(y), y, np.float32(0))
    return half.narrow(y)


def _mul(a, b):
    """BINARY32.mul of numbers that are not subnormal, but for the sign and payload of NaNs."""
    return BINARY32.ftz(a * b)


def _add(a, b):
    return BINARY32.ftz(a + b)


def _accumulate(partials, x):
    """Partial sums [segments, 8 * channels] to which further pixels, x [segments, pixels, channels], are added."""
    segments, pixels, channels = x.shape
    missing = -pixels % PARTIALS
    if missing:  # a sum that starts as +0 never is -0: adding +0 changes nothing
        x = np.concatenate([x, np.zeros((segments, missing, channels), np.float32)], axis=1)
    terms = np.concatenate([partials[:, None], x.reshape(segments, -1, PARTIALS * channels)], axis=1)
    magnitudes = np.abs(terms)
    if not ((magnitudes < EXACT) & (magnitudes > 0)).any():
        return np.add.reduce(terms, axis=1)  # in ascending order, as it is not the innermost axis
    for number in range(1, terms.shape[1]):
        partials = _add(partials, terms[:, number])
    return partials


def _combine(partials):
    """Sums of partial sums [.., 8, channels]."""
    while partials.shape[-2] > 1:
        partials = _add(partials[..., 0::2, :], partials[..., 1::2, :])
    return BINARY32.canonical(partials[..., 0, :])
