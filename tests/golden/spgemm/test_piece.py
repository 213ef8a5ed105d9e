"""Every piece that an entry can say, and back."""

import numpy as np
import pytest

from golden.isa.spgemm import COUNT_BITS, FIRST_BITS
from golden.spgemm.piece import decode_piece, encode_piece, longest_piece


@pytest.mark.parametrize("lanes", [2, 4, 8])
def test_every_code_is_a_piece_of_its_own(lanes):
    first, count = (part.ravel() for part in np.meshgrid(np.arange(40, 40 + lanes), np.arange(1, 1 << COUNT_BITS)))
    at, elements = decode_piece(first, count, lanes)
    assert len(set(zip(at.tolist(), elements.tolist(), strict=True))) == len(first)
    assert elements.max() == longest_piece(lanes)
    again = encode_piece(at, elements, lanes)
    np.testing.assert_array_equal(again, (first, count))


def test_lengths():
    assert [longest_piece(lanes) for lanes in (2, 4, 8)] == [125, 243, 455]
    highest = np.array([(1 << FIRST_BITS) - 8])
    assert [int(part[0]) for part in encode_piece(highest, np.array([455]), 8)] == [(1 << FIRST_BITS) - 1, 63]


@pytest.mark.parametrize(("first", "count"), [(1, 8), (4, 100), (0, 456)])
def test_what_cannot_be_said(first, count):
    with pytest.raises(ValueError, match="cannot say"):
        encode_piece(np.array([first]), np.array([count]), 8)
