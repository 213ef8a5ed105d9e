"""Where the rows of B lie in memory, and what stands for the entries of A there.

All of it is NumPy without a loop over rows: a product takes milliseconds, and planning must not take longer.
"""

from dataclasses import dataclass

import numpy as np

from golden.spgemm.csr import Csr
from golden.spgemm.piece import longest_piece

from .windows import Windows

__all__ = ["Pieces", "place_rows", "refer", "window_pieces"]


@dataclass(frozen=True)
class Pieces:
    """What the engine reads of A: for every entry whose row of B has elements, that row's pieces in order.

    Attributes:
        values: of the entry. first, count: int64, elements of B, from the start of its image. hint: bool, see
            `hints.not_soon`. per_row: int64, pieces of each row.
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


def refer(row: np.ndarray, rows: int, values: np.ndarray, first: np.ndarray, length: np.ndarray, hint: np.ndarray,
          line: int) -> Pieces:
    """Pieces for stretches of B: `length` elements from `first` on, times `values`, for `row`, which never falls.

    Where a stretch of a line or more begins inside a line, that line's part is a piece of its own.
    """
    longest = longest_piece(line) // line * line
    before = np.where(length >= line, -first % line, 0)
    if not len(length) or (length.min() > 0 and length.max() <= longest and not before.any()):
        return Pieces(values, first, length, hint, np.bincount(row, minlength=rows))
    pieces = (before > 0) - (before - length) // longest
    source = np.repeat(np.arange(len(length)), pieces)
    number = np.arange(len(source)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    inside = before[source] > 0
    skipped = np.maximum((number - inside) * longest + before[source], 0)
    begin = np.where(inside & (number == 0), 0, skipped)
    end = np.where(inside & (number == 0), before[source], np.minimum(length[source], skipped + longest))
    return Pieces(
        values=values[source],
        first=first[source] + begin,
        count=end - begin,
        hint=hint[source],
        per_row=np.bincount(row[source], minlength=rows),
    )


def window_pieces(a: Csr, b: Csr, windows: Windows, first: np.ndarray, hint: np.ndarray, line: int) -> Pieces:
    """Pieces of all windows; a heavy row's entries come for each of its windows, with the part that lies in it."""
    cuts = windows.cuts
    if cuts is None:
        return refer(a.entry_rows, a.rows, a.values, first[a.columns], b.lengths[a.columns], hint, line)
    repeats = windows.parts[a.entry_rows]
    window = (np.cumsum(windows.parts) - windows.parts)[a.entry_rows]
    per_window = a.lengths[windows.of_row]
    begins = np.cumsum(per_window) - per_window
    within = np.arange(len(a.columns)) - a.starts[a.entry_rows]
    source, part = np.repeat(np.arange(len(a.columns)), repeats), _counted(repeats)
    place = begins[window[source] + part] + within[source]

    at, length = first[a.columns[source]], b.lengths[a.columns[source]]
    heavy = np.full(a.rows, -1)
    heavy[cuts.rows] = np.arange(len(cuts.rows))
    number = np.zeros(b.rows, np.int64)
    number[cuts.used] = np.arange(len(cuts.used))
    row = heavy[a.entry_rows[source]]
    cut = np.flatnonzero(row >= 0)
    before = np.concatenate([np.zeros((len(cuts.used), 1), np.int64), np.cumsum(cuts.counts, axis=1)], axis=1)
    of_b, of_row = number[a.columns[source[cut]]], row[cut]
    low, high = (before[of_b, edge[of_row, part[cut]]] for edge in (cuts.begin, cuts.end))
    at[cut] += low
    length[cut] = high - low
    order = np.empty_like(place)
    order[place] = np.arange(len(place))
    return refer(np.repeat(np.arange(len(per_window)), per_window), len(per_window), a.values[source[order]], at[order],
                 length[order], hint[source[order]], line)


def _counted(repeats: np.ndarray) -> np.ndarray:
    """0, 1, .. for each of the repeats."""
    return np.arange(int(repeats.sum())) - np.repeat(np.cumsum(repeats) - repeats, repeats)
