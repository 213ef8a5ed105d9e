"""What the STCE computes: the product of rows of 16-bit numbers with compact columns (docs/units/train.md)."""

import numpy as np

from golden.float16 import BINARY16, Half
from golden.floats import BINARY32

from .params import GROUP

__all__ = ["dense_columns", "product"]


def dense_columns(bits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """uint16 [k, columns], k a multiple of 16, as `product` takes it: values and index [k / 16, 16, columns].

    Raises:
        ValueError: another k.
    """
    k, columns = bits.shape
    if k % GROUP:
        raise ValueError(f"k = {k}: must be a multiple of {GROUP}")
    values = np.ascontiguousarray(bits).reshape(k // GROUP, GROUP, columns)
    index = np.broadcast_to(np.arange(GROUP, dtype=np.uint8)[:, None], values.shape)
    return values, index


def product(x: np.ndarray, values: np.ndarray, index: np.ndarray, half: Half) -> np.ndarray:
    """float32 [rows, columns]: sums over k ascending, from +0, each product exact and each sum rounded to binary32.

    Args:
        x: uint16 [rows, 16 groups], bit patterns of `half`.
        values: uint16 [groups, slots, columns], bit patterns. index: [groups, slots, columns]: which number of the
            group a value is multiplied with, ascending over the slots.

    Raises:
        ValueError: shapes that do not match.
    """
    groups, slots, columns = values.shape
    if index.shape != values.shape or x.shape[1] != GROUP * groups:
        raise ValueError(f"x {x.shape}, values {values.shape}, index {index.shape}: the shapes do not match")
    numbers, weights = half.widen(x), half.widen(values)
    sums = np.zeros((len(x), columns), np.float32)
    with np.errstate(all="ignore"):
        for group in range(groups):
            of_group = numbers[:, GROUP * group : GROUP * (group + 1)]
            for slot in range(slots):
                made = of_group[:, index[group, slot]] * weights[group, slot]
                # products of binary16 are multiples of 2**-48, and so are their sums: none is subnormal
                sums = sums + made if half is BINARY16 else BINARY32.ftz(sums + BINARY32.ftz(made))
    return BINARY32.canonical(sums)
