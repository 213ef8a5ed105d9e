"""SciPy's matrices with the engine's numbers, and back."""

import numpy as np
import scipy.sparse

from compiler.frontend.matrix import canonical, dimensions
from golden.spgemm.csr import Csr
from golden.spgemm.memory import COLUMN_BYTES
from golden.spgemm.product import ARITHMETIC

__all__ = ["NUMBERS", "UnsuitableValuesError", "compulsory_bytes", "is_scipys", "stored", "to_scipy"]

NUMBERS = tuple(ARITHMETIC)
START_BYTES = 4
"""Of where a row starts."""


class UnsuitableValuesError(ValueError):
    """Values that the engine's numbers cannot hold."""


def stored(matrix: scipy.sparse.sparray, numbers: str, name: str) -> Csr:
    """The matrix with values of the engine's kind, columns of a row ascending, each once.

    Raises:
        UnsuitableValuesError: beyond the range of `numbers`, or not whole.
        ValueError: what `canonical` refuses.
    """
    csr, dtype = canonical(matrix), ARITHMETIC[numbers].dtype
    values = csr.data
    if dtype.kind == "i":
        limits = np.iinfo(dtype)
        if np.any((values != np.rint(values)) | (values < limits.min) | (values > limits.max)):
            raise UnsuitableValuesError(f"{name} has values that are not {dtype} numbers")
    with np.errstate(over="ignore"):
        values = values.astype(dtype)
    if not np.isfinite(values).all():
        raise UnsuitableValuesError(f"{name} has values beyond the range of {dtype}")
    return Csr(dimensions(csr)[1], csr.indptr.astype(np.int64), csr.indices, values)


def to_scipy(c: Csr) -> scipy.sparse.csr_array:
    """As a SciPy matrix of the same arrays; the columns of a row stay in their order."""
    return scipy.sparse.csr_array((c.values, c.columns, c.starts.astype(np.int32)), shape=(c.rows, c.columns_in_all))


def compulsory_bytes(a: Csr, b: Csr, nnz_c: int) -> int:
    """Of the entries of A, of those rows of B that A asks for, of C, and of the rows' starts in A and C, each once."""
    entries = len(a.columns) + int(b.lengths[np.unique(a.columns)].sum()) + nnz_c
    return (COLUMN_BYTES + a.values.itemsize) * entries + 2 * START_BYTES * a.rows


def is_scipys(c: Csr, a: Csr, b: Csr) -> bool:
    """Whether C is SciPy's A B bit for bit, without the zeros that SciPy leaves out.

    The engine has no subnormal numbers (golden/floats.py). What SciPy's sums have of them shows only in those whose
    last bit may be a subnormal number, below 2**-102 in binary32: there both must be small.
    """
    found, expected = to_scipy(c).copy(), scipy.sparse.csr_array(to_scipy(a) @ to_scipy(b))
    found.eliminate_zeros()
    found.sort_indices()
    expected.sort_indices()
    if (
        np.array_equal(found.indptr, expected.indptr) and np.array_equal(found.indices, expected.indices)
        and found.data.tobytes() == expected.data.tobytes()
    ):
        return True
    if found.dtype.kind != "f":
        return False
    limits = np.finfo(found.dtype)
    subnormals_show = float(limits.tiny) * 2.0 ** (limits.nmant + 1)
    differ = scipy.sparse.coo_array(found != expected)
    return all((np.abs(matrix[differ.coords]) < subnormals_show).all() for matrix in (found, expected))
