"""Matrices to packed lanes (format: golden/llm/stream.py)."""

from collections.abc import Sequence

import numpy as np

from golden.params import BLOCK

from .stream import LONGEST_RUN, SKIP, BlockFormat, LaneMatrix, kept_positions

__all__ = ["encode_lane", "encode_lanes"]


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
        positions = kept_positions(keep, fmt.kept)
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
