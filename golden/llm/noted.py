"""Largest exponents that a VEC notes so that the QNT right behind it needs no pass for them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from golden.params import BLOCK, LlmParams

__all__ = ["NotedVector", "blocks_of", "check_noted"]


@dataclass(frozen=True)
class NotedVector:
    """What a repetition of a VEC has stored, from which row on."""

    row: int
    values: np.ndarray


def blocks_of(n: int, pad: int, round_log2: int) -> int:
    """Blocks that QNT makes of each vector."""
    step = BLOCK << round_log2
    return -(-(n + pad) // step) << round_log2


def check_noted(params: LlmParams, v: dict[str, int], noted: Sequence[NotedVector],
                read: Callable[[int, int], np.ndarray]) -> None:
    """QNT `v` quantises what has been noted.

    Args:
        noted: by the MISC instruction right before; nothing, unless it is a VEC with `noted`.
        read: elements of the global buffer, from a row on, so many.

    Raises:
        ValueError: it does not, or the blocks are too many.
    """
    if not noted:
        raise ValueError("noted: right before it no VEC has noted exponents")
    if len(noted) != v["repeat"] + 1:
        raise ValueError(f"noted: {v['repeat'] + 1} repetitions, the VEC before it has {len(noted)}")
    for t, vector in enumerate(noted):
        row, n = v["b"] + t * v["stride_b"], v["n"] + t * v["n_step"]
        if (row, n) != (vector.row, len(vector.values)):
            raise ValueError(
                f"noted: repetition {t} has {n} elements from row {row}, the VEC before it has stored "
                f"{len(vector.values)} from row {vector.row}"
            )
        if np.any(read(row, n).view(np.uint32) != vector.values.view(np.uint32)):
            raise ValueError(f"noted: repetition {t} is no longer what the VEC before it has stored")
    blocks = len(noted) * blocks_of(v["n"], v["pad"], v["round_log2"])
    if blocks > params.noted_blocks:
        raise ValueError(f"noted: {blocks} blocks, the quantiser keeps exponents of {params.noted_blocks}")
