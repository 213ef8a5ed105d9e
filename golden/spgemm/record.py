"""What a row engine leaves at the end of a run: its counters."""

from .params import SpgemmParams

__all__ = ["COUNTERS", "RECORD_BYTES", "record_words"]

COUNTERS = (
    "numbers", "elements", "products", "lines", "probing", "hits", "misses", "no_request", "memory_wait", "bank_wait",
    "same_element", "yielding", "starved", "idle",
)
"""32-bit numbers in the order in which they lie in memory, then zeros.

numbers: 32-bit numbers behind the record: for each chunk its id and its rows' lengths. elements: of C. products: made.
lines: taken by the multipliers, one a cycle, an empty one for a row without products. The other cycles of a run:
no_request (rows at work, none has a line), memory_wait (for a line that is on its way), bank_wait (a bank's FIFO is
full), idle (no row at work). probing, same_element, yielding: cycles in which a bank looks at a further slot, waits for
an element's last sum, or for the write-back's read; of all banks (golden, which has no cycles: the further slots).
hits, misses: of the cache of B. starved: cycles in which the write-back waits.
"""
RECORD_BYTES = 64


def record_words(p: SpgemmParams) -> int:
    """Memory words of a record."""
    return RECORD_BYTES // p.beat_bytes
