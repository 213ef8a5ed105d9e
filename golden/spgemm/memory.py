"""How entries of A and elements of B and C lie in memory: `element_bytes` each."""

import numpy as np

from .params import SpgemmParams
from .product import ARITHMETIC

__all__ = ["COLUMN_BYTES", "element_type", "entry_type"]

COLUMN_BYTES = 4


def element_type(p: SpgemmParams) -> np.dtype:
    """Structured type of an element of B or C: `column`, and behind it, or behind 4 bytes of zeros, `value`."""
    value = ARITHMETIC[p.numbers].dtype
    return np.dtype({"names": ["column", "value"], "formats": ["<u4", value.newbyteorder("<")],
                     "offsets": [0, p.element_bytes - value.itemsize], "itemsize": p.element_bytes})  # fmt: skip


def entry_type(p: SpgemmParams) -> np.dtype:
    """Structured type of an entry of A, `golden.isa.spgemm.ENTRY` in its first 8 bytes: `value`, which 64-bit numbers
    have behind these; `says`, which is ENTRY's `value`; `place`, which is what follows there.
    """
    value = ARITHMETIC[p.numbers].dtype
    return np.dtype({"names": ["says", "place", "value"], "formats": ["<u4", "<u4", value.newbyteorder("<")],
                     "offsets": [0, 4, p.element_bytes - 8], "itemsize": p.element_bytes})  # fmt: skip
