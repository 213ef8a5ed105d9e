"""Where elements of C lie in a bank's tag table, and how many slots a product looks at until it finds its element."""

import numpy as np

from golden.isa.spgemm import Hash

from .order import hashed

__all__ = ["displacements", "home_slots"]


def home_slots(columns: np.ndarray, sizes: np.ndarray, hash_by: Hash, shift: int) -> np.ndarray:
    """int64 [columns]: where probing begins in a row's region of `sizes` slots (powers of two).

    Args:
        shift: for HIGH: by how many bits a column is shifted up, so that the highest bit of any is bit 31.
    """
    if hash_by == Hash.LOW:
        return columns & (sizes - 1)
    top = hashed(columns).astype(np.int64) if hash_by == Hash.MULTIPLICATIVE else columns << shift & 0xFFFFFFFF
    return top * sizes >> 32


def displacements(groups: np.ndarray, depths: np.ndarray, homes: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """int64 [elements]: slots behind its home at which each element lies; as many as its region has: it found none.

    Elements of a group share a region; they claim their slots in the order of their depths, 0, 1, ..
    """
    _, group = np.unique(groups, return_inverse=True)
    size_of = np.zeros(int(group.max()) + 1 if len(group) else 0, np.int64)
    size_of[group] = sizes
    begins = np.cumsum(size_of) - size_of
    taken = np.zeros(int(size_of.sum()), bool)
    away = np.zeros(len(groups), np.int64)
    by_depth = np.argsort(depths, kind="stable")
    for of_depth in np.split(by_depth, np.cumsum(np.bincount(depths))[:-1]) if len(depths) else ():
        looking = of_depth
        while len(looking):
            at = begins[group[looking]] + (homes[looking] + away[looking]) % sizes[looking]
            free = ~taken[at]
            taken[at[free]] = True
            behind = looking[~free]
            away[behind] += 1
            looking = behind[away[behind] < sizes[behind]]
    return away
