"""N:M weights of 16-bit numbers: which stay, and the pieces in which the SORE gives them (docs/units/train.md).

Magnitudes are bit patterns without sign, as integers: NaN > infinity > finite numbers, +0 = -0. Of each M consecutive
numbers the N largest stay, of equals the one with the lower index, in ascending order of the index.
"""

from collections.abc import Mapping

import numpy as np

from golden.params import check
from golden.train.params import GROUP, PATTERNS, slots

__all__ = ["LEGAL_LOGS", "compact_block", "expand", "mask", "pattern_logs", "pattern_of", "pieces", "prune"]

MAGNITUDE = 0x7FFF


def pattern_logs(n: int, m: int) -> tuple[int, int]:
    """log2 of N and of M, as the SORE takes them. Dense, 16:16, is 1:1 there: one of each number stays."""
    slots(n, m)
    return (0, 0) if n == m else (n.bit_length() - 1, m.bit_length() - 1)


LEGAL_LOGS = {pattern_logs(n, m): (n, m) for n, m in (*PATTERNS, (GROUP, GROUP))}
"""N:M by what instructions have of it."""


def pattern_of(v: Mapping[str, int], n: str = "n", m: str = "m") -> tuple[int, int]:
    """N:M of an instruction that has the logarithms in these fields; raises ValueError if there is no such pattern."""
    logs = v[n], v[m]
    if logs not in LEGAL_LOGS:
        raise ValueError(f"{n} = {logs[0]}, {m} = {logs[1]}: no pattern has these logarithms")
    return LEGAL_LOGS[logs]


def prune(bits, n: int, m: int) -> tuple[np.ndarray, np.ndarray]:
    """(values, uint16; index in a group of 16, uint8), both [..., k, S], of bit patterns [..., 16 k].

    Raises ValueError for a pattern that is none, or a last axis that is not a multiple of 16.
    """
    bits = np.asarray(bits, np.uint16)
    count = slots(n, m)
    check(bits.ndim > 0 and bits.shape[-1] % GROUP == 0, "shape", bits.shape, f"the last must be a multiple of {GROUP}")
    groups = bits.reshape(*bits.shape[:-1], -1, GROUP // m, m)
    order = np.argsort(-(groups & MAGNITUDE).astype(np.int16), axis=-1, kind="stable")
    kept = np.sort(order[..., :n], axis=-1)
    shape = (*bits.shape[:-1], bits.shape[-1] // GROUP, count)
    index = kept + m * np.arange(GROUP // m)[:, None]
    return np.take_along_axis(groups, kept, axis=-1).reshape(shape), index.reshape(shape).astype(np.uint8)


def expand(values, index) -> np.ndarray:
    """The numbers [..., 16 k] that slots [..., k, S] stand for: +0 where none does."""
    values = np.asarray(values)
    groups = np.zeros((*values.shape[:-1], GROUP), values.dtype)
    np.put_along_axis(groups, np.asarray(index, np.intp), values, axis=-1)
    return groups.reshape(*values.shape[:-2], -1)


def mask(bits, n: int, m: int) -> np.ndarray:
    """Which of bit patterns [..., 16 k] stay."""
    values, index = prune(bits, n, m)
    return expand(np.ones(values.shape, bool), index)


def pieces(rows, n: int, m: int) -> tuple[np.ndarray, np.ndarray]:
    """(values, index), both [S, lanes], of a block's rows [16, lanes]: groups lie along the rows."""
    values, index = prune(np.asarray(rows).T, n, m)
    return values[:, 0].T, index[:, 0].T


def compact_block(block, ff: tuple[int, int], bp: tuple[int, int]):
    """Pieces for FF and for BP, each (values [S, 16], index [S, 16]), of a block [16 k, 16 columns].

    Args:
        ff, bp: N:M of the groups along k, whose lanes are columns, and of those along columns, whose lanes are k's.
    """
    check(np.shape(block) == (GROUP, GROUP), "shape", np.shape(block), f"a block is {GROUP} x {GROUP}")
    return pieces(block, *ff), pieces(np.asarray(block).T, *bp)
