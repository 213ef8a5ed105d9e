"""C = A B by rows (Gustavson): products of an element are added one by one, in the order of A's row.

The numbers of the SpGEMM engine: element (i, j) starts as +0; for k in the order of row i of A, if B has (k, j), the
product a[i, k] * b[k, j] is rounded, then added, and the sum rounded. SciPy adds in the same order.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from golden.floats import BINARY32, BINARY64, Format

from .csr import Csr

__all__ = ["ARITHMETIC", "Arithmetic", "Elements", "merge", "multiplications", "multiply", "products"]

AT_ONCE = 1 << 22
"""Products that are handled together, if a row has no more."""


@dataclass(frozen=True)
class Arithmetic:
    """Numbers of one kind: how they are stored, multiplied and added. `format`: of floating point."""

    dtype: np.dtype
    format: Format | None
    mul: Callable[[np.ndarray, np.ndarray], np.ndarray]
    add: Callable[[np.ndarray, np.ndarray], np.ndarray]


def _wrapping(operation: Callable[..., np.ndarray]) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    def of_int32(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore"):
            return operation(a, b)

    return of_int32


ARITHMETIC = {
    "fp32": Arithmetic(np.dtype(np.float32), BINARY32, BINARY32.mul, BINARY32.add),
    "int32": Arithmetic(np.dtype(np.int32), None, _wrapping(np.multiply), _wrapping(np.add)),
    "fp64": Arithmetic(np.dtype(np.float64), BINARY64, BINARY64.mul, BINARY64.add),
}
"""fp32, fp64: `golden.floats`. int32: modulo 2**32."""


@dataclass(frozen=True)
class Elements:
    """Elements of some rows of C, row by row, in ascending columns.

    Attributes:
        rows, columns: int64 of each. values: of each. first: int64, which of the rows' products, in the order in which
            they are made, is its first. times: int64, how many each has. products: how many are made.
    """

    rows: np.ndarray
    columns: np.ndarray
    values: np.ndarray
    first: np.ndarray
    times: np.ndarray
    products: int


def multiplications(a: Csr, b: Csr) -> np.ndarray:
    """int64 [rows of A]: products that each row of C takes."""
    return a.sums_by_row(b.lengths[a.columns])


def products(a: Csr, b: Csr, arithmetic: Arithmetic) -> Iterator[Elements]:
    """Elements of C, some rows at a time.

    Raises:
        ValueError: A has other columns than B has rows.
    """
    if a.columns_in_all != b.rows:
        raise ValueError(f"A has {a.columns_in_all} columns, B {b.rows} rows")
    done = np.cumsum(multiplications(a, b))
    row = 0
    while row < a.rows:
        before = done[row - 1] if row else 0
        end = max(row + 1, int(np.searchsorted(done, before + AT_ONCE, side="right")))
        yield _some_rows(a, b, row, end, arithmetic)
        row = end


def _some_rows(a: Csr, b: Csr, row: int, end: int, arithmetic: Arithmetic) -> Elements:
    part = slice(a.starts[row], a.starts[end])
    k = a.columns[part]
    lengths = b.lengths[k]
    total = int(lengths.sum())
    source = np.repeat(np.arange(len(k)), lengths)
    at = np.arange(total) - np.repeat(np.cumsum(lengths) - lengths, lengths) + np.repeat(b.starts[k], lengths)
    of_row = np.repeat(np.arange(row, end), a.lengths[row:end])[source]
    return merge(of_row, b.columns[at], arithmetic.mul(a.values[part][source], b.values[at]), arithmetic)


def merge(rows: np.ndarray, columns: np.ndarray, made: np.ndarray, arithmetic: Arithmetic) -> Elements:
    """Elements of the products `made`, given in the order in which they are added; columns are below 2**32."""
    total = len(made)
    key = rows << 32 | columns
    order = np.argsort(key, kind="stable")
    key = key[order]
    opens = np.ones(total, bool)
    opens[1:] = key[1:] != key[:-1]
    starts = np.flatnonzero(opens)
    element = np.cumsum(opens) - 1
    turn = np.arange(total) - starts[element] if total else element
    values = np.zeros(len(starts), arithmetic.dtype)
    by_turn = np.argsort(turn, kind="stable")
    counts = np.bincount(turn) if total else np.zeros(0, np.int64)
    for these in np.split(by_turn, np.cumsum(counts)[:-1]) if total else ():
        values[element[these]] = arithmetic.add(values[element[these]], made[order[these]])
    return Elements(key[starts] >> 32, key[starts] & 0xFFFFFFFF, values, order[starts], np.diff(starts, append=total),
                    total)


def multiply(a: Csr, b: Csr, arithmetic: Arithmetic) -> Csr:
    """C with rows in ascending columns.

    Raises:
        ValueError: A has other columns than B has rows.
    """
    parts = list(products(a, b, arithmetic))
    rows, columns, values = (
        np.concatenate([getattr(part, name) for part in parts]) if parts else np.zeros(0, np.int64)
        for name in ("rows", "columns", "values")
    )
    starts = np.concatenate(([0], np.cumsum(np.bincount(rows, minlength=a.rows))))
    return Csr(b.columns_in_all, starts, columns.astype(np.int32), values.astype(arithmetic.dtype))
