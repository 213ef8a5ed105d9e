"""Which weights share a block of 16 x 16: the unit with one N of N:16, seen from a matrix as the model has it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from golden.params import BLOCK

__all__ = ["BlockLayout", "consecutive"]


@dataclass(frozen=True)
class BlockLayout:
    """Block coordinates of the rows and inputs of a matrix; padding of the engine does not show.

    Attributes:
        rows: int [rows], block row of every row; at most 16 rows share one, in any order.
        inputs: int [K], block column of every input, ascending; at most 16 inputs share one.
        slots: int [block columns, 16], the inputs of every block column, -1 where it has fewer (derived).

    Raises:
        ValueError: numbers that are negative, leave some out, are too frequent, or (inputs) not ascending.
    """

    rows: np.ndarray
    inputs: np.ndarray
    slots: np.ndarray = field(init=False, compare=False)

    def __post_init__(self) -> None:
        for name, ids in (("rows", self.rows), ("inputs", self.inputs)):
            if ids.ndim != 1 or ids.size == 0 or ids.min() < 0:
                raise ValueError(f"{name} must be block numbers of 0 and above, one for each, got {ids!r}")
            least, most = np.bincount(ids).min(), np.bincount(ids).max()
            if least < 1 or most > BLOCK:
                raise ValueError(f"{name}: every block must have 1 to {BLOCK} members, got {least} to {most}")
        if np.any(np.diff(self.inputs) < 0):
            raise ValueError("inputs: block numbers must ascend")
        first = np.searchsorted(self.inputs, np.arange(self.columns))
        slots = np.full((self.columns, BLOCK), -1)
        slots[self.inputs, np.arange(len(self.inputs)) - first[self.inputs]] = np.arange(len(self.inputs))
        object.__setattr__(self, "slots", slots)

    @property
    def shape(self) -> tuple[int, int]:
        """(block rows, block columns)."""
        return int(self.rows.max()) + 1, self.columns

    @property
    def columns(self) -> int:
        return int(self.inputs[-1]) + 1

    def blocked(self, values: np.ndarray, absent: float) -> np.ndarray:
        """[rows, block columns, 16] of values [rows, K], with `absent` where a block column has no such input."""
        return np.where(self.slots >= 0, values[:, self.slots], absent)

    def flat(self, blocked: np.ndarray) -> np.ndarray:
        """Inverse of `blocked`: [rows, K]."""
        return blocked[:, self.slots >= 0]


def consecutive(rows: int, inputs: int) -> BlockLayout:
    """16 consecutive rows and 16 consecutive inputs to a block."""
    return BlockLayout(np.arange(rows) // BLOCK, np.arange(inputs) // BLOCK)
