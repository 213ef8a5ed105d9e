"""Entries of A as the engine reads them, chunk by chunk."""

from dataclasses import dataclass

import numpy as np

from golden.isa.spgemm import COUNT_BITS, FIRST_BITS
from golden.spgemm.memory import entry_type
from golden.spgemm.params import SpgemmParams
from golden.spgemm.piece import encode_piece

from .layout import Pieces

__all__ = ["HELD", "HELD_IF_SHORT", "Chunks", "cut_chunks", "encode_entries"]

LAST = np.uint32(1 << 31)
"""Of an entry's `place`."""
HELD = 3
"""Chunks that a row engine may have at once: one that it works on, one whose entries it reads, one that waits."""
HELD_IF_SHORT = 2
"""In runs in which the entries of a chunk are read at once: then two make nearly a share, which all take first."""
PARTS = 64
"""The shortest chunk is that part of a row engine's share, but not below SHORTEST."""
SHORTEST = 64
"""Lines that take longer than the beginning of a chunk."""


@dataclass(frozen=True)
class Chunks:
    """Windows of a row engine's turn.

    Attributes:
        begins: int64 [chunks + 1], the first window of each. at: int64, the first entry of each, at a memory word.
        entries: int64, of each.
    """

    begins: np.ndarray
    at: np.ndarray
    entries: np.ndarray


def cut_chunks(work: np.ndarray, engines: int, held: int = HELD) -> np.ndarray:
    """int64 [chunks + 1]: windows where chunks begin.

    Each takes a part of what would be an engine's share of the rest (guided self-scheduling), so that an engine works
    on few stretches of rows, and all end together. `held` chunks together stay below the share: who takes them ahead
    does not end last. A window without work counts as 1.
    """
    done = np.maximum(work, 1)
    total = left = int(done.sum())
    done = np.cumsum(done, out=done if total < 1 << 31 else None)
    shortest, ends = max(SHORTEST, total // (PARTS * engines)), []
    if engines > 1:
        while left // (held * engines) > shortest:
            left -= left // (held * engines)
            ends.append(total - left)
        ends += range(total - left + shortest, total, shortest)
    ends += [total] if total else []
    begins = np.concatenate(([0], np.searchsorted(done, np.array(ends, done.dtype)) + 1))
    return begins[np.append(True, begins[1:] != begins[:-1])]


def encode_entries(pieces: Pieces, regions: np.ndarray, begins: np.ndarray,
                   p: SpgemmParams) -> tuple[np.ndarray, Chunks]:
    """(entries of all chunks as in `entry_type`, each chunk beginning with a memory word; where they are).

    Args:
        pieces, regions: of the windows. begins: the chunks' first windows, see `cut_chunks`.
    """
    says = np.empty(len(regions), bool)
    says[1:] = regions[1:] != regions[:-1]
    says[begins[:-1]] = regions[begins[:-1]] != 0
    words = np.maximum(pieces.per_row, 1) + says
    before = np.concatenate(([0], np.cumsum(words)))
    entries = np.diff(before[begins])
    room = -(-entries // p.lanes) * p.lanes
    at = np.cumsum(room) - room
    start = before[:-1] + np.repeat(at - before[begins[:-1]], np.diff(begins))

    result = np.zeros(int(room.sum()), entry_type(p))
    result["says"][start[says]] = regions[says]
    first, count = encode_piece(pieces.first, pieces.count, p.lanes)
    place = first | count << FIRST_BITS | pieces.hint.astype(count.dtype) << (FIRST_BITS + COUNT_BITS)
    skipped = start + says - pieces.starts[:-1]
    to = np.repeat(skipped, pieces.per_row)
    to += np.arange(len(to))
    result["place"][to], result["value"][to] = place, pieces.values
    result["place"][start + words - 1] |= LAST
    return result, Chunks(begins, at, entries)
