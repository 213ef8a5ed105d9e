"""Where the rows of B lie in memory, and what stands for the entries of A there.

All of it is NumPy without a loop over rows: a product takes milliseconds, and planning must not take longer.
"""

from dataclasses import dataclass

import numpy as np

from golden.spgemm.csr import Csr

__all__ = ["PIECE_LINES", "References", "lines_of_rows", "place_rows", "refer"]

PIECE_LINES = 15
"""Lines of the longest piece of a row: its elements fit the 7 bits of a reference, for lines of eight."""


@dataclass(frozen=True)
class References:
    """What the engine reads of A: for every entry whose row of B has entries, its pieces in order.

    Attributes:
        values: of the entry. first, count: elements of B, from the start of its image. per_row: int64 [rows of A].
    """

    values: np.ndarray
    first: np.ndarray
    count: np.ndarray
    per_row: np.ndarray


def place_rows(lengths: np.ndarray, line: int) -> tuple[np.ndarray, int]:
    """(int64 first element of each row, elements in all) of an image in lines of `line` elements, a power of two.

    No row touches more lines than it must: rows above half a line begin with a line, shorter ones lie in places of
    1, 2, 4, .. elements. Places of one size follow each other in the order of the rows, the largest first.
    """
    size = np.where(lengths > line // 2, -(-lengths // line) * line, _power_of_two(lengths))
    first, end = np.zeros(len(lengths), np.int64), 0
    for of_class in [size >= line, *(size == line >> shift for shift in range(1, line.bit_length()))]:
        sizes = size[of_class]
        behind = end + np.cumsum(sizes)
        first[of_class] = behind - sizes
        end = int(behind[-1]) if len(behind) else end
    return first, -(-end // line) * line


def _power_of_two(lengths: np.ndarray) -> np.ndarray:
    """The next one, 0 for 0; of numbers below 2**53."""
    return np.where(lengths > 0, 1 << np.frexp(np.maximum(lengths, 1) - 0.5)[1], 0)


def lines_of_rows(a: Csr, b: Csr, line: int) -> np.ndarray:
    """int64 [rows of A]: lines of B that each row of C takes, which is its cycles if nothing makes it wait."""
    return a.sums_by_row(-(-b.lengths // line)[a.columns])


def refer(a: Csr, b: Csr, first: np.ndarray, line: int) -> References:
    """References for the entries of A to rows of B that begin at `first`."""
    longest = PIECE_LINES * line
    lengths, begins = b.lengths[a.columns], first[a.columns]
    pieces = -(-b.lengths // longest)[a.columns]
    if not len(pieces) or pieces.min() == pieces.max() == 1:
        return References(a.values, begins, lengths, a.lengths)
    source = np.repeat(np.arange(len(lengths)), pieces)
    skipped = (np.arange(len(source)) - np.repeat(np.cumsum(pieces) - pieces, pieces)) * longest
    return References(
        values=a.values[source],
        first=begins[source] + skipped,
        count=np.minimum(lengths[source] - skipped, longest),
        per_row=a.sums_by_row(pieces),
    )
