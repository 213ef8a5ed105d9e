"""Where the rows of B lie in memory, and what stands for the entries of A there.

All of it is NumPy without a loop over rows: a product takes milliseconds, and planning must not take longer.
"""

from dataclasses import dataclass, replace

import numpy as np

from golden.spgemm.csr import Csr
from golden.spgemm.piece import longest_piece

from .windows import Windows

__all__ = ["Pieces", "place_rows", "refer", "window_pieces"]


@dataclass(frozen=True)
class Pieces:
    """What the engine reads of A: for every entry whose row of B has elements, that row's pieces in order.

    Attributes:
        values: of the entry. first, count: whole numbers, elements of B, from the start of its image. hint: bool, see
            `hints.passing`. per_row: int64, pieces of each row.
    """

    values: np.ndarray
    first: np.ndarray
    count: np.ndarray
    hint: np.ndarray
    per_row: np.ndarray

    def lines(self, line: int) -> np.ndarray:
        """int64 [pieces]: lines of `line` elements that each touches."""
        return (self.first + self.count - 1) // line - self.first // line + 1

    @property
    def starts(self) -> np.ndarray:
        """int64 [rows + 1]: where each row's pieces begin."""
        return np.concatenate(([0], np.cumsum(self.per_row)))


def place_rows(lengths: np.ndarray, line: int) -> tuple[np.ndarray, int]:
    """(int64 first element of each row, elements in all) of an image in lines of `line` elements, a power of two.

    No row touches more lines than it must: rows above half a line begin with a line, in the order of the rows. Shorter
    ones fill what these leave free at the ends of lines, the longest ones first, and the shortest stretches that are
    long enough. Those that are left lie behind, in places of 1, 2, 4, .. elements.
    """
    half, first = line // 2, np.zeros(len(lengths), np.int64)
    rows = np.flatnonzero(lengths > half)
    sizes = -(-lengths.take(rows) // line) * line
    behind = np.cumsum(sizes)
    first[rows] = behind - sizes
    end = int(behind[-1]) if len(behind) else 0
    free = sizes - lengths.take(rows)
    stretches = [behind[free == size] - size for size in range(line)]  # by their lengths
    left = []
    for length in range(half, 0, -1):
        rows = np.flatnonzero(lengths == length)
        for size in range(length, line):
            each = size // length
            count = min(len(rows), each * len(stretches[size]))
            here, stretches[size] = np.split(stretches[size], [-(-count // each)])
            first[rows[:count]] = (here[:, None] + length * np.arange(each)).ravel()[:count]
            rows = rows[count:]
            taken = length * np.minimum(each, count - each * np.arange(len(here)))
            for rest in set((size - taken[-2:]).tolist()):  # the last stretch may not be full
                some = here[taken == size - rest] + size - rest
                stretches[rest] = np.concatenate([stretches[rest], some])
        left.append((rows, 1 << (length - 1).bit_length()))
    for rows, size in left:
        first[rows] = end + size * np.arange(len(rows))
        end += size * len(rows)
    return first, -(-end // line) * line


def refer(starts: np.ndarray, values: np.ndarray, first: np.ndarray, length: np.ndarray, hint: np.ndarray,
          line: int) -> Pieces:
    """Pieces for stretches of B: `length` elements from `first` on, times `values`; each row's begin at `starts`.

    Where a stretch of a line or more begins inside a line, that line's part is a piece of its own.
    """
    longest = longest_piece(line) // line * line
    before = np.where(length >= line, -first & line - 1, 0)
    if not len(length) or (length.min() > 0 and length.max() <= longest and not before.any()):
        return Pieces(values, first, length, hint, np.diff(starts))
    pieces = (before > 0) - (before - length) // longest
    done = np.concatenate(([0], np.cumsum(pieces)))
    source = np.repeat(np.arange(len(length)), pieces)
    number = np.arange(len(source)) - done.take(source)
    before, length = before.take(source), length.take(source)
    skipped = np.maximum((number - (before > 0)) * longest + before, 0)
    inside = (before > 0) & (number == 0)
    begin = np.where(inside, 0, skipped)
    end = np.where(inside, before, np.minimum(length, skipped + longest))
    return Pieces(
        values=values.take(source),
        first=first.take(source) + begin,
        count=end - begin,
        hint=hint.take(source),
        per_row=np.diff(done.take(starts)),
    )


def window_pieces(a: Csr, b: Csr, windows: Windows, first: np.ndarray, hint: np.ndarray, line: int) -> Pieces:
    """Pieces of all windows; a heavy row's entries come for each of its windows, with the part that lies in it."""
    lengths, cuts = b.lengths.astype(first.dtype), windows.cuts
    if cuts is None:
        pieces = refer(a.starts, a.values, first.take(a.columns), lengths.take(a.columns), hint, line)
        if len(windows.of_row) < a.rows:  # the others have no pieces
            pieces = replace(pieces, per_row=pieces.per_row.take(windows.of_row))
        return pieces
    per_window = a.lengths.take(windows.of_row)
    starts = np.concatenate(([0], np.cumsum(per_window)))
    source = np.repeat(a.starts.take(windows.of_row) - starts[:-1], per_window) + np.arange(starts[-1])
    columns = a.columns.take(source)
    at, length = first.take(columns), lengths.take(columns)

    before = np.zeros((len(cuts.used), cuts.counts.shape[1] + 1), first.dtype)
    np.cumsum(cuts.counts, axis=1, out=before[:, 1:])
    number = np.zeros(b.rows, np.int64)
    number[cuts.used] = np.arange(len(cuts.used)) * before.shape[1]
    is_heavy = np.zeros(a.rows, bool)
    is_heavy[cuts.rows] = True
    is_cut = is_heavy.take(windows.of_row)
    cut = np.flatnonzero(np.repeat(is_cut, per_window))
    of_b, there = number.take(columns.take(cut)), cuts.begin < cuts.end
    low, high = (before.ravel().take(of_b + np.repeat(edge[there], per_window[is_cut]))
                 for edge in (cuts.begin, cuts.end))
    at[cut] += low
    length[cut] = high - low
    return refer(starts, a.values.take(source), at, length, hint.take(source), line)
