"""What the STCE computes: the product of rows of 16-bit numbers with compact columns (docs/units/train.md)."""

import numpy as np

from golden.float16 import BINARY16, Half
from golden.floats import BINARY32

from .params import GROUP

__all__ = ["dense_columns", "product", "sums_of_products"]

BLOCK = 1 << 14
"""Sums that are made at a time, so that they stay in a cache."""


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
    numbers = np.ascontiguousarray(half.widen(x).T)
    dense = slots == GROUP and bool((index == np.arange(GROUP)[:, None]).all())
    k = None if dense else (index + GROUP * np.arange(groups)[:, None, None]).reshape(-1, columns)
    return np.ascontiguousarray(sums_of_products(numbers, half.widen(values).reshape(-1, columns), k, half).T)


def sums_of_products(numbers: np.ndarray, weights: np.ndarray, k: np.ndarray | None, half: Half,
                     onto: np.ndarray | None = None) -> np.ndarray:
    """`product` of widened numbers that lie k after k: float32 [columns, rows].

    Args:
        numbers: float32 [all k's, rows]. weights: float32 [k's that are multiplied, columns].
        k: [k's that are multiplied, columns], which row of `numbers` a weight is multiplied with; None: each with its
            own.
        onto: what the sums start as, those of the k's before; None: +0.
    """
    rows, columns = numbers.shape[1], weights.shape[1]
    sums = np.zeros((columns, rows), np.float32) if onto is None else onto.copy()
    at_once = max(1, BLOCK // columns)
    with np.errstate(all="ignore"):
        for first in range(0, rows, at_once):
            some = np.ascontiguousarray(numbers[:, first : first + at_once])
            block = np.ascontiguousarray(sums[:, first : first + at_once])
            made = np.empty_like(block)
            for number, weight in enumerate(weights):
                if k is None:
                    np.multiply(weight[:, None], some[number], out=made)
                else:
                    np.take(some, k[number], axis=0, out=made, mode="clip")
                    made *= weight[:, None]
                if half is BINARY16:  # products are multiples of 2**-48, and so are their sums: none is subnormal
                    block += made
                else:
                    block = BINARY32.ftz(block + BINARY32.ftz(made))
            sums[:, first : first + at_once] = block
    return BINARY32.canonical(sums)
