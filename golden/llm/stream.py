"""The packed lane format: how a matrix lies in the weight channels (docs/formats.md has the picture).

A chain reads its own `16 * planes`-bit slice of every memory word, its *lane*. For each block of 16 inputs that its
column owns, the lane holds (after a header: `TileHeader`)

1. where a scale group starts: one 16-bit scale a row, then (if asked) one signed 16-bit minimum a row;
2. for each block of 16 rows: a descriptor (only where the run of equal ones ended), then the block's bundles.

Each of these begins with a beat: only a block's planes follow each other without gaps.

A *bundle* is 16 slots, one a DSP. A block with N of 16 kept has N bundles: with N = 16 a row fills one, with N = 8 two
rows share one, and so on; N = 12 is stored as its first eight and its last four. Values are bit planes, most
significant first: plane p holds bit p of the 16 slots. Positions are one bitmap a row for N = 8 and 12 and four index
planes a bundle for N = 1, 2, 4; N = 16 needs none.

All lanes of a tile take the same inputs at the same time, and their beats come in the same memory words. A lane that
needs much fewer beats than another would fill its FIFO with beats of later blocks and stop them all: before a block, a
*skip* descriptor makes such a lane drop beats, so that lanes never lie further apart than their FIFOs are deep.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from golden.params import BLOCK, LlmParams

__all__ = [
    "KEPT",
    "LONGEST_RUN",
    "SKIP",
    "WIDTHS",
    "BlockFormat",
    "LaneMatrix",
    "TileHeader",
    "kept_positions",
    "kv_offsets",
    "kv_together",
]

KEPT = (0, 1, 2, 4, 8, 12, 16)
"""Legal N of N:16; a descriptor holds the position in this tuple."""
WIDTHS = (2, 3, 4, 5, 8)
"""Legal bits of a value; a descriptor holds the position in this tuple."""
LONGEST_RUN = 511
SKIP = 7
"""Code of a descriptor that is no block but as many beats to drop as a run is long; another descriptor follows."""


@dataclass(frozen=True)
class BlockFormat:
    """What a descriptor says of a block of 16 rows x 16 inputs."""

    kept: int = 16
    width: int = 8
    signed: bool = True

    def __post_init__(self) -> None:
        if self.kept not in KEPT:
            raise ValueError(f"kept = {self.kept!r}: must be one of {KEPT}")
        if self.width not in WIDTHS:
            raise ValueError(f"width = {self.width!r}: must be one of {WIDTHS}")
        if self.width == 8 and not self.signed:
            raise ValueError("width = 8: values of 8 bits are signed")

    @property
    def segments(self) -> tuple[tuple[int, int], ...]:
        """(slots a row takes in a bundle, rank of its first kept value) of each kind of bundle, in stream order."""
        if self.kept == 0:
            return ()
        return ((8, 0), (4, 8)) if self.kept == 12 else ((self.kept, 0),)

    @property
    def dense(self) -> bool:
        """No slot takes another's input."""
        return self.kept in (0, BLOCK)

    @property
    def bitmap(self) -> bool:
        return self.kept in (8, 12)

    @property
    def indexed(self) -> bool:
        return self.kept in (1, 2, 4)

    @property
    def code(self) -> int:
        return KEPT.index(self.kept) | WIDTHS.index(self.width) << 3 | int(self.signed) << 6

    @classmethod
    def from_code(cls, code: int) -> "BlockFormat":
        kept, width = code & 7, code >> 3 & 7
        if kept >= len(KEPT) or width >= len(WIDTHS):
            raise ValueError(f"illegal block descriptor {code:#x}")
        return cls(KEPT[kept], WIDTHS[width], bool(code >> 6 & 1))


@dataclass(frozen=True)
class TileHeader:
    """First halfword of a tile in every lane: bits 9..0 the exponent, bits 12..10 the shift of the minima.

    Attributes:
        exponent: the products' unit is 2**exponent, signed 10 bits.
        min_shift: a minimum's unit is 2**(exponent + min_shift).
    """

    exponent: int = 0
    min_shift: int = 0

    @property
    def code(self) -> int:
        if not -512 <= self.exponent < 512 or not 0 <= self.min_shift < 8:
            raise ValueError(f"{self}: exponent must be -512..511, min_shift 0..7")
        return self.exponent & 0x3FF | self.min_shift << 10

    @classmethod
    def from_code(cls, code: int) -> "TileHeader":
        return cls((code & 0x3FF ^ 0x200) - 0x200, code >> 10 & 7)


@dataclass(frozen=True)
class LaneMatrix:
    """What one lane holds of one tile: `rows` rows of `blocks * 16` inputs.

    Attributes:
        q: int16 [rows, blocks * 16], the values as stored (unsigned formats: 0..2**width - 1).
        keep: bool, same shape; False where a zero is not stored.
        formats: `formats[block][row block]`.
        scale: uint16 [rows, groups] or None; minimum: int16 [rows, groups] or None.
    """

    q: np.ndarray
    keep: np.ndarray
    formats: tuple[tuple[BlockFormat, ...], ...]
    scale: np.ndarray | None
    minimum: np.ndarray | None
    group: int
    header: TileHeader = TileHeader()


def kept_positions(keep: np.ndarray, kept: int) -> np.ndarray:
    """[..., kept], ascending: the kept inputs of rows [..., 16], filled up with the first others."""
    return np.sort(np.argsort(~keep, -1, kind="stable")[..., :kept], -1)


def kv_together(params: LlmParams, value: bool) -> int:
    """Tokens, from a multiple of it on, whose numbers of K or V lie in the same memory words."""
    return params.lane_bits // 8 if value else min(params.lanes_per_beat, params.row_groups)


def kv_offsets(params: LlmParams, v: Mapping[str, int]) -> np.ndarray:
    """Where STK with fields `v` puts its numbers: int64 [tokens, count, 2] of (channel, byte offset in the image).

    Raises:
        ValueError: the tokens do not lie in the same memory words.
    """
    rows, blocks, together = v["rows"], v["blocks"], kv_together(params, bool(v["value"]))
    if v["n"] % together + v["repeat"] >= together:
        raise ValueError(f"tokens {v['n']} .. {v['n'] + v['repeat']}: must lie in the same {together}")
    element, token = np.arange(v["count"])[None], v["n"] + np.arange(v["repeat"] + 1)[:, None]
    row, inp = np.broadcast_arrays(*((element, token) if v["value"] else (token, element)))
    group, chain_row = row % params.row_groups, row // params.row_groups
    block = inp // BLOCK
    column, local = block % params.ksplit, block // params.ksplit
    tile = chain_row // rows + local // blocks
    bundle = (tile * blocks + local % blocks) * rows + chain_row % rows
    byte = bundle * BLOCK + inp % BLOCK
    lane, lane_bytes = column * params.row_groups + group, params.lane_bits // 8
    offset = byte // lane_bytes * params.word_bytes + lane % params.lanes_per_channel * lane_bytes + byte % lane_bytes
    return np.stack([lane // params.lanes_per_channel, offset], -1)
