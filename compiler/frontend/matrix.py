"""Sparse matrices from files and to files: Matrix Market (also gzip) and SciPy's `.npz`."""

import gzip
import os
import zipfile
from pathlib import Path

import numpy as np
import scipy.io
import scipy.sparse

__all__ = ["BadMatrixFileError", "canonical", "dimensions", "read_matrix", "write_matrix"]

TEXT, ARCHIVE = (".mtx", ".mtx.gz"), ".npz"
LARGEST_INDEX = np.iinfo(np.int32).max


class BadMatrixFileError(ValueError):
    """A file that holds no matrix we can take; the message names the file and what is wrong with it."""


def read_matrix(path: str | Path) -> scipy.sparse.csr_array:
    """The matrix of a `.mtx`, `.mtx.gz` or `.npz` file: see `canonical`.

    A symmetric or skew-symmetric matrix is written out whole; entries of a pattern are 1. An entry that is 0 stays one.

    Raises:
        BadMatrixFileError: another kind of file, truncated, indices outside the shape, complex or not finite values.
        OSError: it cannot be read.
    """
    path = Path(path)
    _kind(path)
    with open(path, "rb"):
        pass  # what the readers below make of a file that is not there differs
    try:
        matrix = scipy.sparse.load_npz(path) if path.suffix == ARCHIVE else scipy.io.mmread(path, spmatrix=False)
        return canonical(scipy.sparse.coo_array(matrix) if isinstance(matrix, np.ndarray) else matrix)
    except (ValueError, TypeError, KeyError, EOFError, OverflowError, OSError, zipfile.BadZipFile) as error:
        raise BadMatrixFileError(f"{path}: {error}") from error


def canonical(matrix: scipy.sparse.sparray | scipy.sparse.spmatrix) -> scipy.sparse.csr_array:
    """CSR with rows in ascending columns and each column once (duplicates are summed), int32 indices, float64 or int64.

    Raises:
        ValueError: indices outside the shape, a shape beyond 2**31 - 1, complex or not finite values.
    """
    rows, columns = dimensions(matrix)
    if max(rows, columns, matrix.nnz) > LARGEST_INDEX:
        raise ValueError(f"{rows} x {columns} with {matrix.nnz} entries: more than 2**31 - 1")
    if matrix.dtype.kind not in "biuf":
        raise ValueError(f"values of type {matrix.dtype}; real or integer ones are supported")
    result = scipy.sparse.csr_array(matrix, copy=True)
    result.check_format(full_check=True)
    result.data = result.data.astype(np.float64 if matrix.dtype.kind == "f" else np.int64)
    if not np.isfinite(result.data).all():
        raise ValueError("there are values that are not finite")
    result.sum_duplicates()
    result.indices, result.indptr = result.indices.astype(np.int32), result.indptr.astype(np.int32)
    return result


def dimensions(matrix: scipy.sparse.sparray | scipy.sparse.spmatrix) -> tuple[int, int]:
    """Rows and columns; SciPy's arrays may have other shapes.

    Raises:
        ValueError: it is no matrix.
    """
    shape = matrix.shape
    if shape is None or len(shape) != 2:
        raise ValueError(f"shape {shape}: not a matrix")
    return int(shape[0]), int(shape[1])


def write_matrix(path: str | Path, matrix: scipy.sparse.sparray) -> None:
    """To a file of a kind that `read_matrix` takes, by its name; whole or not at all.

    Raises:
        BadMatrixFileError: another kind of file.
        OSError: it cannot be written.
    """
    path = Path(path)
    kind = _kind(path)
    part = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        with gzip.GzipFile(part, "wb", mtime=0) if kind.endswith(".gz") else open(part, "wb") as file:
            if kind == ARCHIVE:
                scipy.sparse.save_npz(file, matrix)
            else:
                scipy.io.mmwrite(file, matrix, symmetry="general")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _kind(path: Path) -> str:
    for kind in (*TEXT, ARCHIVE):
        if path.name.endswith(kind):
            return kind
    raise BadMatrixFileError(f"{path}: the name of a matrix ends with {', '.join((*TEXT, ARCHIVE))}")
