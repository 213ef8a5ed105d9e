"""Matrix files: what they say, and what is said about bad ones."""

import gzip

import numpy as np
import pytest
import scipy.sparse

from compiler.frontend.matrix import BadMatrixFileError, canonical, read_matrix, write_matrix

HEAD = "%%MatrixMarket matrix"


def written(folder, text, name="m.mtx"):
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


@pytest.mark.parametrize(("text", "expected"), [
    ("coordinate real general\n2 3 2\n1 3 1.5\n2 1 -2\n", [[0, 0, 1.5], [-2, 0, 0]]),
    ("coordinate integer general\n2 2 2\n1 1 3\n1 1 4\n", [[7, 0], [0, 0]]),
    ("coordinate pattern general\n1 4 2\n1 4\n1 1\n", [[1, 0, 0, 1]]),
    ("coordinate pattern symmetric\n2 2 2\n2 1\n2 2\n", [[0, 1], [1, 1]]),
    ("coordinate real skew-symmetric\n2 2 1\n2 1 5\n", [[0, -5], [5, 0]]),
    ("array real general\n2 2\n1\n0\n0\n4\n", [[1, 0], [0, 4]]),
    ("coordinate real general\n3 0 0\n", np.zeros((3, 0))),
    ("coordinate real general\n0 0 0\n", np.zeros((0, 0))),
])
@pytest.mark.parametrize("name", ["m.mtx", "m.mtx.gz"])
def test_what_a_file_says(tmp_path, text, expected, name):
    matrix = read_matrix(written(tmp_path, f"{HEAD} {text}", name))
    assert matrix.has_canonical_format
    np.testing.assert_array_equal(matrix.toarray(), expected)
    assert matrix.dtype == (np.int64 if "integer" in text else np.float64)


def test_a_stored_zero_stays():
    matrix = scipy.sparse.coo_array(([0.0, 1.0], ([0, 1], [1, 0])), shape=(2, 2))
    assert canonical(matrix).nnz == 2


@pytest.mark.parametrize(("text", "reason"), [
    ("coordinate real general\n2 2 2\n1 1 1.0\n", "Truncated file"),
    ("coordinate real general\n2 2 1\n3 1 1.0\n", "Row index out of bounds"),
    ("coordinate real general\n2 2 1\n1 0 1.0\n", "Column index out of bounds"),
    ("coordinate real general\n-2 2 1\n1 1 1.0\n", "can't be negative"),
    ("coordinate real general\n2 2 1\n1 1 nan\n", "values that are not finite"),
    ("coordinate real general\n2 2 1\n1 1 x\n", "."),
    ("coordinate complex general\n2 2 1\n1 1 1 2\n", "values of type complex128"),
    ("coordinate pattern general\n4000000000 2 1\n1 1\n", r"more than 2\*\*31 - 1"),
])
def test_a_bad_file_is_named(tmp_path, text, reason):
    path = written(tmp_path, f"{HEAD} {text}")
    with pytest.raises(BadMatrixFileError, match=rf"m\.mtx: .*{reason}"):
        read_matrix(path)


@pytest.mark.parametrize("content", [b"", b"hello\n"])
def test_no_matrix_market_file(tmp_path, content):
    path = tmp_path / "m.mtx"
    path.write_bytes(content)
    with pytest.raises(BadMatrixFileError, match="Missing banner"):
        read_matrix(path)


def test_a_torn_archive(tmp_path):
    whole = gzip.compress(f"{HEAD} coordinate real general\n2 2 1\n1 1 1.0\n".encode())
    (tmp_path / "m.mtx.gz").write_bytes(whole[:-9])
    (tmp_path / "m.npz").write_bytes(b"PK\x03\x04")
    for name in ("m.mtx.gz", "m.npz"):
        with pytest.raises(BadMatrixFileError, match=name):
            read_matrix(tmp_path / name)


def test_indices_of_an_archive_are_checked(tmp_path):
    matrix = scipy.sparse.csr_array(np.eye(3))
    matrix.indices[1] = 7
    scipy.sparse.save_npz(tmp_path / "m.npz", matrix)
    with pytest.raises(BadMatrixFileError, match="indices must be < 3"):
        read_matrix(tmp_path / "m.npz")


def test_another_kind_of_file(tmp_path):
    with pytest.raises(BadMatrixFileError, match=r"the name of a matrix ends with \.mtx, \.mtx\.gz, \.npz"):
        read_matrix(tmp_path / "m.csv")
    with pytest.raises(FileNotFoundError):
        read_matrix(tmp_path / "m.mtx")


@pytest.mark.parametrize("name", ["m.mtx", "m.mtx.gz", "m.npz"])
@pytest.mark.parametrize("dtype", [np.float64, np.int64])
def test_there_and_back(tmp_path, name, dtype):
    rng = np.random.default_rng(1)
    matrix = canonical(scipy.sparse.random_array((9, 7), density=0.3, rng=rng))
    matrix.data = (matrix.data * 1000).astype(dtype)
    write_matrix(tmp_path / name, matrix)
    again = read_matrix(tmp_path / name)
    assert again.dtype == dtype
    np.testing.assert_array_equal(again.toarray(), matrix.toarray())
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_nothing_is_left_half_written(tmp_path, monkeypatch):
    def torn(file, *_, **__):
        file.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(scipy.io, "mmwrite", torn)
    with pytest.raises(OSError, match="disk full"):
        write_matrix(tmp_path / "m.mtx", scipy.sparse.csr_array(np.eye(2)))
    assert not list(tmp_path.iterdir())
