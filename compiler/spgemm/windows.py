"""Which rows of C fit the hash scratchpad: contexts for light ones, ranges of columns for heavy ones.

Planning must stay far below what the product takes, so it is NumPy and SciPy's compiled sums, without a loop over rows.
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse

from golden.spgemm.csr import Csr
from golden.spgemm.params import SpgemmParams

__all__ = ["Cuts", "Windows", "capacities", "plan_windows"]

QUANTILES = 32
"""Ranges of columns with equal shares of B's elements that heavy rows may be cut at."""


@dataclass(frozen=True)
class Cuts:
    """Where heavy rows are cut: at columns common to all of them.

    Attributes:
        rows: int64, the heavy rows of C. used: int64, rows of B that they take.
        counts: int64 [used, ranges], elements of each of these in each range.
        begin, end: int64 [heavy rows, most windows of one], ranges of each window.
    """

    rows: np.ndarray
    used: np.ndarray
    counts: np.ndarray
    begin: np.ndarray
    end: np.ndarray


@dataclass(frozen=True)
class Windows:
    """Rows as the engine works on them: a row of C, or one that is heavy in several ranges of columns.

    Attributes:
        of_row: int64, which row of C each belongs to, rising. parts: int64, windows of each row of C.
        regions: int8, logarithm of the contexts that each takes. work: int64, lines of B that it takes, about.
        cuts: None if no row is heavy.
    """

    of_row: np.ndarray
    parts: np.ndarray
    regions: np.ndarray
    work: np.ndarray
    cuts: Cuts | None

    @property
    def parted(self) -> int:
        """Rows of C that are cut."""
        return 0 if self.cuts is None else len(self.cuts.rows)


def capacities(p: SpgemmParams, careful: int) -> np.ndarray:
    """int64: elements of C that a row with 1, 2, 4, .. contexts may have.

    Banks fill like random ones: the fullest stays below mean + 6 sqrt(mean) + 4, or all elements fit one. At most half
    of the slots are taken, so that probing stays short. Each step of `careful` halves them, for matrices whose columns
    fill the banks less evenly.
    """
    region = p.region << np.arange(p.contexts.bit_length())
    mean = np.minimum((np.sqrt(9.0 + np.maximum(region - 4.0, 0.0)) - 3.0) ** 2, region / 2)
    return np.maximum(np.maximum((p.banks * mean).astype(np.int64), region // 2) >> careful, 1)


def plan_windows(a: Csr, b: Csr, p: SpgemmParams, careful: int = 0) -> Windows:
    """Windows for A B. The bound of a row is its products, or all columns."""
    limits = capacities(p, careful)
    lengths = b.lengths
    fits = int(lengths.max(initial=0)) * len(a.columns) < 1 << 31
    bound = _sums(a.starts, a.columns, lengths.astype(np.int32) if fits else lengths)
    work = a.lengths + bound // p.lanes
    bound = np.minimum(bound, b.columns_in_all)
    heavy = bound > limits[-1]
    if not heavy.any():
        return Windows(np.arange(a.rows), np.ones(a.rows, np.int64), _regions(bound, limits), work, None)
    return _with_heavy(a, b, limits, bound, work, np.flatnonzero(heavy))


def _sums(starts: np.ndarray, columns: np.ndarray, values: np.ndarray) -> np.ndarray:
    """[rows, ..]: sums over a row's entries of the values [columns, ..] of their columns."""
    ones = np.ones(len(columns), values.dtype)
    return scipy.sparse.csr_array((ones, columns, starts), shape=(len(starts) - 1, len(values))) @ values


def _regions(bound: np.ndarray, limits: np.ndarray) -> np.ndarray:
    regions = np.zeros(len(bound), np.int8)
    for limit in limits[:-1].tolist():
        regions += bound > limit
    return regions


def _with_heavy(a: Csr, b: Csr, limits: np.ndarray, bound: np.ndarray, work: np.ndarray, rows: np.ndarray) -> Windows:
    cuts = _columns_of_cuts(b, int(limits[-1]))
    lengths = a.lengths[rows]
    starts = np.concatenate(([0], np.cumsum(lengths)))
    entries = np.repeat(a.starts[rows] - starts[:-1], lengths) + np.arange(starts[-1])
    used = np.flatnonzero(np.bincount(a.columns[entries], minlength=b.rows))
    number = np.full(b.rows, -1)
    number[used] = np.arange(len(used))
    counts = _counts(b, number, cuts)
    made = np.minimum(_sums(starts, number[a.columns[entries]], counts), np.diff(cuts))
    group, filled = _grouped(made, int(limits[-1]))

    parts = np.ones(a.rows, np.int64)
    parts[rows] = group[:, -1] + 1
    of_row = np.repeat(np.arange(a.rows), parts)
    is_cut = np.zeros(a.rows, bool)
    is_cut[rows] = True
    cut = is_cut[of_row]
    bound, work = bound[of_row], work[of_row]
    bound[cut] = filled
    work[cut] = work[cut] // parts[of_row[cut]] + a.lengths[of_row[cut]] // 2
    begin, end = _edges(group)
    return Windows(of_row, parts, _regions(bound, limits), work, Cuts(rows, used, counts, begin, end))


def _columns_of_cuts(b: Csr, widest: int) -> np.ndarray:
    """int64: ascending columns, from 0 to all of them, at most `widest` apart."""
    columns = b.columns_in_all
    even = np.linspace(0, columns, -(-columns // widest) + 1).astype(np.int64)
    share = np.cumsum(np.bincount(b.columns, minlength=columns))
    shares = np.searchsorted(share, np.linspace(0, len(b.columns), QUANTILES, endpoint=False)[1:])
    return np.unique(np.concatenate([even, shares]))


def _counts(b: Csr, number: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    """int64 [used, ranges]: elements of the rows of B with a number in each range of columns."""
    range_of = np.repeat(np.arange(len(cuts) - 1), np.diff(cuts))
    of_entry = number[b.entry_rows]
    taken = of_entry >= 0
    key = of_entry[taken] * (len(cuts) - 1) + range_of[b.columns[taken]]
    rows = int(number.max()) + 1
    return np.bincount(key, minlength=rows * (len(cuts) - 1)).reshape(rows, -1)


def _grouped(made: np.ndarray, limit: int) -> tuple[np.ndarray, np.ndarray]:
    """(int64 [rows, ranges] number of the window of each range, elements that each row's windows may have, in order):
    as many neighbours as stay within `limit`."""
    group, sums = np.zeros(made.shape, np.int64), np.zeros(made.shape, np.int64)
    number, total = np.zeros(len(made), np.int64), np.zeros(len(made), np.int64)
    every = np.arange(len(made))
    for at in range(made.shape[1]):
        opens = (total + made[:, at] > limit) & (total > 0)
        number += opens
        total = np.where(opens, 0, total) + made[:, at]
        group[:, at] = number
        sums[every, number] = total
    return group, sums[np.arange(made.shape[1]) <= number[:, None]]


def _edges(group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(int64 [rows, most windows]: the first range of each window, the one behind its last)."""
    begin, end = (np.zeros((len(group), int(group.max()) + 1), np.int64) for _ in range(2))
    every = np.arange(len(group))
    for at in range(group.shape[1]):
        end[every, group[:, at]] = at + 1
        begin[every, group[:, group.shape[1] - 1 - at]] = group.shape[1] - 1 - at
    return begin, end
