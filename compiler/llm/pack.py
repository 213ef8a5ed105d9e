"""Weights to tiles: quantise where needed, choose N of each block, deal rows and inputs to the lanes, pack."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from compiler.frontend.model import GroupQuant, Tensor, UnsupportedModelError
from golden.llm.encode import encode_lanes
from golden.llm.numerics import EX_MAX
from golden.llm.stream import KEPT, LONGEST_RUN, WIDTHS, BlockFormat, LaneMatrix, TileHeader
from golden.params import BLOCK, LlmParams

__all__ = ["GROUP", "FixedMatrix", "PackedMatrix", "Tile", "expand", "fix", "pack", "quantise_dense", "stack",
           "uniform_beats"]

GROUP = 32
"""Weights that share a scale where the compiler quantises."""
MARGIN = 12
"""Words of a lane's FIFO that the packer leaves alone: those under way (`Lane.SLACK`), and descriptors of long runs."""
MIXED = 1 / 16
"""Below this share of a tile's blocks, those that keep some of 16 keep all: inputs come faster to a dense tile."""
ROWS = 2048
"""Rows that are worked on at a time where a whole matrix of wide numbers would not fit the memory."""


@dataclass(frozen=True)
class FixedMatrix:
    """w[r, k] = (q * scale + minimum << min_shift) * 2**exponent in the engine's integers.

    Attributes:
        q: int8 [rows, K]; scale: uint16 [rows, K / group]; minimum: int16 likewise or None.
        blocks: blocks of 16 in a scale group.
    """

    q: np.ndarray
    scale: np.ndarray
    minimum: np.ndarray | None
    header: TileHeader
    width: int
    signed: bool
    blocks: int


@dataclass(frozen=True)
class Tile:
    """`rows` rows a chain.

    Attributes:
        words: uint16 [beats, chains, planes], what every channel holds, beat by beat.
        used: beats that the lanes need, summed; the rest of `words` fills up the shorter ones.
    """

    rows: int
    words: np.ndarray
    used: int


@dataclass(frozen=True)
class PackedMatrix:
    """Tiles in row order; every column's share is `share` blocks of 16 inputs; `values` weights are not 0. `dense`:
    every block keeps 16 of 16 or none."""

    tiles: tuple[Tile, ...]
    share: int
    group_blocks: int
    has_minimum: bool
    dense: bool
    values: int


def quantise_dense(weights: np.ndarray, bits: int = 8, group: int = GROUP) -> GroupQuant:
    """Symmetric group quantisation of float32 [rows, K], K a multiple of `group`; zeros stay zeros."""
    grouped = weights.reshape(weights.shape[0], -1, group).astype(np.float64)
    top = (1 << (bits - 1)) - 1
    scale = np.abs(grouped).max(2) / top
    safe = np.where(scale > 0, scale, 1.0)
    q = np.clip(np.rint(grouped / safe[..., None]), -top, top).astype(np.int8)
    return GroupQuant(q.reshape(weights.shape), scale.astype(np.float32), None, group, bits, True)


def fix(quant: GroupQuant) -> FixedMatrix:
    """Scales and minima as 16-bit integers under one power of two."""
    scale = quant.scale.astype(np.float64)
    top = float(np.abs(scale).max(initial=0.0)) or 1.0
    exponent = int(np.floor(np.log2(top))) - 15
    if np.any(scale < 0):
        raise UnsupportedModelError("negative group scales; negate the values of these groups instead")
    fixed = np.rint(scale * 2.0**-exponent)
    if fixed.max(initial=0) > 0xFFFF:
        exponent += 1
        fixed = np.rint(scale * 2.0**-exponent)
    minimum, shift = None, 0
    if quant.minimum is not None:
        low = quant.minimum.astype(np.float64) * 2.0**-exponent
        while shift < 7 and np.abs(np.rint(low / 2.0**shift)).max() > 0x7FFF:
            shift += 1
        minimum = np.clip(np.rint(low / 2.0**shift), -0x8000, 0x7FFF).astype(np.int16)
    width = next(w for w in WIDTHS if w >= quant.bits)
    matrix = FixedMatrix(
        quant.q,
        fixed.astype(np.uint16),
        minimum,
        TileHeader(exponent, shift),
        width,
        quant.signed or width == 8,
        quant.group // BLOCK,
    )
    _check_range(matrix)
    return matrix


def _check_range(matrix: FixedMatrix) -> None:
    """The integer path is exact only if neither the group sums (27 bits) nor the accumulator (48 bits) overflow."""
    for first in range(0, len(matrix.q), ROWS):
        part = slice(first, first + ROWS)
        sizes = np.abs(matrix.q[part].astype(np.int16)).reshape(len(matrix.q[part]), -1, matrix.blocks * BLOCK)
        per_group = sizes.sum(2, dtype=np.int64) * (127 << EX_MAX)
        if per_group.max(initial=0) >= 1 << 26:
            raise UnsupportedModelError(
                f"scale groups of {matrix.blocks * BLOCK} values overflow 27 bits: use smaller ones"
            )
        worst = (per_group * matrix.scale[part]).sum(1)
        if matrix.minimum is not None:
            inputs = (matrix.blocks * BLOCK * 127) << (EX_MAX + matrix.header.min_shift)
            worst = worst + (np.abs(matrix.minimum[part].astype(np.int64)) * inputs).sum(1)
        if worst.max(initial=0) >= 1 << 47:
            raise UnsupportedModelError(f"{matrix.q.shape[1]} inputs overflow the 48-bit accumulator")


def expand(tensor: Tensor, rows: np.ndarray, columns: np.ndarray) -> GroupQuant:
    """The tensor's rows and inputs at new places; -1 is a zero. Float tensors are quantised to 8 bits.

    Raises:
        UnsupportedModelError: inputs of a quantised tensor would be torn from their scale groups.
    """
    quant = tensor.quant
    if quant is None:
        assert tensor.values is not None
        return _expand_dense(tensor.values, rows, columns)
    heads = columns.reshape(-1, quant.group)
    whole = (heads[:, 0] >= 0) & (heads[:, 0] % quant.group == 0)
    contiguous = (heads == heads[:, :1] + np.arange(quant.group)).all(1)
    if not np.all((whole & contiguous) | (heads < 0).all(1)):
        raise UnsupportedModelError(
            f"inputs of a tensor quantised in groups of {quant.group} need padding inside a group; "
            "dequantise the model (float16) first"
        )
    groups = np.where(whole, heads[:, 0] // quant.group, -1)
    minimum = None if quant.minimum is None else _placed(quant.minimum, rows, groups)
    return replace(
        quant, q=_placed(quant.q, rows, columns), scale=_placed(quant.scale, rows, groups), minimum=minimum
    )


def _placed(values: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """`values[rows, columns]`, 0 where either is -1."""
    result = np.zeros((len(rows), len(columns)), values.dtype)
    r, c = rows >= 0, columns >= 0
    result[np.ix_(r, c)] = values[np.ix_(rows[r], columns[c])]
    return result


def _expand_dense(values: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> GroupQuant:
    q = np.empty((len(rows), len(columns)), np.int8)
    scale = np.empty((len(rows), len(columns) // GROUP), np.float32)
    for first in range(0, len(rows), ROWS):
        part = slice(first, first + ROWS)
        quant = quantise_dense(_placed(values, rows[part], columns).astype(np.float32))
        q[part], scale[part] = quant.q, quant.scale
    return GroupQuant(q, scale, None, GROUP, 8, True)


def stack(quants: Sequence[GroupQuant]) -> GroupQuant:
    """Matrices below each other, of the widest format among them.

    Raises:
        UnsupportedModelError: scale groups of different sizes.
    """
    if len(quants) == 1:
        return quants[0]
    groups = {quant.group for quant in quants}
    if len(groups) > 1:
        raise UnsupportedModelError(
            f"tensors that share their inputs have scale groups of {' and '.join(map(str, sorted(groups)))}; "
            "quantise them alike"
        )
    signed = any(quant.signed for quant in quants)
    minimum = None
    if any(quant.minimum is not None for quant in quants):
        minimum = np.concatenate([np.zeros_like(q.scale) if q.minimum is None else q.minimum for q in quants])
    return GroupQuant(
        np.concatenate([quant.q for quant in quants]),
        np.concatenate([quant.scale for quant in quants]),
        minimum,
        quants[0].group,
        max(quant.bits + int(signed and not quant.signed) for quant in quants),
        signed,
    )


def pack(quant: GroupQuant, params: LlmParams, tile_rows: Sequence[int]) -> PackedMatrix:
    """In tiles of so many rows a chain; K a multiple of 16 * ksplit * blocks in a group."""
    matrix = fix(quant)
    groups, columns = params.row_groups, params.ksplit
    first = 0
    number = np.arange(matrix.q.shape[1] // BLOCK)
    owner = number // matrix.blocks % columns
    shares = [number[owner == column] for column in range(columns)]
    tiles, values, dense = [], 0, True
    for count in tile_rows:
        rows = slice(first * groups, (first + count) * groups)
        first += count
        chosen = [_chosen(matrix, rows, count, share) for share in shares]
        if np.mean([_mixed(kept).mean() for kept in chosen]) < MIXED:
            chosen = [np.where(_mixed(kept), KEPT.index(BLOCK), kept) for kept in chosen]
        dense &= not any(_mixed(kept).any() for kept in chosen)
        lanes = [lane for share, kept in zip(shares, chosen, strict=True)
                 for lane in _lanes(matrix, rows, count, share, kept)]
        encoded = encode_lanes(lanes, params.planes, params.fifo_depth - MARGIN)
        words = np.zeros((max(map(len, encoded)), len(lanes), params.planes), np.uint16)
        for i, beats in enumerate(encoded):
            words[: len(beats), i] = beats
        tiles.append(Tile(count, words, sum(map(len, encoded))))
        values += int(np.count_nonzero(matrix.q[rows]))
    return PackedMatrix(tuple(tiles), len(shares[0]), matrix.blocks, matrix.minimum is not None, dense, values)


def _dealt(values: np.ndarray, rows: slice, count: int, columns: np.ndarray) -> np.ndarray:
    """[row groups, rows a chain, columns] of a tile: row r of group g is row `r * row_groups + g` of `rows`."""
    part = values[rows][:, columns]
    return np.ascontiguousarray(part.reshape(count, -1, len(columns)).swapaxes(0, 1))


def _inputs(share: np.ndarray) -> np.ndarray:
    return (share[:, None] * BLOCK + np.arange(BLOCK)).reshape(-1)


def _chosen(matrix: FixedMatrix, rows: slice, count: int, share: np.ndarray) -> np.ndarray:
    """Smallest N of a column's blocks in one tile: index in KEPT, [row groups, blocks of inputs, blocks of rows]."""
    keep = _dealt(matrix.q, rows, count, _inputs(share)) != 0
    nonzero = keep.reshape(*keep.shape[:2], len(share), BLOCK).sum(3)
    most = np.maximum.reduceat(nonzero, np.arange(0, count, BLOCK), axis=1).swapaxes(1, 2)
    return np.searchsorted(KEPT, most)


def _mixed(chosen: np.ndarray) -> np.ndarray:
    """Which blocks keep some of 16, not none or all."""
    return (chosen != KEPT.index(0)) & (chosen != KEPT.index(BLOCK))


def _lanes(matrix: FixedMatrix, rows: slice, count: int, share: np.ndarray, chosen: np.ndarray) -> list[LaneMatrix]:
    """A column's lanes of one tile."""
    scale_groups = share[:: matrix.blocks] // matrix.blocks
    q = _dealt(matrix.q, rows, count, _inputs(share)).astype(np.int16)
    keep = q != 0
    formats = [BlockFormat(kept, matrix.width, matrix.signed) for kept in KEPT]
    scale = _dealt(matrix.scale, rows, count, scale_groups)
    minimum = None if matrix.minimum is None else _dealt(matrix.minimum, rows, count, scale_groups)
    return [
        LaneMatrix(
            q[g],
            keep[g],
            tuple(tuple(formats[kept] for kept in row_blocks) for row_blocks in chosen[g].tolist()),
            scale[g],
            None if minimum is None else minimum[g],
            matrix.blocks,
            matrix.header,
        )
        for g in range(len(q))
    ]


def uniform_beats(fmt: BlockFormat, planes: int, *, rows: int, share: int, group_blocks: int, minimum: bool) -> int:
    """Beats of a lane of `rows` rows and `share` blocks of inputs whose blocks all have format `fmt`."""

    def beats(halfwords: int) -> int:
        return -(-halfwords // planes)

    counts = [min(BLOCK, rows - first) for first in range(0, rows, BLOCK)]
    side = (1 + minimum) * beats(rows) * -(-share // group_blocks)
    runs = -(-share * len(counts) // LONGEST_RUN)
    bundles = [sum(-(-count * size // BLOCK) for size, _ in fmt.segments) for count in counts]
    blocks = sum(
        beats(count if fmt.bitmap else 0) + beats(number * (fmt.width + 4 * fmt.indexed))
        for count, number in zip(counts, bundles, strict=True)
    )
    return 1 + side + runs + share * blocks
