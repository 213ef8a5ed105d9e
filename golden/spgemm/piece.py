"""How an entry of A says which elements of B it is for."""

import numpy as np

from golden.isa.spgemm import COUNT_BITS

__all__ = ["decode_piece", "encode_piece", "longest_piece"]


def longest_piece(lanes: int) -> int:
    """Elements of the longest piece that an entry can say, in lines of `lanes` elements."""
    return ((1 << COUNT_BITS) - lanes) * lanes + lanes - 1


def encode_piece(first: np.ndarray, count: np.ndarray, lanes: int) -> tuple[np.ndarray, np.ndarray]:
    """(`first`, `count` of the entries) of pieces of `count` elements from `first` on; `lanes` is a power of two.

    A piece shorter than a line begins anywhere. Others begin with a line, so that the lowest bits of `first` are free
    to count too.

    Raises:
        ValueError: a piece of a line or more that does not begin with a line, or a longer one than there can be.
    """
    is_long, low = count >= lanes, lanes - 1
    if np.any(is_long & (first & low != 0)) or np.any(count > longest_piece(lanes)):
        raise ValueError(f"pieces that entries of {lanes} lanes cannot say")
    return first + np.where(is_long, count & low, 0), np.where(is_long, count // lanes + low, count)


def decode_piece(first: np.ndarray, count: np.ndarray, lanes: int) -> tuple[np.ndarray, np.ndarray]:
    """(first element, elements) of what entries' `first` and `count` say; the reverse of `encode_piece`."""
    is_long, low = count >= lanes, first % lanes
    return np.where(is_long, first - low, first), np.where(is_long, (count - lanes + 1) * lanes + low, count)
