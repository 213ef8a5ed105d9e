"""Places of rows and references to them, against their definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.spgemm.layout import place_rows, refer
from golden.spgemm.piece import encode_piece


@given(st.lists(st.integers(0, 100), max_size=60), st.sampled_from([2, 4, 8, 16]))
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
    ([3, 3, 5], [5, 8, 0], 16), ([9, 1], [0, 9], 16),
    ([12, 3, 1, 2, 5, 1], [0, 21, 14, 12, 16, 15], 24),
])
def test_places(lengths, first, total):
    at, elements = place_rows(np.array(lengths, np.int64), 8)
    assert elements == total
    assert [int(a) for a, length in zip(at, lengths, strict=True) if length] == [
        f for f, length in zip(first, lengths, strict=True) if length
    ]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2000), st.integers(0, 7)), max_size=30),
       st.sampled_from([2, 4, 8]))
def test_pieces_cover_every_stretch_in_order(stretches, line):
    row, length, lane = np.array(sorted(stretches), np.int64).reshape(-1, 3).T
    first = 4096 * np.arange(len(row)) + lane
    values = np.arange(len(row), dtype=np.float32)
    pieces = refer(np.searchsorted(row, np.arange(7)), values, first, length, values % 2 == 1, line)
    assert pieces.per_row.sum() == len(pieces.first)
    assert pieces.count.min(initial=1) >= 1
    encode_piece(pieces.first, pieces.count, line)
    for i in range(6):
        expected = [(values[e], first[e] + k) for e in np.flatnonzero(row == i) for k in range(length[e])]
        begin, end = pieces.starts[i : i + 2]
        found = [(pieces.values[e], pieces.first[e] + k) for e in range(begin, end) for k in range(pieces.count[e])]
        assert found == expected
    np.testing.assert_array_equal(pieces.hint, pieces.values % 2 == 1)
    touched = [len({at // line for at in range(f, f + c)}) for f, c in zip(pieces.first, pieces.count, strict=True)]
    np.testing.assert_array_equal(pieces.lines(line), touched)
