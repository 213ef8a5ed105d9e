"""Weights in memory as the array takes them."""

import numpy as np

from golden.train.params import TrainParams, slots
from golden.train.prune import prune

__all__ = ["compact"]


def compact(weights: np.ndarray, n: int, m: int, params: TrainParams) -> tuple[np.ndarray, np.ndarray]:
    """(values, indices), uint8, of weights uint16 [taps, k, columns]; groups of M lie along k.

    A tile of columns after the other: for each tap, group of 16 k's and slot the columns' values, or 4-bit indices.

    Raises:
        ValueError: k no multiple of 16, columns none of a tile's, or no such N:M.
    """
    taps, _, columns = weights.shape
    width = params.tile_columns
    if columns % width:
        raise ValueError(f"{columns} columns: must be a multiple of {width}")
    values, index = prune(weights.transpose(0, 2, 1), n, m)  # [taps, columns, groups, slots]
    order = (1, 0, 3, 4, 2)  # of [taps, tiles, a tile's columns, groups, slots]
    shape = (taps, columns // width, width, -1, slots(n, m))
    values, index = (np.ascontiguousarray(x.reshape(shape).transpose(order)) for x in (values, index))
    pairs = index.reshape(-1, 2)
    return values.view(np.uint8).ravel(), pairs[:, 0] | pairs[:, 1] << 4
