"""The vector channel: room for the program, embeddings, rotary tables, norm weights, the cache's scales."""

import math

import numpy as np

from golden.isa.llm import ISA
from golden.params import BLOCK

from .plan import Allocator, Shapes, ceil_to

__all__ = ["VectorImage"]

ALIGN = 64


class VectorImage:
    """Layout of the vector channel, little-endian binary32 but for the program. Filled by `compiler.llm.fill`.

    Attributes:
        program_at: byte address of the instructions. embed_at, embed_stride: row of a token.
        rope_at, rope_stride: row of a position.
        norms_at, norm_stride: attention norm and feed-forward norm of every layer, then the last one and an empty row.
        scales_at, scale_stride: one row each for K and V of every KV head of every layer and of one more (loads run one
            layer ahead); the engine writes them.
        prompt_at: 32-bit token numbers of a prompt; who starts a prefill writes them.
        top_at, top_stride: the largest logits, if they are listed, the largest first: token number (32 bits) and logit;
            the engine writes them.
        size: bytes of all.
    """

    def __init__(self, shapes: Shapes) -> None:
        self.shapes = shapes
        c = shapes.config
        memory = Allocator(ALIGN)
        self.program_at = memory.take(shapes.params.imem_words * ISA.bits // 8)
        self.embed_stride = ceil_to(4 * c.dim, ALIGN)
        self.embed_at = memory.take(self.embed_stride * c.vocab)
        self.rope_stride = 4 * 4 * shapes.head
        self.rope_at = memory.take(self.rope_stride * shapes.context)
        self.norm_stride = ceil_to(4 * c.dim, ALIGN)
        self.norms_at = memory.take(self.norm_stride * (2 * c.layers + 2))
        self.scale_stride = 4 * shapes.scale_row
        self.scales_at = memory.take(self.scale_stride * 2 * c.kv_heads * (c.layers + 1))
        self.prompt_at = memory.take(4 * ceil_to(shapes.context, BLOCK))
        self.top_stride = 8
        self.top_at = memory.take(self.top_stride * shapes.listed)
        self.size = memory.used

    def manifest(self) -> dict:
        c = self.shapes.config
        return {
            name: {"at": getattr(self, f"{name}_at"), "stride": getattr(self, f"{single}_stride"), "rows": rows}
            for name, single, rows in (
                ("embed", "embed", c.vocab),
                ("rope", "rope", self.shapes.context),
                ("norms", "norm", 2 * c.layers + 1),
                ("scales", "scale", 2 * c.kv_heads * c.layers),
                ("top", "top", self.shapes.listed),
            )
            if rows
        }

    def rope(self) -> np.ndarray:
        """Float [context, 4 * head]: cos and signed sin for q (with 1 / sqrt(head size)), then for k."""
        c, s = self.shapes.config, self.shapes
        pairs = c.rope_theta ** (-np.arange(0, c.head_dim, 2) / c.head_dim)
        angle = np.arange(s.context)[:, None] * pairs
        table = np.zeros((s.context, 4, s.head))
        cos, sin = np.repeat(np.cos(angle), 2, 1), np.repeat(np.sin(angle), 2, 1)
        sin[:, 0::2] *= -1
        for part, scale in ((0, 1 / math.sqrt(c.head_dim)), (2, 1.0)):
            table[:, part, : c.head_dim], table[:, part + 1, : c.head_dim] = cos * scale, sin * scale
        return table.reshape(s.context, -1)
