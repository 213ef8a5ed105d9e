"""Which rows of B the cache keeps for their next use, and which only pass: about what Belady's MIN would do.

A row that is kept from a use to the next one takes its lines of the cache for that long and saves as many reads, so
the shortest of these spans are worth most. They are taken in the order of their lengths, as long as they fit.
"""

import numpy as np
import scipy.sparse

from golden.spgemm.csr import Csr
from golden.spgemm.params import SpgemmParams

__all__ = ["KIND_BITS", "MOST_POINTS", "POINTS", "passing"]

KIND_BITS = 1
"""Spans count as equally long if their lengths, as floating-point numbers, have so many bits of the mantissa alike."""
POINTS = 2
"""Points in time at which kept lines are counted while as many lines are asked for as may be kept, at least."""
MOST_POINTS = 1 << 16
"""Of them in all, as planning must stay short."""


def passing(a: Csr, b: Csr, begins: np.ndarray, p: SpgemmParams) -> np.ndarray:
    """bool [entries of A]: the row of B is not kept for its next use, or there is none.

    Time is counted in entries of A. All rows are kept if the cache holds what is asked for of B. Else one way of each
    set is for what passes, and the others hold, at every point, all the spans up to some length. A span is kept if
    these include it at all points that it covers.

    Args:
        begins: [chunks + 1], first entry of each; a use in another chunk, which perhaps another engine works on, does
            not count.
    """
    entries, lines = len(a.columns), -(-b.lengths // p.lanes)
    index = np.int32 if entries < 1 << 28 else np.int64
    if lines.sum() <= p.cache_lines:
        return np.zeros(entries, bool)
    now = np.arange(entries, dtype=index)
    by_row = scipy.sparse.csr_array((now, a.columns, a.starts.astype(index)), shape=(a.rows, b.rows)).tocsc()
    asked_for = np.diff(by_row.indptr) > 0
    if lines[asked_for].sum() <= p.cache_lines:
        return np.zeros(entries, bool)
    never = 3 * entries
    after = np.append(by_row.data[1:], index(never))
    after[by_row.indptr[1:][asked_for] - 1] = never
    following = np.empty_like(now)
    following[by_row.data.astype(np.int64)] = after
    following += index(never) * (following >= np.repeat(begins[1:].astype(index), np.diff(begins)))
    kind, too_long = _kind(following - now), int(_kind(np.array([2 * entries]))[0])

    taken, room = lines.astype(index).take(a.columns), p.cache_lines - p.cache_lines // p.cache_ways
    apart = max(entries * room // (POINTS * int(taken.sum())), -(-entries // MOST_POINTS), 1)
    step = apart.bit_length() - 1
    points, kinds = (entries >> step) + 1, int(kind.max()) + 1
    begin, end = now >> step, np.minimum(following, entries) >> step
    kind *= points
    cell = kind + begin
    kind += end
    # a span covers the points begin + 1 .. end, which count as begin .. end - 1
    change = _sums(taken, cell, kinds * points) - _sums(taken, kind, kinds * points)
    held = change.reshape(kinds, points).cumsum(axis=1).cumsum(axis=0)
    full = np.where(held > room, np.arange(points, dtype=index), index(points))
    full[too_long:] = -1
    full = np.minimum.accumulate(full[:, ::-1], axis=1)[:, ::-1].copy()  # the next point at which a kind does not fit
    return full.ravel().take(cell) < end


def _kind(span: np.ndarray) -> np.ndarray:
    """Whole numbers from 0, by the logarithm of the span."""
    return (span.astype(np.float32).view(np.int32) >> (23 - KIND_BITS)) - (127 << KIND_BITS)


def _sums(values: np.ndarray, at: np.ndarray, count: int) -> np.ndarray:
    """[count]: sum of the values of each number in `at`; half the time of `np.bincount`."""
    starts = np.array([0, len(at)], at.dtype)
    return scipy.sparse.csr_array((values, at, starts), shape=(1, count)).toarray()[0]
