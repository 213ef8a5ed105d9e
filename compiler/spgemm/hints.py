"""Which lines of B are not asked for again soon: what the cache need not keep."""

import numpy as np
import scipy.sparse

from golden.spgemm.csr import Csr

__all__ = ["REACH", "not_soon"]

REACH = 3.0
"""Lines asked for until the next use, over those that the cache holds, beyond which a line is not kept. Many of them
hit, so more than 1: misses of a model of the 256 KB cache on wiki-Vote, ca-CondMat, p2p-Gnutella31 are, in thousands,
98, 411, 73 without hints; 97, 385, 69 with 1; 78, 333, 59 with 2; 82, 323, 58 with 4; 90, 364, 63 with 8."""


def not_soon(a: Csr, b: Csr, chunk: np.ndarray, line: int, cache_lines: int) -> np.ndarray:
    """bool [entries of A]: the row of B is asked for again only behind more lines than the cache keeps, or never.

    Args:
        chunk: of each row; rows of another one, which perhaps another engine works on, do not count.
    """
    entries = len(a.columns)
    numbers = scipy.sparse.csr_array((np.arange(entries), a.columns, a.starts), shape=(a.rows, b.rows)).tocsc()
    by_column, starts = np.asarray(numbers.data, np.int64), np.asarray(numbers.indptr)
    behind = np.full(entries, np.iinfo(np.int64).max)
    same = np.ones(max(entries - 1, 0), bool)
    inside = starts[1:-1]
    same[inside[(inside > 0) & (inside < entries)] - 1] = False
    before = np.cumsum(-(-b.lengths // line)[a.columns])
    distance = before[by_column[1:]] - before[by_column[:-1]]
    of_entry = chunk[a.entry_rows][by_column]
    same &= of_entry[1:] == of_entry[:-1]
    behind[by_column[:-1][same]] = distance[same]
    return behind > REACH * cache_lines
