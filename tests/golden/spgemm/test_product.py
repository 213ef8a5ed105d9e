"""Products of sparse matrices against a loop over the definition, and against SciPy, bit for bit."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st

from compiler.frontend.matrix import canonical, read_matrix
from golden import float32 as f32
from golden.spgemm import product
from golden.spgemm.csr import Csr
from golden.spgemm.order import bank_of, hash_order
from golden.spgemm.product import ARITHMETIC, multiplications, multiply, products

DATA = Path(os.environ.get("LACUNA_DATA", Path(__file__).resolve().parents[4] / "shared" / "data")) / "matrices"
INDEX = json.loads((DATA / "index.json").read_text()) if (DATA / "index.json").exists() else []
SMALL = [entry for entry in INDEX if entry["mults"] < 2_000_000]


def csr(matrix, dtype):
    return Csr(matrix.shape[1], matrix.indptr.astype(np.int64), matrix.indices, matrix.data.astype(dtype))


def random_values(rng, count, dtype):
    return (rng.integers(-9, 10, count) if dtype == np.int32 else rng.standard_normal(count)).astype(dtype)


def random_matrix(rng, rows, columns, density, dtype):
    matrix = canonical(scipy.sparse.random_array((rows, columns), density=density, rng=rng))
    matrix.data = random_values(rng, matrix.nnz, dtype)
    return matrix


def by_definition(a, b, arithmetic):
    """{(row, column): value}, and for each row its columns in the order of their first products."""
    values, order = {}, {}
    for i in range(a.rows):
        for entry in range(a.starts[i], a.starts[i + 1]):
            k = a.columns[entry]
            for at in range(b.starts[k], b.starts[k + 1]):
                j = int(b.columns[at])
                made = arithmetic.mul(a.values[entry], b.values[at])
                values[i, j] = arithmetic.add(values.get((i, j), arithmetic.dtype.type(0)), made)
                columns = order.setdefault(i, [])
                if j not in columns:
                    columns.append(j)
    return values, order


@given(st.integers(0, 2**32 - 1), st.integers(0, 12), st.integers(0, 12), st.integers(0, 12), st.floats(0, 1),
       st.sampled_from(["fp32", "int32", "fp64"]))
def test_what_the_definition_says(seed, rows, inner, columns, density, kind):
    arithmetic, rng = ARITHMETIC[kind], np.random.default_rng(seed)
    a = csr(random_matrix(rng, rows, inner, density, arithmetic.dtype), arithmetic.dtype)
    b = csr(random_matrix(rng, inner, columns, density, arithmetic.dtype), arithmetic.dtype)
    values, order = by_definition(a, b, arithmetic)
    c = multiply(a, b, arithmetic)
    found = {(int(i), int(j)): v for i, j, v in zip(c.entry_rows, c.columns, c.values, strict=True)}
    assert found.keys() == values.keys()
    assert all(found[place].tobytes() == np.asarray(values[place]).tobytes() for place in found)
    assert list(found) == sorted(found)
    assert int(multiplications(a, b).sum()) == sum(part.products for part in products(a, b, arithmetic))
    for banks in (1, 4):
        expected = []
        for i, came in sorted(order.items()):
            queues = [[j for j in came if bank_of(np.array(j), banks) == bank] for bank in range(banks)]
            expected += [(i, q[depth]) for depth in range(len(came)) for q in queues if depth < len(q)]
        left = [(int(part.rows[n]), int(part.columns[n])) for part in products(a, b, arithmetic)
                for n in hash_order(part, banks)]
        assert left == expected


def test_some_rows_at_a_time(monkeypatch):
    rng = np.random.default_rng(3)
    a = csr(random_matrix(rng, 40, 30, 0.3, np.float32), np.float32)
    b = csr(random_matrix(rng, 30, 50, 0.3, np.float32), np.float32)
    whole = multiply(a, b, ARITHMETIC["fp32"])
    monkeypatch.setattr(product, "AT_ONCE", 100)
    assert len(list(products(a, b, ARITHMETIC["fp32"]))) > 10
    parts = multiply(a, b, ARITHMETIC["fp32"])
    np.testing.assert_array_equal(whole.columns, parts.columns)
    np.testing.assert_array_equal(f32.to_bits(whole.values), f32.to_bits(parts.values))


def test_an_element_starts_as_plus_zero():
    one = csr(canonical(scipy.sparse.coo_array(([-1.0], ([0], [0])), shape=(1, 1))), np.float32)
    zero = csr(canonical(scipy.sparse.coo_array(([0.0], ([0], [0])), shape=(1, 1))), np.float32)
    (value,) = multiply(one, zero, ARITHMETIC["fp32"]).values
    assert f32.to_bits(value) == 0


def test_shapes_that_do_not_match():
    a = csr(scipy.sparse.csr_array(np.eye(3)), np.float32)
    b = csr(scipy.sparse.csr_array(np.eye(4)), np.float32)
    with pytest.raises(ValueError, match="A has 3 columns, B 4 rows"):
        multiply(a, b, ARITHMETIC["fp32"])


@pytest.mark.parametrize(("starts", "columns", "reason"), [
    ([0, 2], [0], "starts must rise from 0 to 1"), ([1, 1], [0], "starts must rise"),
    ([0, 2, 1], [0], "starts must rise"),
    ([0, 1], [3], "columns must be 0 to 2"), ([0, 1], [-1], "columns must be 0 to 2"),
    ([], [], "starts must rise"),
])
def test_no_compressed_rows(starts, columns, reason):
    with pytest.raises(ValueError, match=reason):
        Csr(3, np.array(starts), np.array(columns, np.int32), np.zeros(len(columns)))


@pytest.mark.skipif(not INDEX, reason=f"no matrices in {DATA}: set LACUNA_DATA")
@pytest.mark.parametrize("kind", ["fp32", "int32", "fp64"])
@pytest.mark.parametrize("entry", SMALL, ids=[entry["name"] for entry in SMALL])
def test_real_matrices_as_scipy(entry, kind):
    """The published counts too; values are random. SciPy leaves out elements that have become 0."""
    arithmetic, rng = ARITHMETIC[kind], np.random.default_rng(7)
    a = read_matrix(DATA / f"{entry['name']}.mtx.gz")
    a.data = random_values(rng, a.nnz, arithmetic.dtype)
    b = a if entry["op"] == "A*A" else canonical(a.T)
    b.data = b.data.astype(arithmetic.dtype)
    left, right = csr(a, arithmetic.dtype), csr(b, arithmetic.dtype)
    assert multiplications(left, right).sum() == entry["mults"]
    c, reference = multiply(left, right, arithmetic), a @ b
    reference.sort_indices()
    assert len(c.columns) == entry["nnzC"]
    kept = c.values != 0
    np.testing.assert_array_equal(np.bincount(c.entry_rows[kept], minlength=c.rows), np.diff(reference.indptr))
    np.testing.assert_array_equal(c.columns[kept], reference.indices)
    np.testing.assert_array_equal(c.values[kept].view(np.int32), reference.data.view(np.int32))
