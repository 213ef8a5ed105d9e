"""C = A B for SciPy's matrices, with the engine's numbers."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse

from compiler.frontend.matrix import canonical, dimensions
from golden.spgemm.csr import Csr
from golden.spgemm.product import ARITHMETIC, multiplications, multiply

__all__ = ["NUMBERS", "Report", "UnsuitableValuesError", "spgemm"]

NUMBERS = tuple(ARITHMETIC)
ENTRY_BYTES, START_BYTES = 8, 4
"""Of an entry in memory, a column and a value of 32 bits each; of where a row starts."""


class UnsuitableValuesError(ValueError):
    """Values that the engine's numbers cannot hold."""


@dataclass(frozen=True)
class Report:
    """What a product took.

    Attributes:
        macs: products that were made. compulsory_bytes: of the entries of A, of those rows of B that A asks for, of C,
            and of the rows' starts in A and C, each once.
        matches_reference: C is SciPy's bit for bit, without the zeros that SciPy leaves out; None: not compared.
    """

    rows: int
    cols: int
    nnz_a: int
    nnz_b: int
    nnz_c: int
    macs: int
    compulsory_bytes: int
    matches_reference: bool | None


def spgemm(a: scipy.sparse.sparray, b: scipy.sparse.sparray, *, numbers: str = "fp32",
           check: bool = False) -> tuple[scipy.sparse.csr_array, Report]:
    """(A B with rows in ascending columns, what it took). An element in which products cancel stays, as 0.

    Args:
        numbers: "fp32" or "int32"; values are converted to them.
        check: compare with SciPy.

    Raises:
        UnsuitableValuesError: beyond the range of `numbers`, or not whole.
        ValueError: shapes that do not match, or what `canonical` refuses.
    """
    arithmetic = ARITHMETIC[numbers]
    left, right = (_stored(canonical(matrix), arithmetic.dtype, name) for matrix, name in ((a, "A"), (b, "B")))
    at_a, at_b = _csr(left), _csr(right)
    if at_a.columns_in_all != at_b.rows:
        sizes = f"A is {at_a.rows} x {at_a.columns_in_all}, B {at_b.rows} x {at_b.columns_in_all}"
        raise ValueError(f"{sizes}: they cannot be multiplied")
    c = multiply(at_a, at_b, arithmetic)
    shape = at_a.rows, at_b.columns_in_all
    result = scipy.sparse.csr_array((c.values, c.columns, c.starts.astype(np.int32)), shape=shape)
    entries = left.nnz + int(at_b.lengths[np.unique(at_a.columns)].sum()) + result.nnz
    report = Report(
        rows=shape[0], cols=shape[1], nnz_a=left.nnz, nnz_b=right.nnz, nnz_c=result.nnz,
        macs=int(multiplications(at_a, at_b).sum()),
        compulsory_bytes=ENTRY_BYTES * entries + 2 * START_BYTES * at_a.rows,
        matches_reference=_same(result, scipy.sparse.csr_array(left @ right)) if check else None,
    )
    return result, report


def _stored(matrix: scipy.sparse.csr_array, dtype: np.dtype, name: str) -> scipy.sparse.csr_array:
    """With values of the engine's kind."""
    values = matrix.data
    if dtype.kind == "i":
        limits = np.iinfo(dtype)
        if np.any((values != np.rint(values)) | (values < limits.min) | (values > limits.max)):
            raise UnsuitableValuesError(f"{name} has values that are not {dtype} numbers")
    result = matrix.copy()
    with np.errstate(over="ignore"):
        result.data = values.astype(dtype)
    if not np.isfinite(result.data).all():
        raise UnsuitableValuesError(f"{name} has values beyond the range of {dtype}")
    return result


def _csr(matrix: scipy.sparse.csr_array) -> Csr:
    return Csr(dimensions(matrix)[1], matrix.indptr.astype(np.int64), matrix.indices, matrix.data)


def _same(c: scipy.sparse.csr_array, reference: scipy.sparse.csr_array) -> bool:
    c = c.copy()
    c.eliminate_zeros()
    reference.sort_indices()
    return (
        np.array_equal(c.indptr, reference.indptr) and np.array_equal(c.indices, reference.indices)
        and c.data.tobytes() == reference.data.tobytes()
    )
