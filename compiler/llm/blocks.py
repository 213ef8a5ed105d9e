"""Which rows and inputs of a model's matrices the engine puts into one block of 16 x 16, the unit with one N of N:16.

Row `r * row_groups + g` of a stacked, padded matrix is row r of the chains of group g, in tiles of `tile_rows` rows a
chain (compiler.llm.plan); so the 16 rows of a block lie `row_groups` apart. Inputs keep their order, with each head
of `o` padded on its own (compiler.llm.weights).
"""

import numpy as np

from compiler.compress.layout import BlockLayout
from golden.params import BLOCK, LlmParams

from .plan import Shapes, tile_rows

__all__ = ["block_layouts"]


def block_layouts(shapes: Shapes) -> dict[str, BlockLayout]:
    """Blocks of `qkv` (k, q, v stacked), `o`, `gate_up`, `down` and `head`, for the rows and inputs without padding."""
    config, params = shapes.config, shapes.params

    def heads(count: int, first: int = 0) -> np.ndarray:
        """Places of the elements of `count` padded heads."""
        return (first + np.arange(count)[:, None] * shapes.head + np.arange(config.head_dim)).reshape(-1)

    x = np.arange(config.dim)
    ffn = np.arange(config.ffn_dim)
    qkv = [
        heads(config.kv_heads),
        heads(config.heads, shapes.kv_size),
        heads(config.kv_heads, shapes.v_first),
    ]
    places = {
        "qkv": (np.concatenate(qkv), shapes.qkv_size, x),
        "o": (x, config.dim, heads(config.heads)),
        "gate_up": (np.concatenate((ffn, shapes.ffn + ffn)), 2 * shapes.ffn, x),
        "down": (x, config.dim, ffn),
        "head": (np.arange(config.vocab), config.vocab, x),
    }
    tiles = {
        name: tile_rows(shapes.outputs(outputs), params, shapes.v_first if name == "qkv" else 0)
        for name, (_, outputs, _) in places.items()
    }
    return {
        name: BlockLayout(_numbered(_block_rows(rows, tiles[name], params)), _numbered(inputs // BLOCK))
        for name, (rows, _, inputs) in places.items()
    }


def _block_rows(places: np.ndarray, tiles: list[int], params: LlmParams) -> np.ndarray:
    """Number of the block row at each place of a stacked matrix, whose tiles have so many rows a chain."""
    row, group = places // params.row_groups, places % params.row_groups
    tile, within = np.repeat(np.arange(len(tiles)), tiles)[row], np.concatenate([np.arange(n) for n in tiles])[row]
    blocks_a_tile = -(-params.acc_depth // BLOCK)
    return (tile * blocks_a_tile + within // BLOCK) * params.row_groups + group


def _numbered(blocks: np.ndarray) -> np.ndarray:
    """The same blocks, numbered without gaps: some hold nothing but padding."""
    return np.unique(blocks, return_inverse=True)[1]
