"""Which rows of C fit the hash scratchpad: contexts for light ones, ranges of columns for heavy ones."""

from dataclasses import dataclass

import numpy as np

from golden.spgemm.csr import Csr
from golden.spgemm.params import SpgemmParams
from golden.spgemm.product import multiplications

from .layout import Pieces, refer

__all__ = ["Windows", "capacities", "split_rows"]

QUANTILES = 32
"""Ranges of columns with equal shares of B's elements that heavy rows may be cut at."""


@dataclass(frozen=True)
class Windows:
    """Rows as the engine works on them: a row of C, or one that is heavy in several ranges of columns.

    Attributes:
        of_row: int64, which row of C each belongs to, rising. regions: int64, logarithm of the contexts that it takes.
        pieces: of each. parted: rows of C that are cut.
    """

    of_row: np.ndarray
    regions: np.ndarray
    pieces: Pieces
    parted: int


def capacities(p: SpgemmParams, careful: int) -> np.ndarray:
    """int64: elements of C that a row with 1, 2, 4, .. contexts may have.

    Banks fill like random ones: the fullest stays below mean + 6 sqrt(mean) + 4, or all elements fit one. At most half
    of the slots are taken, so that probing stays short. Each step of `careful` halves them, for matrices whose columns
    fill the banks less evenly.
    """
    region = p.region << np.arange(p.contexts.bit_length())
    mean = np.minimum((np.sqrt(9.0 + np.maximum(region - 4.0, 0.0)) - 3.0) ** 2, region / 2)
    return np.maximum(np.maximum((p.banks * mean).astype(np.int64), region // 2) >> careful, 1)


def split_rows(a: Csr, b: Csr, first: np.ndarray, p: SpgemmParams, careful: int = 0) -> Windows:
    """Windows for A B, B's rows beginning at `first` in their image."""
    limits = capacities(p, careful)
    bound = np.minimum(multiplications(a, b), b.columns_in_all)
    heavy = bound > limits[-1]
    lengths, begins = b.lengths[a.columns], first[a.columns]
    if not heavy.any():
        pieces = refer(a.entry_rows, a.rows, a.values, begins, lengths, p.lanes)
        return Windows(np.arange(a.rows), np.searchsorted(limits, bound), pieces, 0)
    return _with_heavy(a, b, first, p, limits, bound, heavy)


def _with_heavy(a: Csr, b: Csr, first: np.ndarray, p: SpgemmParams, limits: np.ndarray, bound: np.ndarray,
                heavy: np.ndarray) -> Windows:
    cuts = _cuts(b, int(limits[-1]))
    of_heavy = np.flatnonzero(heavy[a.entry_rows])
    used, which = np.unique(a.columns[of_heavy], return_inverse=True)
    before = _elements_before(b, used, cuts)
    rows = np.flatnonzero(heavy)
    entry_of = np.searchsorted(rows, a.entry_rows[of_heavy])
    lengths = np.diff(before, axis=1)[which]
    begin_of = np.searchsorted(entry_of, np.arange(len(rows)))
    made = np.minimum(np.add.reduceat(lengths, begin_of, axis=0), np.diff(cuts))
    group, filled = _grouped(made, int(limits[-1]))

    parts = np.ones(a.rows, np.int64)
    parts[rows] = group[:, -1] + 1
    of_row = np.repeat(np.arange(a.rows), parts)
    begins = np.cumsum(parts) - parts
    window_bound = bound[of_row]
    window_bound[heavy[of_row]] = filled

    repeats = parts[a.entry_rows]
    source = np.repeat(np.arange(len(a.columns)), repeats)
    part = np.arange(len(source)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    window = begins[a.entry_rows[source]] + part
    at, length = first[a.columns[source]], b.lengths[a.columns[source]]
    cut = np.flatnonzero(heavy[a.entry_rows[source]])
    of_entry = np.searchsorted(of_heavy, source[cut])
    low, high = (
        before[which[of_entry], _edges(group, side)[entry_of[of_entry], part[cut]]] for side in ("begin", "end")
    )
    at[cut] += low
    length[cut] = high - low
    order = np.argsort(window, kind="stable")
    pieces = refer(window[order], len(of_row), a.values[source][order], at[order], length[order], p.lanes)
    return Windows(of_row, np.searchsorted(limits, window_bound), pieces, len(rows))


def _cuts(b: Csr, widest: int) -> np.ndarray:
    """int64: ascending columns, from 0 to all of them, at most `widest` apart."""
    columns = b.columns_in_all
    even = np.linspace(0, columns, -(-columns // widest) + 1).astype(np.int64)
    shares = np.sort(b.columns)[np.linspace(0, len(b.columns), QUANTILES, endpoint=False).astype(np.int64)]
    return np.unique(np.concatenate([even, shares]))


def _elements_before(b: Csr, rows: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    """int64 [rows, cuts]: elements of each of these rows of B in columns below each cut."""
    key = b.entry_rows * (b.columns_in_all + 1) + b.columns
    asked = rows[:, None].astype(np.int64) * (b.columns_in_all + 1) + cuts
    return np.searchsorted(key, asked) - b.starts[rows][:, None]


def _grouped(made: np.ndarray, limit: int) -> tuple[np.ndarray, np.ndarray]:
    """(int64 [rows, ranges] number of the window of each range, elements that each row's windows may have, in order):
    as many neighbours as stay within `limit`."""
    group = np.zeros(made.shape, np.int64)
    sums = np.zeros(made.shape, np.int64)
    number = np.zeros(len(made), np.int64)
    total = np.zeros(len(made), np.int64)
    for at in range(made.shape[1]):
        opens = (total + made[:, at] > limit) & (total > 0)
        number += opens
        total = np.where(opens, 0, total) + made[:, at]
        group[:, at] = number
        sums[np.arange(len(made)), number] = total
    used = np.arange(made.shape[1]) <= number[:, None]
    return group, sums[used]


def _edges(group: np.ndarray, side: str) -> np.ndarray:
    """int64 [rows, ranges]: the first (`begin`) range of each window, or the one behind its last (`end`)."""
    result = np.zeros(group.shape, np.int64)
    rows = np.arange(len(group))
    ranges = range(group.shape[1])
    for at in reversed(ranges) if side == "begin" else ranges:
        result[rows, group[:, at]] = at + (side == "end")
    return result
