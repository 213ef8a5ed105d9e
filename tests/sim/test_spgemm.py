"""Products of SciPy's matrices on the engine, golden, against SciPy."""

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st

from compiler.spgemm import is_scipys, stored
from golden.spgemm.csr import Csr
from golden.spgemm.order import bank_of
from golden.spgemm.params import SpgemmParams
from golden.spgemm.product import merge
from sim.spgemm import spgemm

PARAMS = [
    SpgemmParams(), SpgemmParams(number_format=2),
    SpgemmParams(axi_bits=256, number_format=3, engines=3, banks=4, slots=16, contexts=4, probe_limit=16, ring=16),
    SpgemmParams(axi_bits=128, engines=2, banks=2, slots=8, contexts=2, probe_limit=8, number_format=2),
]
INT32 = PARAMS[1]


def random_matrix(rng, rows, columns, density):
    """With whole values, some stored zeros, and entries that come twice."""
    count = int(rows * columns * density)
    at = (rng.integers(0, rows, count), rng.integers(0, columns, count)) if count else ([], [])
    return scipy.sparse.coo_array((rng.integers(-3, 4, count).astype(float), at), shape=(rows, columns))


@given(st.integers(0, 2**32 - 1), st.integers(1, 20), st.integers(1, 20), st.integers(1, 20), st.floats(0, 1),
       st.sampled_from(PARAMS))
def test_as_scipy(seed, rows, inner, columns, density, params):
    rng = np.random.default_rng(seed)
    a, b = random_matrix(rng, rows, inner, density), random_matrix(rng, inner, columns, density)
    c, report = spgemm(a, b, params, check=True)
    assert report.matches_reference
    np.testing.assert_array_equal(c.toarray(), a.toarray() @ b.toarray())
    assert (report.rows, report.cols, report.nnz_c) == (rows, columns, c.nnz)
    assert report.nnz_a == len(set(zip(*a.coords, strict=True)))


@pytest.mark.parametrize(("a", "b"), [
    (np.zeros((3, 4)), np.ones((4, 2))), (np.ones((1, 5)), np.ones((5, 1))), (np.zeros((0, 3)), np.zeros((3, 0))),
    (np.ones((4, 0)), np.ones((0, 4))), (np.ones((6, 1)), np.ones((1, 6))),
])
def test_shapes_at_the_edge(a, b):
    c, report = spgemm(scipy.sparse.csr_array(a), scipy.sparse.csr_array(b), check=True)
    assert report.matches_reference
    np.testing.assert_array_equal(c.toarray(), a @ b)


def test_chain():
    a = random_matrix(np.random.default_rng(4), 30, 30, 0.2)
    squared, _ = spgemm(a, a)
    cubed, report = spgemm(squared, a, check=True)
    assert report.matches_reference
    np.testing.assert_array_equal(cubed.toarray(), np.linalg.matrix_power(a.toarray(), 3))


def test_what_memory_must_carry():
    a = scipy.sparse.csr_array(np.array([[0, 2, 0], [0, 3, 0]]))
    b = scipy.sparse.csr_array(np.array([[1, 1, 1], [0, 5, 6], [7, 7, 7]]))
    _, report = spgemm(a, b)
    assert report.macs == 4
    assert report.compulsory_bytes == 8 * (2 + 2 + 4) + 2 * 4 * 2
    assert report.matches_reference is None


def test_a_dense_row_and_a_dense_column():
    dense = np.zeros((40, 40))
    dense[3], dense[:, 7] = 2, 3
    for params in PARAMS:
        c, report = spgemm(scipy.sparse.csr_array(dense), scipy.sparse.csr_array(dense), params, check=True)
        assert report.matches_reference
        np.testing.assert_array_equal(c.toarray(), dense @ dense)


def test_the_order_of_leaving():
    a = random_matrix(np.random.default_rng(5), 30, 30, 0.3)
    c, _ = spgemm(a, a, ordered=False)
    assert not c.has_sorted_indices
    c.sort_indices()
    np.testing.assert_array_equal(c.toarray(), (a @ a).toarray())


def test_banks_that_overflow_are_planned_for_again():
    """Columns that all belong to one bank and one row: more than half of them would not find a slot."""
    params, count = PARAMS[0], 600
    columns = np.arange(100_000)
    columns = columns[bank_of(columns, params.banks) == 0][:count]
    b = scipy.sparse.csr_array((np.ones(count), (np.zeros(count, int), columns)), shape=(1, 100_000))
    c, report = spgemm(scipy.sparse.csr_array([[3.0]]), b, params, check=True)
    assert report.matches_reference
    assert c.nnz == count
    assert report.plans > 1
    assert report.parted_rows == 1


def test_a_mismatch_is_seen(monkeypatch):
    monkeypatch.setattr("golden.spgemm.executor.merge", lambda rows, columns, made, arithmetic: merge(
        rows, columns, made * made, arithmetic))
    a = scipy.sparse.csr_array(2 * np.eye(3))
    assert spgemm(a, a, check=True)[1].matches_reference is False


@pytest.mark.parametrize(("values", "params", "reason"), [
    ([[0.5]], INT32, "A has values that are not int32 numbers"),
    ([[2.0**31]], INT32, "A has values that are not int32 numbers"),
    ([[1e39]], PARAMS[0], "A has values beyond the range of float32"),
    ([[np.inf]], PARAMS[0], "values that are not finite"),
])
def test_values_that_the_engine_cannot_hold(values, params, reason):
    a = scipy.sparse.csr_array(np.array(values))
    with pytest.raises(ValueError, match=reason):
        spgemm(a, a, params)


def test_shapes_that_do_not_match():
    with pytest.raises(ValueError, match="A is 2 x 3, B 2 x 3: they cannot be multiplied"):
        spgemm(scipy.sparse.csr_array(np.ones((2, 3))), scipy.sparse.csr_array(np.ones((2, 3))))


def test_subnormal_numbers_are_zero():
    a = scipy.sparse.csr_array(np.array([[2.0**-70, 2.0**-60], [1.0, 0.0]]))
    b = scipy.sparse.csr_array(np.array([[2.0**-60, 1.0], [2.0**-60, 2.0**-30]]))
    c, report = spgemm(a, b, check=True)
    assert report.matches_reference
    assert c.toarray()[0, 0] == 2.0**-120
    wrong = Csr(2, np.array([0, 2, 4]), np.array([0, 1, 0, 1], np.int32), np.array([2.0**-101, 1, 1, 1], np.float32))
    assert not is_scipys(wrong, *(stored(matrix, "fp32", "A") for matrix in (a, b)))
