"""Weights to tiles: quantise where needed, choose N of each block, deal rows and inputs to the lanes, pack."""

from dataclasses import dataclass, replace

import numpy as np

from compiler.frontend.model import GroupQuant, Tensor, UnsupportedModelError
from golden.llm.numerics import EX_MAX
from golden.llm.stream import KEPT, WIDTHS, BlockFormat, LaneMatrix, TileHeader, encode_lanes
from golden.params import BLOCK, LlmParams

__all__ = ["FixedMatrix", "PackedMatrix", "Tile", "fix", "pack", "quantise_dense"]

GROUP = 32
"""Weights that share a scale where the compiler quantises."""
MARGIN = 12
"""Words of a lane's FIFO that the packer leaves alone: those under way (`Vpu.SLACK`), and descriptors of long runs."""


@dataclass(frozen=True)
class FixedMatrix:
    """w[r, k] = (q * scale + minimum << min_shift) * 2**exponent in the engine's integers.

    Attributes:
        q: int16 [rows, K]; scale: uint16 [rows, K / group]; minimum: int16 likewise or None.
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
    """`rows` rows a chain; `words` uint16 [beats, chains, planes], what every channel holds, beat by beat."""

    rows: int
    words: np.ndarray


@dataclass(frozen=True)
class PackedMatrix:
    """Tiles in row order; every column's share is `share` blocks of 16 inputs."""

    tiles: tuple[Tile, ...]
    share: int
    group_blocks: int
    has_minimum: bool


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
        quant.q.astype(np.int16),
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
    rows, columns = matrix.q.shape
    per_group = np.abs(matrix.q.astype(np.int64)).reshape(rows, -1, matrix.blocks * BLOCK).sum(2) * (127 << EX_MAX)
    if per_group.max(initial=0) >= 1 << 26:
        raise UnsupportedModelError(
            f"scale groups of {matrix.blocks * BLOCK} values overflow 27 bits: use smaller ones"
        )
    worst = (per_group * matrix.scale).sum(1)
    if matrix.minimum is not None:
        inputs = (matrix.blocks * BLOCK * 127) << (EX_MAX + matrix.header.min_shift)
        worst = worst + (np.abs(matrix.minimum.astype(np.int64)) * inputs).sum(1)
    if worst.max(initial=0) >= 1 << 47:
        raise UnsupportedModelError(f"{columns} inputs overflow the 48-bit accumulator")


def expand(tensor: Tensor, rows: np.ndarray, columns: np.ndarray) -> GroupQuant:
    """The tensor's rows and inputs at new places; -1 is a zero. Float tensors are quantised to 8 bits.

    Raises:
        UnsupportedModelError: inputs of a quantised tensor would be torn from their scale groups.
    """
    quant = tensor.quant
    if quant is None:
        dense = np.zeros((len(rows), len(columns)), np.float32)
        r, c = rows >= 0, columns >= 0
        dense[np.ix_(r, c)] = tensor.dense()[np.ix_(rows[r], columns[c])]
        return quantise_dense(dense)
    heads = columns.reshape(-1, quant.group)
    whole = (heads[:, 0] >= 0) & (heads[:, 0] % quant.group == 0)
    contiguous = (heads == heads[:, :1] + np.arange(quant.group)).all(1)
    if not np.all((whole & contiguous) | (heads < 0).all(1)):
        raise UnsupportedModelError(
            f"inputs of a tensor quantised in groups of {quant.group} need padding inside a group; "
            "dequantise the model (float16) first"
        )
    groups = np.where(whole, heads[:, 0] // quant.group, -1)
    q = np.zeros((len(rows), len(columns)), quant.q.dtype)
    scale = np.zeros((len(rows), len(groups)), quant.scale.dtype)
    minimum = None if quant.minimum is None else np.zeros_like(scale)
    r, c, g = rows >= 0, columns >= 0, groups >= 0
    q[np.ix_(r, c)] = quant.q[np.ix_(rows[r], columns[c])]
    scale[np.ix_(r, g)] = quant.scale[np.ix_(rows[r], groups[g])]
    if minimum is not None and quant.minimum is not None:
        minimum[np.ix_(r, g)] = quant.minimum[np.ix_(rows[r], groups[g])]
    return replace(quant, q=q, scale=scale, minimum=minimum)


def pack(quant: GroupQuant, params: LlmParams) -> PackedMatrix:
    """Rows a multiple of row_groups, K a multiple of 16 * ksplit * blocks in a group."""
    matrix = fix(quant)
    rows_a_chain = matrix.q.shape[0] // params.row_groups
    blocks = matrix.q.shape[1] // BLOCK
    number = np.arange(blocks)
    owner = number // matrix.blocks % params.ksplit
    shares = [number[owner == column] for column in range(params.ksplit)]
    tiles = []
    for first in range(0, rows_a_chain, params.acc_depth):
        count = min(params.acc_depth, rows_a_chain - first)
        lanes = encode_lanes(
            [
                _lane(matrix, (first + np.arange(count)) * params.row_groups + g, share)
                for share in shares
                for g in range(params.row_groups)
            ],
            params.planes,
            params.fifo_depth - MARGIN,
        )
        beats = max(len(lane) for lane in lanes)
        words = np.zeros((beats, len(lanes), params.planes), np.uint16)
        for i, lane in enumerate(lanes):
            words[: len(lane), i] = lane
        tiles.append(Tile(count, words))
    return PackedMatrix(tuple(tiles), len(shares[0]), matrix.blocks, matrix.minimum is not None)


def _lane(matrix: FixedMatrix, rows: np.ndarray, share: np.ndarray) -> LaneMatrix:
    inputs = (share[:, None] * BLOCK + np.arange(BLOCK)).reshape(-1)
    groups = share[:: matrix.blocks] // matrix.blocks
    q = matrix.q[np.ix_(rows, inputs)]
    keep = q != 0
    nonzero = keep.reshape(len(rows), len(share), BLOCK).sum(2)
    formats = []
    for kb in range(len(share)):
        row_blocks = []
        for first in range(0, len(rows), BLOCK):
            most = int(nonzero[first : first + BLOCK, kb].max())
            kept = next(n for n in KEPT if n >= most)
            row_blocks.append(BlockFormat(kept, matrix.width, matrix.signed))
        formats.append(tuple(row_blocks))
    minimum = None if matrix.minimum is None else matrix.minimum[np.ix_(rows, groups)]
    return LaneMatrix(
        q, keep, tuple(formats), matrix.scale[np.ix_(rows, groups)], minimum, matrix.blocks, matrix.header
    )
