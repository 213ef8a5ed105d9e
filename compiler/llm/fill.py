"""Content of the memory images: a model's matrices, packed one after the other, and its vectors.

No more than one matrix is in memory at a time. A tile's room is that of the largest in any layer, so its place is
known only when all layers are packed: until then packed tiles wait in a spool, on disk where they are many.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from compiler.frontend.model import Model, UnsupportedModelError
from compiler.images import IN_MEMORY, ImageWriter
from golden.isa.llm import ISA
from golden.params import LlmParams

from .pack import GROUP, PackedMatrix, expand, pack, stack
from .plan import Shapes, placed
from .vectors import VectorImage
from .weights import WeightImages

__all__ = ["PackedWeights", "fill_vectors", "pack_weights", "scale_groups"]

STACKED = {"qkv": ("k", "q", "v"), "o": ("o",), "gate_up": ("gate", "up"), "down": ("down",)}
"""Tensors of a layer that are below each other in a matrix."""
EMBEDDING_ROWS = 4096
"""Rows of the embedding that are worked on at a time."""


def scale_groups(model: Model) -> dict[str, int]:
    """Inputs that share a scale, for each matrix of `WeightImages`.

    Raises:
        UnsupportedModelError: a matrix with groups of several sizes.
    """
    names = {
        matrix: [f"layers.{layer}.{part}" for layer in range(model.config.layers) for part in parts]
        for matrix, parts in STACKED.items()
    }
    names["head"] = ["embed" if model.config.tied_head else "head"]
    result = {}
    for matrix, tensors in names.items():
        groups = {model.tensors[name].group or GROUP for name in tensors}
        if len(groups) > 1:
            raise UnsupportedModelError(
                f"{', '.join(STACKED[matrix])}: scale groups of {' and '.join(map(str, sorted(groups)))} inputs; they "
                "must be of one size in all layers"
            )
        result[matrix] = groups.pop()
    return result


@dataclass(frozen=True)
class PackedWeights:
    """Images of the weight channels.

    Attributes:
        images: port -> uint8 array. used_bytes: of the lanes' streams; the rest of a tile fills up shorter lanes.
        values: weights that are not 0, by matrix, of all layers.
    """

    images: dict[str, np.ndarray]
    used_bytes: int
    values: dict[str, int]


def pack_weights(model: Model, weights: WeightImages) -> PackedWeights:
    """Pack all matrices of `model`, place them in `weights`, write the images.

    Raises:
        UnsupportedModelError: weights that the engine cannot hold exactly enough, or layers of different structure.
    """
    p = weights.params
    with tempfile.SpooledTemporaryFile(IN_MEMORY) as spool:
        tiles: list[tuple[str, int, int, int]] = []
        used, values = 0, dict.fromkeys(weights.matrices, 0)
        for name, matrix in weights.matrices.items():
            for layer, packed in enumerate(_packed(model, weights, name)):
                matrix.dense &= packed.dense
                if layer == 0:
                    matrix.minimum = packed.has_minimum
                elif matrix.minimum != packed.has_minimum:
                    raise UnsupportedModelError(f"{name} of layer {layer}: has minima, or has none, unlike layer 0")
                values[name] += packed.values
                for number, tile in enumerate(packed.tiles):
                    tiles.append((name, layer, number, len(tile.words)))
                    used += tile.used * p.lane_bits // 8
                    spool.write(_by_channel(tile.words, p))
        weights.place({
            name: [
                max(beats for owner, _, number, beats in tiles if (owner, number) == (name, tile))
                for tile in range(len(matrix.rows))
            ]
            for name, matrix in weights.matrices.items()
        })
        writers = [ImageWriter(weights.channel_bytes) for _ in range(p.channels)]
        spool.seek(0)
        for name, layer, number, beats in tiles:
            at = weights.matrices[name].offsets[number] + layer * weights.layer_bytes
            for writer in writers:
                writer.put(at, np.frombuffer(spool.read(beats * p.word_bytes), np.uint8))
    return PackedWeights({f"w{i}": writer.finish() for i, writer in enumerate(writers)}, used, values)


def _packed(model: Model, weights: WeightImages, name: str) -> Iterator[PackedMatrix]:
    """Matrix `name` of one layer after the other."""
    columns, rows = _columns(weights)[name], _rows(weights)
    if name == "head":
        layers = [[(model.head, rows["head"])]]
    else:
        layers = [
            [(model.tensors[f"layers.{layer}.{part}"], rows[part]) for part in STACKED[name]]
            for layer in range(model.config.layers)
        ]
    for parts in layers:
        quant = stack([expand(tensor, places, columns) for tensor, places in parts])
        yield pack(quant, weights.params, weights.matrices[name].rows)


def _heads(shapes: Shapes, count: int) -> list[tuple[int, int, int]]:
    """Pieces for `placed`: every head padded on its own."""
    c = shapes.config
    return [(h * shapes.head, h * c.head_dim, c.head_dim) for h in range(count)]


def _columns(weights: WeightImages) -> dict[str, np.ndarray]:
    """Which input of its tensors stands at each input of a matrix; -1: none."""
    c, matrices = weights.shapes.config, weights.matrices
    pieces = {name: [(0, 0, c.dim)] for name in matrices}
    pieces |= {"o": _heads(weights.shapes, c.heads), "down": [(0, 0, c.ffn_dim)]}
    return {name: placed(matrix.inputs, *pieces[name]) for name, matrix in matrices.items()}


def _rows(weights: WeightImages) -> dict[str, np.ndarray]:
    """Which row of a tensor stands at each row of its part of a matrix; -1: none."""
    s, c = weights.shapes, weights.shapes.config
    return {
        "k": placed(s.kv_size, *_heads(s, c.kv_heads)),
        "q": placed(s.q_size, *_heads(s, c.heads)),
        "v": placed(weights.qkv.outputs - s.v_first, *_heads(s, c.kv_heads)),
        "o": placed(weights.o.outputs, (0, 0, c.dim)),
        "gate": placed(s.ffn, (0, 0, c.ffn_dim)),
        "up": placed(weights.gate_up.outputs - s.ffn, (0, 0, c.ffn_dim)),
        "down": placed(weights.down.outputs, (0, 0, c.dim)),
        "head": placed(weights.head.outputs, (0, 0, c.vocab)),
    }


def _by_channel(words: np.ndarray, params: LlmParams) -> bytes:
    """A tile's bytes in channel 0, then those in channel 1, and so on."""
    return words.astype("<u2").reshape(len(words), params.channels, -1).swapaxes(0, 1).tobytes()


def fill_vectors(model: Model, vectors: VectorImage, words: list[int]) -> np.ndarray:
    """Image of the vector channel, with the instructions `words`: uint8 array."""
    image = ImageWriter(vectors.size)
    image.put(vectors.program_at, np.frombuffer(ISA.image(words), np.uint8))

    def put(at: int, stride: int, rows: np.ndarray) -> None:
        padded = np.zeros((len(rows), stride // 4), "<f4")
        padded[:, : rows.shape[1]] = rows
        image.put(at, padded.reshape(-1).view(np.uint8))

    t, c = model.tensors, model.config
    for first in range(0, c.vocab, EMBEDDING_ROWS):
        ids = np.arange(first, min(first + EMBEDDING_ROWS, c.vocab))
        put(vectors.embed_at + first * vectors.embed_stride, vectors.embed_stride, t["embed"].take_rows(ids).dense())
    put(vectors.rope_at, vectors.rope_stride, vectors.rope())
    norms = [f"layers.{i}.{name}" for i in range(c.layers) for name in ("attn_norm", "ffn_norm")]
    put(vectors.norms_at, vectors.norm_stride, np.stack([t[name].dense() for name in [*norms, "norm"]]))
    return image.finish()
