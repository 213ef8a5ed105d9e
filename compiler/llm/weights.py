"""Weight channels: what lies where. Filled by `compiler.llm.fill`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from golden.llm.stream import BlockFormat
from golden.params import BLOCK

from .pack import uniform_beats
from .plan import Allocator, Shapes, tile_rows

__all__ = ["MATRICES", "Matrix", "WeightImages"]

MATRICES = ("qkv", "o", "gate_up", "down", "head")


@dataclass
class Matrix:
    """A matrix of every layer, or the head: its tiles lie at the same place in each layer.

    Attributes:
        outputs, inputs: with padding. group_blocks: blocks of 16 inputs in a scale group.
        share: blocks of inputs that belong to a column of chains. rows: rows a chain of each tile.
        minimum: groups have a minimum. dense: blocks keep 16 of 16 inputs or none, in every layer.
        beats: lane words of each tile, in the layer that needs the most. offsets: byte offset of each tile from the
            layer's first byte, in every channel.
    """

    outputs: int
    inputs: int
    group_blocks: int
    share: int
    rows: list[int]
    minimum: bool = False
    dense: bool = True
    beats: list[int] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, shapes: Shapes, outputs: int, inputs: int, group: int, first: int = 0) -> "Matrix":
        """`outputs` x `inputs` weights without padding, in scale groups of `group` inputs. `first`: see `tile_rows`."""
        p = shapes.params
        outputs, inputs = shapes.outputs(outputs), shapes.inputs(inputs, group // BLOCK)
        return cls(outputs, inputs, group // BLOCK, inputs // BLOCK // p.ksplit, tile_rows(outputs, p, first))

    def place(self, beats: Sequence[int], memory: Allocator) -> None:
        """Give every tile the room of so many lane words."""
        self.beats = list(beats)
        self.offsets = [memory.take(count * memory.step) for count in beats]

    def manifest(self, stride: int) -> dict:
        """Where the tiles lie, for who decodes the images: tile i of layer l is at `l * stride + tiles[i].offset`."""
        return {
            "stride": stride,
            "inputs": self.inputs,
            "share": self.share,
            "group_blocks": self.group_blocks,
            "minimum": self.minimum,
            "tiles": [
                {"offset": offset, "beats": beats, "rows": rows}
                for offset, beats, rows in zip(self.offsets, self.beats, self.rows, strict=True)
            ],
        }


class WeightImages:
    """Layout of the weight channels, the same in each: the layers' matrices, the head, the KV cache.

    Sizes of the matrices follow from the shapes; places are known after `place` or `assume`.

    Args:
        groups: inputs that share a scale in `qkv` (k, q, v stacked; scores need not wait for v), `o`, `gate_up`, `down`
            and `head`.

    Attributes:
        qkv, o, gate_up, down, head: see `Matrix`.
        layer_bytes: bytes of a layer in every channel. weight_bytes: of all layers and the head, in all channels.
        k_at, v_at: byte offset of every KV head in a layer's cache; cache_at, cache_stride, cache_bytes: its first
            byte, bytes a layer, bytes of all layers, in every channel.
        channel_bytes: all of a channel.
    """

    def __init__(self, shapes: Shapes, groups: Mapping[str, int]) -> None:
        self.shapes, self.params = shapes, shapes.params
        c = shapes.config
        self.qkv = Matrix.of(shapes, shapes.qkv_size, c.dim, groups["qkv"], shapes.v_first)
        self.o = Matrix.of(shapes, c.dim, shapes.q_size, groups["o"])
        self.gate_up = Matrix.of(shapes, 2 * shapes.ffn, c.dim, groups["gate_up"])
        self.down = Matrix.of(shapes, c.dim, shapes.ffn, groups["down"])
        self.head = Matrix.of(shapes, c.vocab, c.dim, groups["head"])

    @property
    def layer_matrices(self) -> dict[str, Matrix]:
        return {"qkv": self.qkv, "o": self.o, "gate_up": self.gate_up, "down": self.down}

    @property
    def matrices(self) -> dict[str, Matrix]:
        return {**self.layer_matrices, "head": self.head}

    def place(self, beats: Mapping[str, Sequence[int]]) -> None:
        """Give every tile of `matrices` its room: lane words, the most that a layer needs."""
        memory = Allocator(self.params.word_bytes)
        for name, matrix in self.layer_matrices.items():
            matrix.place(beats[name], memory)
        self.layer_bytes = memory.used
        memory.take(self.layer_bytes * (self.shapes.config.layers - 1))
        self.head.place(beats["head"], memory)
        self.weight_bytes = memory.used * self.params.channels
        self._place_cache(memory)
        self.channel_bytes = memory.used

    def assume(self, fmt: BlockFormat) -> None:
        """`place` as if all weights had one format. Exact for such weights, if no row or input is padding."""
        for matrix in self.matrices.values():
            matrix.dense = fmt.dense
        self.place({
            name: [
                uniform_beats(fmt, self.params.planes, rows=rows, share=matrix.share,
                              group_blocks=matrix.group_blocks, minimum=matrix.minimum)
                for rows in matrix.rows
            ]
            for name, matrix in self.matrices.items()
        })

    def manifest(self) -> dict:
        return {
            name: matrix.manifest(0 if matrix is self.head else self.layer_bytes)
            for name, matrix in self.matrices.items()
        }

    def _place_cache(self, memory: Allocator) -> None:
        s, word, heads = self.shapes, self.params.word_bytes, range(self.shapes.config.kv_heads)
        layer = Allocator(word)
        self.k_at = [layer.take(s.k_beats * word) for _ in heads]
        self.v_at = [layer.take(s.v_beats * word) for _ in heads]
        self.cache_stride = layer.used
        self.cache_bytes = layer.used * s.config.layers
        self.cache_at = memory.take(self.cache_bytes)
