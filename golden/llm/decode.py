"""Packed lanes back to matrices (format: golden/llm/stream.py)."""

from dataclasses import dataclass

import numpy as np

from golden.params import BLOCK

from .stream import SKIP, BlockFormat, TileHeader, kept_positions

__all__ = ["DecodedLanes", "decode_lanes"]


def _from_planes(planes: np.ndarray) -> np.ndarray:
    """Slots [..., 16] of their bit planes, most significant first."""
    bits = np.swapaxes(planes[..., None] >> np.arange(BLOCK) & 1, -1, -2)
    return bits @ (1 << np.arange(planes.shape[-1])[::-1])


class _Reader:
    """Reads halfwords of several lanes of equal structure."""

    def __init__(self, beats: np.ndarray) -> None:
        self.halfwords = beats.reshape(len(beats), -1)
        self.planes = beats.shape[2]
        self.at = 0

    def take(self, count: int) -> np.ndarray:
        """int64 [lanes, count]."""
        if self.at + count > self.halfwords.shape[1]:
            raise ValueError(f"lane ends after {self.halfwords.shape[1]} halfwords, {self.at + count} needed")
        self.at += count
        return self.halfwords[:, self.at - count : self.at].astype(np.int64)

    def take_same(self) -> int:
        """A halfword that must be the same in every lane, and the padding behind it."""
        values = self.take(1)[:, 0]
        if np.any(values != values[0]):
            raise _LanesDifferError
        self.align()
        return int(values[0])

    def align(self) -> None:
        self.at += -self.at % self.planes


class _LanesDifferError(Exception):
    """Lanes of different structure cannot be decoded together."""


@dataclass(frozen=True)
class DecodedLanes:
    """A tile of several lanes.

    Attributes:
        q: int64 [lanes, rows, blocks * 16], 0 where nothing is stored.
        scale, minimum: int64 [lanes, rows, groups] or None.
        used: beats of the longest lane.
    """

    q: np.ndarray
    scale: np.ndarray | None
    minimum: np.ndarray | None
    header: TileHeader
    used: int
    dense: bool


def decode_lanes(
    beats: np.ndarray, *, rows: int, blocks: int, group: int, scaled: bool, minimum: bool, raw: bool
) -> DecodedLanes:
    """Decode one tile of several lanes.

    Args:
        beats: uint16 [lanes, beats, planes], may be longer than the tile.
        raw: dense INT8 bytes, 16 a bundle, no header or descriptors (KV cache).

    Raises:
        ValueError: a lane ends early or holds an illegal descriptor.
    """

    def decode(part: np.ndarray) -> DecodedLanes:
        return _decode_alike(part, rows, blocks, group, scaled, minimum, raw)

    try:
        return decode(beats)
    except _LanesDifferError:
        single = [decode(beats[i : i + 1]) for i in range(len(beats))]
    return DecodedLanes(
        np.concatenate([one.q for one in single]),
        np.concatenate([one.scale for one in single if one.scale is not None]) if scaled else None,
        np.concatenate([one.minimum for one in single if one.minimum is not None]) if minimum else None,
        single[0].header,
        max(one.used for one in single),
        all(one.dense for one in single),
    )


def _decode_alike(
    beats: np.ndarray, rows: int, blocks: int, group: int, scaled: bool, minimum: bool, raw: bool
) -> DecodedLanes:
    read = _Reader(beats)
    header = TileHeader() if raw else TileHeader.from_code(read.take_same())
    lanes, groups = len(beats), -(-blocks // group)
    q = np.zeros((lanes, rows, blocks * BLOCK), np.int64)
    sides = [np.zeros((lanes, rows, groups), np.int64) if wanted else None for wanted in (scaled, minimum)]
    fmt, run, dense = BlockFormat(), 0, True
    for kb in range(blocks):
        if kb % group == 0:
            for side in sides:
                if side is not None:
                    side[:, :, kb // group] = read.take(rows)
                    read.align()
        for rb in range(-(-rows // BLOCK)):
            first, count = rb * BLOCK, min(BLOCK, rows - rb * BLOCK)
            block = q[:, first : first + count, kb * BLOCK : (kb + 1) * BLOCK]
            if raw:
                halfwords = read.take(count * 8).reshape(lanes, count, 8)
                block[..., 0::2] = (halfwords & 0xFF).astype(np.int8)
                block[..., 1::2] = (halfwords >> 8).astype(np.int8)
                continue
            if run == 0:
                word = read.take_same()
                while word & 0x7F == SKIP and word >> 7:
                    read.at += (word >> 7) * read.planes
                    word = read.take_same()
                fmt, run = BlockFormat.from_code(word & 0x7F), word >> 7
                if run == 0:
                    raise ValueError(f"illegal block descriptor {word:#x}: a run of 0")
            run -= 1
            dense &= fmt.dense
            _decode_block(read, fmt, block)
    low = sides[1]
    if low is not None:
        low[low >= 1 << 15] -= 1 << 16
    return DecodedLanes(q, sides[0], low, header, read.at // read.planes, dense)


def _decode_block(read: _Reader, fmt: BlockFormat, q: np.ndarray) -> None:
    lanes, rows = q.shape[:2]
    if fmt.kept == 0:
        return
    positions = np.broadcast_to(np.arange(BLOCK), (lanes, rows, BLOCK))
    if fmt.bitmap:
        bits = read.take(rows)[..., None] >> np.arange(BLOCK) & 1
        read.align()
        positions = kept_positions(bits.astype(bool), fmt.kept)
    for size, rank in fmt.segments:
        bundles = -(-rows * size // BLOCK)
        index_planes = 4 if fmt.indexed else 0
        planes = read.take(bundles * (index_planes + fmt.width)).reshape(lanes, bundles, -1)
        slots = _from_planes(planes[..., index_planes:])
        if fmt.signed:
            slots = np.where(slots >> (fmt.width - 1), slots - (1 << fmt.width), slots)
        at = positions[..., rank : rank + size]
        if fmt.indexed:
            at = _from_planes(planes[..., :4]).reshape(lanes, -1, size)[:, :rows]
        np.put_along_axis(q, at, slots.reshape(lanes, -1, size)[:, :rows], -1)
    read.align()
