"""Places of rows and references to them, against their definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.spgemm.layout import PIECE_LINES, lines_of_rows, place_rows, refer
from golden.spgemm.csr import Csr


def random_csr(rng, rows, columns, longest):
    lengths = rng.integers(0, min(longest, columns) + 1, rows)
    starts = np.concatenate(([0], np.cumsum(lengths)))
    parts = [np.sort(rng.choice(columns, length, replace=False)) for length in lengths]
    chosen = np.concatenate(parts).astype(np.int32) if rows else np.zeros(0, np.int32)
    return Csr(columns, starts, chosen, rng.standard_normal(len(chosen)).astype(np.float32))


@given(st.lists(st.integers(0, 100), max_size=60), st.sampled_from([4, 8, 16]))
def test_no_row_touches_more_lines_than_it_must(lengths, line):
    lengths = np.array(lengths, np.int64)
    first, total = place_rows(lengths, line)
    taken = np.zeros(total, int)
    for at, length in zip(first, lengths, strict=True):
        taken[at : at + length] += 1
        assert at + length <= total
        if length:
            assert (at + length - 1) // line - at // line + 1 == -(-length // line)
    assert taken.max(initial=0) <= 1
    assert total % line == 0
    assert total < 2 * lengths.sum() + line


@pytest.mark.parametrize(("lengths", "first", "total"), [
    ([], [], 0), ([0, 0], [0, 0], 0), ([1, 2, 4, 8], [14, 12, 8, 0], 16), ([1] * 9, list(range(9)), 16),
    ([3, 3, 5], [8, 12, 0], 16), ([9, 1], [0, 16], 24),
])
def test_places(lengths, first, total):
    at, elements = place_rows(np.array(lengths, np.int64), 8)
    assert elements == total
    assert [int(a) for a, length in zip(at, lengths, strict=True) if length] == [
        f for f, length in zip(first, lengths, strict=True) if length
    ]


@given(st.integers(0, 2**32 - 1), st.integers(0, 20), st.integers(1, 20), st.sampled_from([3, 130, 400]))
def test_references_name_every_product_in_order(seed, rows, inner, columns):
    rng, line = np.random.default_rng(seed), 8
    a, b = random_csr(rng, rows, inner, inner), random_csr(rng, inner, columns, columns)
    first, total = place_rows(b.lengths, line)
    image = np.full(total, -1)
    for k in range(b.rows):
        image[first[k] : first[k] + b.lengths[k]] = np.arange(b.starts[k], b.starts[k + 1])
    refs = refer(a, b, first, line)
    assert refs.per_row.sum() == len(refs.first)
    assert refs.count.min(initial=1) >= 1
    assert refs.count.max(initial=1) <= PIECE_LINES * line
    at = np.concatenate(([0], np.cumsum(refs.per_row)))
    for i in range(a.rows):
        expected = [(a.values[e], p) for e in range(a.starts[i], a.starts[i + 1])
                    for p in range(b.starts[a.columns[e]], b.starts[a.columns[e] + 1])]
        found = [(refs.values[r], p) for r in range(at[i], at[i + 1])
                 for p in image[refs.first[r] : refs.first[r] + refs.count[r]]]
        assert found == expected
    touched = (refs.first + refs.count - 1) // line - refs.first // line + 1
    of_row = np.repeat(np.arange(a.rows), refs.per_row)
    np.testing.assert_array_equal(lines_of_rows(a, b, line), np.bincount(of_row, touched, a.rows))
