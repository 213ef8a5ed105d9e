"""Weight channels: every matrix packed, its tiles' places, and the room of the KV cache."""

from dataclasses import dataclass, field

import numpy as np

from compiler.frontend.model import Model, Tensor
from golden.params import BLOCK, LlmParams

from .pack import GROUP, PackedMatrix, expand, pack
from .plan import Allocator, Shapes, placed

__all__ = ["Matrix", "WeightImages"]

Part = tuple[Tensor, np.ndarray, np.ndarray]
"""A tensor with the rows and inputs to take of it (-1: a zero)."""


@dataclass
class Matrix:
    """A matrix of every layer (or one): the tiles' places relative to the layer's first byte.

    Attributes:
        packed: one a layer. inputs: with padding. offsets, beats: byte offset and memory words of each tile.
    """

    packed: list[PackedMatrix]
    inputs: int
    offsets: list[int] = field(default_factory=list)
    beats: list[int] = field(default_factory=list)

    def manifest(self, stride: int) -> dict:
        """Where the tiles lie, for who decodes the images: tile i of layer l is at `l * stride + tiles[i].offset`."""
        first = self.packed[0]
        return {
            "stride": stride,
            "inputs": self.inputs,
            "share": first.share,
            "group_blocks": first.group_blocks,
            "minimum": first.has_minimum,
            "tiles": [
                {"offset": offset, "beats": beats, "rows": tile.rows}
                for offset, beats, tile in zip(self.offsets, self.beats, first.tiles, strict=True)
            ],
        }


class WeightImages:
    """Packs a model's matrices: per layer qkv (k, v, q stacked), o, gate_up, down; then the head; then the KV cache.

    Attributes:
        qkv, o, gate_up, down, head: see `Matrix`.
        layer_bytes: bytes of a layer in every channel. weight_bytes: of all layers and the head, in all channels.
        k_at, v_at: byte offset of every KV head in a layer's cache; cache_at, cache_stride, cache_bytes: its first
            byte, bytes a layer, bytes of all layers, in every channel.
        images: port -> uint8 array.
    """

    def __init__(self, model: Model, params: LlmParams, shapes: Shapes) -> None:
        self.model, self.params, self.shapes = model, params, shapes
        self._pack_matrices()
        place = Allocator(params.beat_bytes)
        for matrix in self.layer_matrices.values():
            self._place_tiles(matrix, place)
        self.layer_bytes = place.used
        total = Allocator(params.beat_bytes)
        total.take(self.layer_bytes * model.config.layers)
        self._place_tiles(self.head, total)
        self.weight_bytes = total.used * params.channels
        self._place_cache(total)
        images = [np.zeros(total.used, np.uint8) for _ in range(params.channels)]
        for matrix in (*self.layer_matrices.values(), self.head):
            for layer, packed in enumerate(matrix.packed):
                for offset, tile in zip(matrix.offsets, packed.tiles, strict=True):
                    self._write_tile(images, layer * self.layer_bytes + offset, tile.words)
        self.images = {f"w{i}": image for i, image in enumerate(images)}

    @property
    def layer_matrices(self) -> dict[str, Matrix]:
        return {"qkv": self.qkv, "o": self.o, "gate_up": self.gate_up, "down": self.down}

    def manifest(self) -> dict:
        return {name: matrix.manifest(self.layer_bytes) for name, matrix in self.layer_matrices.items()} | {
            "head": self.head.manifest(0)
        }

    def _pack_matrices(self) -> None:
        s, c, t = self.shapes, self.model.config, self.model.tensors
        head_rows = [(h * s.head, h * c.head_dim, c.head_dim) for h in range(c.heads)]
        group_blocks = GROUP // BLOCK
        x_columns = placed(s.inputs(c.dim, group_blocks), (0, 0, c.dim))
        kv_rows = placed(s.kv_size, *head_rows[: c.kv_heads])
        q_rows = placed(s.outputs(s.qkv_size) - 2 * s.kv_size, *head_rows)
        o_columns = placed(s.inputs(s.q_size, group_blocks), *head_rows)
        o_rows = placed(s.outputs(c.dim), (0, 0, c.dim))
        gate_rows = placed(s.ffn, (0, 0, c.ffn_dim))
        up_rows = placed(s.outputs(2 * s.ffn) - s.ffn, (0, 0, c.ffn_dim))
        down_columns = placed(s.inputs(s.ffn, group_blocks), (0, 0, c.ffn_dim))
        vocab_rows = placed(s.outputs(c.vocab), (0, 0, c.vocab))
        layers = range(c.layers)
        self.qkv = self._matrix([
            [(t[f"layers.{i}.k"], kv_rows, x_columns), (t[f"layers.{i}.v"], kv_rows, x_columns),
             (t[f"layers.{i}.q"], q_rows, x_columns)] for i in layers
        ])
        self.o = self._matrix([[(t[f"layers.{i}.o"], o_rows, o_columns)] for i in layers])
        self.gate_up = self._matrix([
            [(t[f"layers.{i}.gate"], gate_rows, x_columns), (t[f"layers.{i}.up"], up_rows, x_columns)] for i in layers
        ])
        self.down = self._matrix([[(t[f"layers.{i}.down"], o_rows, down_columns)] for i in layers])
        self.head = self._matrix([[(self.model.head, vocab_rows, x_columns)]])

    def _matrix(self, layers: list[list[Part]]) -> Matrix:
        """Stack the parts of each layer's matrix and pack them."""
        packed = []
        for parts in layers:
            quants = [expand(tensor, rows, columns) for tensor, rows, columns in parts]
            first = quants[0]
            minima = [q.minimum for q in quants if q.minimum is not None]
            stacked = type(first)(
                np.concatenate([q.q for q in quants]),
                np.concatenate([q.scale for q in quants]),
                np.concatenate(minima) if minima else None,
                first.group, first.bits, first.signed,
            )
            packed.append(pack(stacked, self.params))
        return Matrix(packed, len(layers[0][0][2]))

    def _place_tiles(self, matrix: Matrix, place: Allocator) -> None:
        """Tiles of the layers lie at the same offset in each layer, with the room of the largest."""
        for i in range(len(matrix.packed[0].tiles)):
            beats = max(len(packed.tiles[i].words) for packed in matrix.packed)
            matrix.beats.append(beats)
            matrix.offsets.append(place.take(beats * self.params.beat_bytes))

    def _write_tile(self, images: list[np.ndarray], offset: int, words: np.ndarray) -> None:
        lanes = self.params.lanes_per_channel
        for c, image in enumerate(images):
            data = np.ascontiguousarray(words[:, c * lanes : (c + 1) * lanes]).astype("<u2").view(np.uint8).reshape(-1)
            image[offset : offset + len(data)] = data

    def _place_cache(self, place: Allocator) -> None:
        s, beat = self.shapes, self.params.beat_bytes
        heads = Allocator(beat)
        self.k_at = [heads.take(s.k_beats * beat) for _ in range(self.model.config.kv_heads)]
        self.v_at = [heads.take(s.v_beats * beat) for _ in range(self.model.config.kv_heads)]
        self.cache_stride = heads.used
        self.cache_bytes = heads.used * self.model.config.layers
        self.cache_at = place.take(self.cache_bytes)
