"""Which bank holds an element of C, and in which order the elements of a row leave the scratchpad."""

import numpy as np

from .product import Elements

__all__ = ["BANK_LOW", "MULTIPLIER", "bank_of", "depths", "hash_order", "hashed"]

MULTIPLIER = 2654435769
"""2**32 over the golden ratio (Knuth's multiplicative hash)."""
BANK_LOW = 12
"""Lowest bit of the hash that selects the bank: slots take the highest, and low ones overflow banks (decision 8)."""


def hashed(columns: np.ndarray) -> np.ndarray:
    """uint32 [...]: multiplicative hash of columns."""
    return (columns.astype(np.uint64) * np.uint64(MULTIPLIER)).astype(np.uint32)


def bank_of(columns: np.ndarray, banks: int) -> np.ndarray:
    """int64 [...]: bank of columns, `banks` a power of two."""
    return (hashed(columns) >> np.uint32(BANK_LOW)).astype(np.int64) % banks


def depths(elements: Elements, bank: np.ndarray, banks: int) -> np.ndarray:
    """int64 [elements]: how many elements of its row its bank (`bank` of each) had before it."""
    came = np.lexsort((elements.first, bank, elements.rows))
    of_bank = elements.rows[came] * banks + bank[came]
    opens = np.ones(len(came), bool)
    opens[1:] = of_bank[1:] != of_bank[:-1]
    number = np.arange(len(came))
    depth = np.empty_like(number)
    depth[came] = number - np.maximum.accumulate(np.where(opens, number, 0))
    return depth


def hash_order(elements: Elements, banks: int) -> np.ndarray:
    """int64 [elements]: the elements' numbers in the order in which they leave, row by row.

    A bank appends an element when its first product comes. A row leaves depth by depth: the first element of bank 0, of
    bank 1, .., then the second ones, without the banks that have no more.
    """
    bank = bank_of(elements.columns, banks)
    return np.lexsort((bank, depths(elements, bank, banks), elements.rows))
