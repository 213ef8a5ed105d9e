"""Which weights stay: N:16 masks, and N of every block of 16 x 16 under an average density.

A weight's *saliency* is what its loss costs, in squared error of the layer's output: w^2 (magnitude; all inputs taken
as equally strong) or w^2 sum(x^2) (Wanda, arXiv 2306.11695, section 3, squared: the order is the same). SparseGPT has
its own (`sparsegpt.py`).
"""

from __future__ import annotations

import numpy as np

from compiler.compress.layout import BlockLayout
from golden.llm.stream import KEPT
from golden.params import BLOCK

__all__ = ["choose_kept", "keep_mask", "stored"]

STEPS = KEPT[::-1]
"""N from 16 down to 0: the order in which a block gives up weights."""


def keep_mask(saliency: np.ndarray, kept: np.ndarray | int, layout: BlockLayout) -> np.ndarray:
    """The N most salient of the 16 inputs of every block, row by row.

    Args:
        saliency: [rows, K], at least 0. Of equal ones the lower input stays.
        kept: N, one for all or [block rows, block columns].

    Returns:
        bool [rows, K]; a block column of fewer than 16 inputs keeps all of them down to their number.
    """
    count = np.broadcast_to(kept, layout.shape)[layout.rows]
    order = np.argsort(-layout.blocked(saliency, -1.0), axis=-1, kind="stable")
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.broadcast_to(np.arange(BLOCK), order.shape), -1)
    return layout.flat(rank < count[..., None])


def stored(kept: np.ndarray | int, layout: BlockLayout) -> int:
    """Weights that stay when blocks keep N = `kept` (one for all or [block rows, block columns])."""
    rows, inputs = np.bincount(layout.rows), np.bincount(layout.inputs)
    return int((rows[:, None] * np.minimum(inputs, np.broadcast_to(kept, layout.shape))).sum())


def choose_kept(saliency: np.ndarray, density: float, layout: BlockLayout) -> np.ndarray:
    """N of every block, so that the weights lost have the least saliency for the density.

    Every block starts with N = 16. The step down with the least saliency lost per weight freed is taken until each
    block row stays within `density`. Steps of a block only get dearer, so this is the best choice up to the last step.
    The average holds in every block row, not only in the matrix: a chain's stream is as long as its rows need, all
    chains wait for the longest, and so weights moved from one row to another would cost time.

    Args:
        saliency: [rows, K], at least 0.
        density: largest share of weights to keep, above 0, at most 1.

    Returns:
        int64 [block rows, block columns] of members of `golden.llm.stream.KEPT`; in no block row are more than
        `density` of its weights stored, and one step less in one block would exceed it.
    """
    ascending = np.sort(layout.blocked(saliency, 0.0).astype(np.float64), axis=-1)
    row_loss = np.concatenate((np.zeros((*ascending.shape[:2], 1)), np.cumsum(ascending, -1)), -1)
    loss = np.zeros((*layout.shape, BLOCK + 1))
    np.add.at(loss, layout.rows, row_loss)
    rows, inputs = np.bincount(layout.rows), np.bincount(layout.inputs)
    freed = rows[:, None, None] * np.maximum(inputs[:, None] - np.array(STEPS), 0)
    step_freed = np.diff(freed, axis=-1)
    step_loss = np.diff(loss[..., BLOCK - np.array(STEPS)], axis=-1)
    price = np.maximum.accumulate(step_loss / np.maximum(step_freed, 1), -1)
    steps = price.shape[-1]
    order = np.argsort(price.reshape(len(price), -1), axis=-1, kind="stable")
    total = np.cumsum(np.take_along_axis(step_freed.reshape(len(price), -1), order, -1), -1)
    weights = rows * len(layout.inputs)
    needed = weights - np.floor(weights * density + 1e-9)
    before = np.concatenate((np.zeros((len(total), 1)), total[:, :-1]), -1)
    taken = np.zeros(order.shape, bool)
    np.put_along_axis(taken, order, before < needed[:, None], -1)
    return np.array(STEPS)[taken.reshape(*layout.shape, steps).sum(-1)]
