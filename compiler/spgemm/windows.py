"""Which rows of C fit the hash scratchpad: contexts for light ones, ranges of columns for heavy ones.

Planning must stay far below what the product takes, so it is NumPy and SciPy's compiled sums, without a loop over rows.
"""

import math
from dataclasses import dataclass

import numpy as np
import scipy.sparse

from compiler.frontend.matrix import dimensions
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
        counts: [used, ranges], elements of each of these in each range.
        begin, end: int64 [heavy rows, most windows of one], ranges of each window.
    """

    rows: np.ndarray
    used: np.ndarray
    counts: np.ndarray
    begin: np.ndarray
    end: np.ndarray


@dataclass(frozen=True)
class Windows:
    """Rows as the engine works on them: a row of C, or one that is heavy in several ranges of columns, or none for a
    row without products.

    Attributes:
        of_row: int32, which row of C each belongs to, rising. parts: int32, windows of each row of C.
        regions: int8, logarithm of the contexts that each takes. work: lines of B that it takes, about.
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
    limits = []
    for shift in range(p.contexts.bit_length()):
        region = p.region << shift
        root = math.sqrt(9.0 + max(region - 4.0, 0.0)) - 3.0
        mean = min(root * root, region / 2)
        limits.append(max(max(int(p.banks * mean), region // 2) >> careful, 1))
    return np.array(limits)


def plan_windows(a: Csr, b: Csr, p: SpgemmParams, careful: int = 0) -> Windows:
    """Windows for A B. The bound of a row is its products, at most all elements of B, or all columns."""
    limits = capacities(p, careful)
    index = np.promote_types(np.int32, _signed(len(a.columns) + len(b.columns)))
    a_starts, b_starts = a.starts.astype(index), b.starts.astype(index)
    work, lengths = np.diff(a_starts), np.diff(b_starts)
    highest = int(work.max(initial=0)) * int(lengths.max(initial=0))
    number = _signed(highest) if highest <= limits[-1] else index
    pattern = _pattern(a, a_starts, number)
    bound = pattern @ lengths.astype(number)
    work += bound // p.lanes
    if b.columns_in_all < highest:
        np.minimum(bound, b.columns_in_all, out=bound)
    if highest > limits[-1] and bound.max() > limits[-1]:
        return _with_heavy(pattern, _pattern(b, b_starts, index), limits, bound, work)
    if a.rows and not bound.all():
        of_row = np.flatnonzero(bound).astype(np.int32)
        parts, bound, work = (bound > 0).astype(np.int32), bound.take(of_row), work.take(of_row)
    else:
        of_row, parts = np.arange(a.rows, dtype=np.int32), np.broadcast_to(np.int32(1), a.rows)
    return Windows(of_row, parts, _regions(bound, limits), work, None)


def _signed(most: int) -> np.dtype:
    """The narrowest type of whole numbers up to `most`: to get memory takes longer than what is done with it."""
    return np.min_scalar_type(-1 - most)


def _pattern(matrix: Csr, starts: np.ndarray, number: np.dtype) -> scipy.sparse.csr_array:
    """The matrix with ones for its values; SciPy neither converts nor checks 32-bit `starts`."""
    ones = np.ones(len(matrix.columns), number)
    return scipy.sparse.csr_array((ones, matrix.columns, starts), shape=(matrix.rows, matrix.columns_in_all))


def _regions(bound: np.ndarray, limits: np.ndarray) -> np.ndarray:
    regions = np.zeros(len(bound), np.int8)
    most = bound.max() if len(bound) else 0
    for limit in limits[:-1].tolist():
        if limit < most:
            regions += (bound > limit).view(np.int8)
    return regions


def _with_heavy(a: scipy.sparse.csr_array, b: scipy.sparse.csr_array, limits: np.ndarray, bound: np.ndarray,
                work: np.ndarray) -> Windows:
    rows = np.flatnonzero(bound > limits[-1])
    of_rows = a[rows]
    cuts, sizes = _cut(rows, of_rows, b, int(limits[-1]))
    parts = (bound > 0).astype(np.int32)
    parts[rows] = of_heavy = np.count_nonzero(cuts.end, axis=1)
    of_row = np.repeat(np.arange(len(bound), dtype=np.int32), parts)
    is_cut = np.zeros(len(bound), bool)
    is_cut[rows] = True
    cut = np.flatnonzero(is_cut.take(of_row))
    share = work[rows] // of_heavy + np.diff(of_rows.indptr) // 2
    bound, work = bound.take(of_row), work.take(of_row)
    bound[cut], work[cut] = sizes, np.repeat(share, of_heavy)
    return Windows(of_row, parts, _regions(bound, limits), work, cuts)


def _cut(rows: np.ndarray, of_rows: scipy.sparse.csr_array, b: scipy.sparse.csr_array,
         widest: int) -> tuple[Cuts, np.ndarray]:
    """(cuts of these rows of A, elements of C that their windows may have, row by row)."""
    b_rows, columns = dimensions(b)
    at = _columns_of_cuts(b, columns, widest)
    used = np.flatnonzero(_column_sums(of_rows, b_rows))
    counts = _counts(b[used], at)
    number = np.empty(b_rows, of_rows.indices.dtype)
    number[used] = np.arange(len(used), dtype=number.dtype)
    renumbered = (of_rows.data, number.take(of_rows.indices), of_rows.indptr)
    made = scipy.sparse.csr_array(renumbered, shape=(len(rows), len(used))) @ counts
    begin, end, sizes = _grouped(np.minimum(made, np.diff(at)), widest)
    return Cuts(rows, used, counts, begin, end), sizes


def _columns_of_cuts(b: scipy.sparse.csr_array, columns: int, widest: int) -> np.ndarray:
    """int64: ascending columns, from 0 to all of them, at most `widest` apart."""
    even = np.linspace(0, columns, -(-columns // widest) + 1).astype(np.int64)
    share = np.cumsum(_column_sums(b, columns))
    shares = np.searchsorted(share, np.linspace(0, b.nnz, QUANTILES, endpoint=False)[1:])
    return np.unique(np.concatenate([even, shares]))


def _counts(matrix: scipy.sparse.csr_array, cuts: np.ndarray) -> np.ndarray:
    """[rows, ranges]: elements of each row in each range of columns."""
    range_of = np.repeat(np.arange(len(cuts) - 1, dtype=matrix.indices.dtype), np.diff(cuts))
    return _sums(matrix.data, range_of.take(matrix.indices), matrix.indptr, len(cuts) - 1)


def _column_sums(matrix: scipy.sparse.csr_array, columns: int) -> np.ndarray:
    """[columns]: of the elements; ones take half the time of `np.bincount`."""
    return _sums(matrix.data, matrix.indices, matrix.indptr[[0, -1]], columns)[0]


def _sums(values: np.ndarray, columns: np.ndarray, starts: np.ndarray, width: int) -> np.ndarray:
    """[rows, width]: values of each row, summed where they share a column."""
    return scipy.sparse.csr_array((values, columns, starts), shape=(len(starts) - 1, width)).toarray()


def _grouped(made: np.ndarray, limit: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(int64 [rows, most windows of one]: first range of each window; the range behind its last; elements that the
    windows may have, row by row): as many neighbours as stay within `limit`, which none of them exceeds alone."""
    rows, ranges = made.shape
    before = np.zeros((rows, ranges + 1), np.int64)
    np.cumsum(made, axis=1, out=before[:, 1:])
    before += np.arange(rows)[:, None] * (before.max() + limit + 1)  # so that all rows are one that rises
    before, first = before.ravel(), np.arange(rows) * (ranges + 1)
    edges = [first]
    while (edges[-1] < first + ranges).any():
        edges.append(np.searchsorted(before, before[edges[-1]] + limit, side="right") - 1)
    begin, end = np.array(edges[:-1]).T, np.array(edges[1:]).T
    there = begin < end
    sizes = (before[end] - before[begin])[there]
    return np.where(there, begin - first[:, None], 0), np.where(there, end - first[:, None], 0), sizes
