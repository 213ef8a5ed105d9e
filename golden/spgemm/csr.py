"""Compressed sparse rows."""

from dataclasses import dataclass

import numpy as np

__all__ = ["Csr"]


@dataclass(frozen=True)
class Csr:
    """A sparse matrix, row by row; columns of a row in any order, each at most once.

    Attributes:
        columns_in_all: of the matrix. starts: int64 [rows + 1], where each row's entries begin.
        columns: int32 [entries]. values: [entries].

    Raises:
        ValueError: starts that do not rise from 0 to the number of entries, or a column outside the matrix.
    """

    columns_in_all: int
    starts: np.ndarray
    columns: np.ndarray
    values: np.ndarray

    def __post_init__(self) -> None:
        starts, entries = self.starts, len(self.columns)
        if len(self.values) != entries:
            raise ValueError(f"{len(self.values)} values for {entries} columns")
        if not len(starts) or starts[0] != 0 or starts[-1] != entries or (np.diff(starts) < 0).any():
            raise ValueError(f"starts must rise from 0 to {entries}")
        if entries and not 0 <= int(self.columns.min()) <= int(self.columns.max()) < self.columns_in_all:
            raise ValueError(f"columns must be 0 to {self.columns_in_all - 1}")

    @property
    def rows(self) -> int:
        return len(self.starts) - 1

    @property
    def lengths(self) -> np.ndarray:
        """int64 [rows]: entries of each row."""
        return np.diff(self.starts)

    def sums_by_row(self, of_entries: np.ndarray) -> np.ndarray:
        """int64 [rows]: sum of whole numbers that the entries have, over each row."""
        before = np.concatenate(([0], np.cumsum(of_entries)))
        return before[self.starts[1:]] - before[self.starts[:-1]]

    @property
    def entry_rows(self) -> np.ndarray:
        """int64 [entries]: the row of each entry."""
        return np.repeat(np.arange(self.rows), self.lengths)
