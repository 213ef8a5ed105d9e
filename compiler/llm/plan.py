"""Sizes, placement in the global buffer and in memory: everything the emitter needs to know about a model."""

from dataclasses import dataclass

import numpy as np

from compiler.capacity import require
from compiler.frontend.model import LlamaConfig
from golden.params import BLOCK, LlmParams

__all__ = ["Allocator", "Shapes", "ceil_to", "placed", "tile_rows"]

MOST_LISTED = 64
"""`top_k` at most: each after the first takes the vector unit once more through all logits."""


def ceil_to(value: int, step: int) -> int:
    return -(-value // step) * step


def tile_rows(outputs: int, params: LlmParams, first: int = 0) -> list[int]:
    """Rows a chain of the tiles of a matrix with so many outputs, as equal as can be: the feeder takes as long for a
    block of few rows as of many. If one tile would do, the `first` outputs, which are waited for, get one without the
    others where they fill whole rows."""
    rows = outputs // params.row_groups
    count = -(-rows // params.acc_depth)
    apart, rest = divmod(first, params.row_groups)
    if count == 1 and not rest and 0 < apart < rows:
        return [apart, rows - apart]
    return [rows // count + (tile < rows % count) for tile in range(count)]


def placed(total: int, *pieces: tuple[int, int, int]) -> np.ndarray:
    """int64 [total]: source index of every place, -1 where nothing is; pieces are (place, first source, count)."""
    result = np.full(total, -1)
    for place, first, count in pieces:
        result[place : place + count] = np.arange(first, first + count)
    return result


class Allocator:
    """Hands out consecutive units; `used` tells how many."""

    def __init__(self, step: int = 1, *, start: int = 0) -> None:
        self.step, self.used = step, start

    def take(self, count: int) -> int:
        start = self.used
        self.used = ceil_to(start + count, self.step)
        return start


@dataclass(frozen=True)
class Shapes:
    """Padded sizes of a model on an engine.

    Attributes:
        head: padded head size: whole blocks in every column. context: tokens that the KV cache holds.
        top_k: largest logits that a run lists; with 1 it only chooses the arg-max.
        kv_rows: rows a chain in a K tile; kv_tile: tokens in it.
    """

    config: LlamaConfig
    params: LlmParams
    context: int
    top_k: int = 1

    @property
    def head(self) -> int:
        return ceil_to(self.config.head_dim, max(BLOCK * self.params.ksplit, self.params.sfu_lanes))

    @property
    def listed(self) -> int:
        """Logits that a run lists."""
        return self.top_k if self.top_k > 1 else 0

    @property
    def q_size(self) -> int:
        return self.config.heads * self.head

    @property
    def kv_size(self) -> int:
        return self.config.kv_heads * self.head

    @property
    def ffn(self) -> int:
        return ceil_to(self.config.ffn_dim, self.params.sfu_lanes)

    def outputs(self, rows: int) -> int:
        """Rows of a matrix with padding."""
        return ceil_to(rows, self.params.row_groups)

    def inputs(self, columns: int, group_blocks: int) -> int:
        """Inputs of a matrix with padding."""
        return ceil_to(columns, BLOCK * self.params.ksplit * group_blocks)

    @property
    def qkv_size(self) -> int:
        """Outputs of the matrix of k, v and q, which lie below each other."""
        return self.v_first + self.kv_size

    @property
    def v_first(self) -> int:
        """Where v begins in qkv; scores wait for what lies before."""
        return self.kv_size + self.q_size

    @property
    def scale_row(self) -> int:
        """Elements of a row of cache scales, in memory and on the chip."""
        return ceil_to(self.context, BLOCK)

    @property
    def kv_rows(self) -> int:
        """Rows a chain in a K tile; a power of two (the KV writer shifts)."""
        rows = -(-self.context // self.params.row_groups)
        return min(1 << (rows - 1).bit_length(), self.params.acc_depth)

    @property
    def k_tiles(self) -> int:
        return -(-self.context // self.kv_tile)

    @property
    def kv_tile(self) -> int:
        return self.kv_rows * self.params.row_groups

    @property
    def bundle_beats(self) -> int:
        return BLOCK * 8 // self.params.lane_bits

    @property
    def k_blocks(self) -> int:
        """Blocks of a column in a K tile; a power of two (the KV writer shifts)."""
        return 1 << (self.head // BLOCK // self.params.ksplit - 1).bit_length()

    @property
    def v_rows(self) -> int:
        return 1 << (-(-self.head // self.params.row_groups) - 1).bit_length()

    @property
    def v_blocks(self) -> int:
        return 1 << (-(-self.context // (BLOCK * self.params.ksplit)) - 1).bit_length()

    @property
    def k_tile_beats(self) -> int:
        return self.kv_rows * self.k_blocks * self.bundle_beats

    @property
    def k_beats(self) -> int:
        return self.k_tiles * self.k_tile_beats

    @property
    def v_beats(self) -> int:
        return self.v_rows * self.v_blocks * self.bundle_beats

    def check(self) -> None:
        """Raises DoesNotFitError for what the engine's counters cannot hold, and for a `top_k` that is too large."""
        require("top_k", self.top_k, min(MOST_LISTED, self.config.vocab), "list fewer logits")
        require("acc_depth (rows a chain of V)", self.v_rows, self.params.acc_depth, "raise acc_depth or lower ksplit")
        require(
            "xbuf_blocks (attention weights of a column)",
            self.v_blocks,
            self.params.xbuf_blocks // 2,
            "raise xbuf_blocks or compile with a shorter context",
        )
