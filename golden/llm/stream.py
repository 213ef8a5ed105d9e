"""The packed lane format: how a matrix lies in the weight channels (docs/formats.md has the picture).

A chain reads its own `16 * planes`-bit slice of every memory word, its *lane*. For each block of 16 inputs that its
column owns, the lane holds (after a header: `TileHeader`)

1. where a scale group starts: one 16-bit scale a row, then (if asked) one signed 16-bit minimum a row;
2. for each block of 16 rows: a descriptor (only where the run of equal ones ended), then the block's bundles.

A *bundle* is 16 slots, one a DSP. A block with N of 16 kept has N bundles: with N = 16 a row fills one, with N = 8 two
rows share one, and so on; N = 12 is stored as its first eight and its last four. Values are bit planes, most
significant first: plane p holds bit p of the 16 slots. Positions are one bitmap a row for N = 8 and 12 and four index
planes a bundle for N = 1, 2, 4; N = 16 needs none.

All lanes of a tile take the same inputs at the same time, and their beats come in the same memory words. A lane that
needs much fewer beats than another would fill its FIFO with beats of later blocks and stop them all: before a block, a
*skip* descriptor makes such a lane drop beats, so that lanes never lie further apart than their FIFOs are deep.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from golden.params import BLOCK, LlmParams

__all__ = [
    "KEPT",
    "WIDTHS",
    "BlockFormat",
    "DecodedLanes",
    "LaneMatrix",
    "TileHeader",
    "decode_lanes",
    "encode_lane",
    "encode_lanes",
    "kv_offsets",
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


class _Writer:
    """Collects 16-bit halfwords of several lanes at once into beats of `planes` halfwords."""

    def __init__(self, lanes: int, planes: int) -> None:
        self.lanes, self.planes = lanes, planes
        self.parts: list[np.ndarray] = []
        self.length = 0

    def put(self, values: np.ndarray) -> None:
        """Append [lanes, n] halfwords."""
        self.parts.append((values & 0xFFFF).astype(np.uint16))
        self.length += values.shape[1]

    def put_all(self, value: int) -> None:
        """The same halfword, then padding, in every lane."""
        self.put(np.full((self.lanes, 1), value))
        self.align()

    def align(self) -> None:
        if missing := -self.length % self.planes:
            self.put(np.zeros((self.lanes, missing), np.int64))

    def beats(self) -> np.ndarray:
        return np.concatenate(self.parts, 1).reshape(self.lanes, -1, self.planes)


def _planes(slots: np.ndarray, width: int) -> np.ndarray:
    """[..., width]: bit planes of slots [..., 16], most significant first."""
    return (slots[..., None, :] >> np.arange(width)[::-1, None] & 1) @ (1 << np.arange(BLOCK))


def _from_planes(planes: np.ndarray) -> np.ndarray:
    """Inverse of `_planes`: [..., 16]."""
    bits = np.swapaxes(planes[..., None] >> np.arange(BLOCK) & 1, -1, -2)
    return bits @ (1 << np.arange(planes.shape[-1])[::-1])


def _positions(keep: np.ndarray, kept: int) -> np.ndarray:
    """[..., kept], ascending: the kept inputs of rows [..., 16], filled up with the first others."""
    return np.sort(np.argsort(~keep, -1, kind="stable")[..., :kept], -1)


def _bundled(values: np.ndarray, rows_a_bundle: int) -> np.ndarray:
    """[lanes, bundles, 16] of [lanes, rows, slots a row]; slots without a row are 0."""
    lanes, rows, slots = values.shape
    padded = np.zeros((lanes, -(-rows // rows_a_bundle) * rows_a_bundle, slots), np.int64)
    padded[:, :rows] = values
    return padded.reshape(lanes, -1, BLOCK)


def encode_lane(lane: LaneMatrix, planes: int) -> np.ndarray:
    """The lane's beats as uint16 [beats, planes]."""
    return encode_lanes([lane], planes)[0]


def encode_lanes(lanes: Sequence[LaneMatrix], planes: int, depth: int | None = None) -> list[np.ndarray]:
    """Beats of several lanes of one tile, each uint16 [beats, planes]; lanes of equal formats are packed together.

    Args:
        depth: at the end of every block of inputs no lane lies more than so many beats behind another; None: no limit.
    """
    skips = _skips(lanes, planes, depth) if depth is not None else [()] * len(lanes)
    alike: dict[tuple, list[int]] = {}
    for i, lane in enumerate(lanes):
        alike.setdefault((lane.formats, lane.header, lane.group, skips[i]), []).append(i)
    result: list[np.ndarray] = [np.empty(0)] * len(lanes)
    for members in alike.values():
        packed = _encode_alike([lanes[i] for i in members], planes, dict(skips[members[0]]))
        for i, beats in zip(members, packed, strict=True):
            result[i] = beats
    return result


def _skips(lanes: Sequence[LaneMatrix], planes: int, depth: int) -> list[tuple[tuple[int, int], ...]]:
    """(block of inputs, beats that skipping before it takes) of every lane.

    A lane that falls behind is brought half way back, so that skips are rare; it never becomes the longest.
    """
    shapes = {id(lane.formats): _beats_of_blocks(lane, planes) for lane in lanes}
    beats, described = (np.stack([shapes[id(lane.formats)][i] for lane in lanes]) for i in range(2))
    skips: list[list[tuple[int, int]]] = [[] for _ in lanes]
    if (beats == beats[0]).all():
        return [()] * len(lanes)
    ends = np.zeros(len(lanes), np.int64)
    for kb, block in enumerate(beats.T):
        ends += block
        for i in np.flatnonzero(ends < ends.max() - depth):
            missing = int(ends.max() - depth // 2 - ends[i])
            ends[i] += missing
            skips[i].append((kb, missing - int(not described[i, kb])))
    return [tuple(one) for one in skips]


def _beats_of_blocks(lane: LaneMatrix, planes: int) -> tuple[np.ndarray, np.ndarray]:
    """Of every block of inputs: its beats, and whether a descriptor stands before its first block of rows."""
    rows, blocks = lane.q.shape[0], lane.q.shape[1] // BLOCK
    row_blocks = -(-rows // BLOCK)
    sides = (lane.scale is not None) + (lane.minimum is not None)
    runs = _runs([fmt.code for block in lane.formats for fmt in block], ())
    result = np.zeros(blocks, np.int64)
    for kb in range(blocks):
        halfwords = [rows] * sides if kb % lane.group == 0 else []
        for rb, fmt in enumerate(lane.formats[kb]):
            count = min(BLOCK, rows - rb * BLOCK)
            bundles = sum(-(-count * size // BLOCK) for size, _ in fmt.segments)
            halfwords += [int(kb * row_blocks + rb in runs), count if fmt.bitmap else 0]
            halfwords.append(bundles * (fmt.width + 4 * fmt.indexed))
        result[kb] = sum(-(-n // planes) for n in halfwords)
    return result, np.array([kb * row_blocks in runs for kb in range(blocks)])


def _encode_alike(lanes: list[LaneMatrix], planes: int, skips: dict[int, int]) -> np.ndarray:
    """uint16 [lanes, beats, planes] of lanes with the same formats, header, group and beats to drop before a block."""
    lane = lanes[0]
    out = _Writer(len(lanes), planes)
    q, keep = np.stack([one.q for one in lanes]), np.stack([one.keep for one in lanes])
    scales = [one.scale for one in lanes if one.scale is not None]
    minima = [one.minimum for one in lanes if one.minimum is not None]
    sides = [np.stack(side).astype(np.int64) for side in (scales, minima) if side]
    rows, blocks = lane.q.shape[0], lane.q.shape[1] // BLOCK
    order = [(kb, rb) for kb in range(blocks) for rb in range(-(-rows // BLOCK))]
    codes = [lane.formats[kb][rb].code for kb, rb in order]
    runs = _runs(codes, [order.index((kb, 0)) for kb in skips])
    out.put_all(lane.header.code)
    for position, (kb, rb) in enumerate(order):
        if rb == 0 and kb % lane.group == 0:
            for side in sides:
                out.put(side[:, :, kb // lane.group])
                out.align()
        if rb == 0 and kb in skips:
            _encode_skip(out, skips[kb])
        if position in runs:
            out.put_all(codes[position] | runs[position] << 7)
        rows_here = slice(rb * BLOCK, min(rows, rb * BLOCK + BLOCK))
        inputs = slice(kb * BLOCK, kb * BLOCK + BLOCK)
        _encode_block(out, lane.formats[kb][rb], q[:, rows_here, inputs], keep[:, rows_here, inputs])
    return out.beats()


def _encode_skip(out: _Writer, beats: int) -> None:
    """Descriptors and what they drop, `beats` in all."""
    while beats:
        count = min(beats - 1, LONGEST_RUN)
        count -= beats - 1 - count == 1
        out.put_all(SKIP | count << 7)
        out.put(np.zeros((out.lanes, count * out.planes), np.int64))
        beats -= 1 + count


def _runs(codes: list[int], breaks: Sequence[int]) -> dict[int, int]:
    """Start position -> length of every run of equal codes, no longer than a descriptor can say.

    A run also starts at every position in `breaks`.
    """
    runs: dict[int, int] = {}
    start = 0
    for i, code in enumerate(codes):
        if i and (code != codes[start] or i in breaks or runs[start] == LONGEST_RUN):
            start = i
        runs[start] = i - start + 1
    return runs


def _encode_block(out: _Writer, fmt: BlockFormat, q: np.ndarray, keep: np.ndarray) -> None:
    if fmt.kept == 0:
        return
    most = int(keep.sum(-1).max())
    if fmt.kept < BLOCK and most > fmt.kept:
        raise ValueError(f"a row keeps {most} of 16 values in a block of N = {fmt.kept}")
    positions, values = np.zeros((0, 0, 0), np.int64), q
    if fmt.kept < BLOCK:
        positions = _positions(keep, fmt.kept)
        values = np.take_along_axis(np.where(keep, q, 0), positions, -1)
    if fmt.bitmap:
        out.put((1 << positions).sum(-1))
        out.align()
    for size, rank in fmt.segments:
        part = slice(rank, rank + size)
        planes = [_planes(_bundled(positions[..., part], BLOCK // size), 4)] if fmt.indexed else []
        planes.append(_planes(_bundled(values[..., part], BLOCK // size), fmt.width))
        out.put(np.concatenate(planes, -1).reshape(out.lanes, -1))
    out.align()


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


def decode_lanes(
    beats: np.ndarray, *, rows: int, blocks: int, group: int, scaled: bool, minimum: bool, raw: bool
) -> DecodedLanes:
    """Decode one tile of several lanes.

    Args:
        beats: uint16 [lanes, beats, planes], may be longer than the tile.
        raw: dense INT8 bytes, four beats of 32 bits a bundle, no header or descriptors (KV cache).

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
    )


def _decode_alike(
    beats: np.ndarray, rows: int, blocks: int, group: int, scaled: bool, minimum: bool, raw: bool
) -> DecodedLanes:
    read = _Reader(beats)
    header = TileHeader() if raw else TileHeader.from_code(read.take_same())
    lanes, groups = len(beats), -(-blocks // group)
    q = np.zeros((lanes, rows, blocks * BLOCK), np.int64)
    sides = [np.zeros((lanes, rows, groups), np.int64) if wanted else None for wanted in (scaled, minimum)]
    fmt, run = BlockFormat(), 0
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
            _decode_block(read, fmt, block)
    low = sides[1]
    if low is not None:
        low[low >= 1 << 15] -= 1 << 16
    return DecodedLanes(q, sides[0], low, header, read.at // read.planes)


def _decode_block(read: _Reader, fmt: BlockFormat, q: np.ndarray) -> None:
    lanes, rows = q.shape[:2]
    if fmt.kept == 0:
        return
    positions = np.broadcast_to(np.arange(BLOCK), (lanes, rows, BLOCK))
    if fmt.bitmap:
        bits = read.take(rows)[..., None] >> np.arange(BLOCK) & 1
        read.align()
        positions = _positions(bits.astype(bool), fmt.kept)
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


def kv_offsets(params: LlmParams, *, token: int, count: int, by_column: bool, rows: int, blocks: int) -> np.ndarray:
    """Where STK puts `count` numbers of a token: int64 [count, 2] of (channel, byte offset in the image).

    Args:
        by_column: False: the token is a row of the matrix (K), True: it is an input (V).
        rows, blocks: rows a chain and blocks a column of one tile of the image.
    """
    element = np.arange(count)
    row, inp = (element, np.full(count, token)) if by_column else (np.full(count, token), element)
    group, chain_row = row % params.row_groups, row // params.row_groups
    block = inp // BLOCK
    column, local = block % params.ksplit, block // params.ksplit
    tile = chain_row // rows + local // blocks
    bundle = (tile * blocks + local % blocks) * rows + chain_row % rows
    byte = bundle * BLOCK + inp % BLOCK
    lane_bytes = params.lane_bits // 8
    lane = column * params.row_groups + group
    offset = byte // lane_bytes * params.beat_bytes + lane % params.lanes_per_channel * lane_bytes + byte % lane_bytes
    return np.stack([lane // params.lanes_per_channel, offset], 1)
