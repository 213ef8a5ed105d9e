"""Who lies where on the chip: rows of the global buffer, blocks of the activation buffer, exponent slots."""

from golden.params import BLOCK, LlmParams

from .capacity import require
from .plan import Allocator, Shapes, ceil_to

__all__ = ["Buffers"]


class Buffers:
    """First row of every vector and first block of every quantised one.

    What is written while its predecessor is still read is a ring: a list of places that take turns.

    Attributes:
        x, h: residual stream, branch. attn_norm, ffn_norm: weights. rope: tables of the position. qkv: k, v, then q.
        turned: rotated halves. attn: attention's output. scores: ring. scales: of all K and V rows of a layer.
        ff, gate: feed-forward. logits: ring.
        x_block, kv_block, q_block, p_block: quantised vectors; the last three are rings.
        x_slot, kv_slot, q_slot, p_slot: their exponents.
    """

    RING = 2
    Q_RING = 4

    def __init__(self, params: LlmParams, shapes: Shapes, inputs: int) -> None:
        """`inputs`: of the widest matrix, with padding."""
        self.params, c, s = params, shapes.config, shapes
        rows = Allocator()

        def vector(elements: int) -> int:
            return rows.take(-(-elements // params.sfu_lanes))

        dim = s.outputs(c.dim)
        self.x, self.h = vector(dim), vector(dim)
        self.attn_norm, self.ffn_norm = vector(dim), vector(dim)
        self.qkv = vector(s.outputs(s.qkv_size))
        self.attn = vector(s.q_size + s.v_rows * params.row_groups)
        self.rope = vector(4 * s.head)
        self.turned = vector(s.q_size)
        self.scores = [vector(ceil_to(s.context, s.kv_tile)) for _ in range(self.RING)]
        self.scales = vector(2 * c.kv_heads * s.scale_row)
        self.ff = vector(s.outputs(2 * s.ffn))
        self.gate = vector(s.ffn)
        self.logits = [vector(params.acc_depth * params.row_groups) for _ in range(self.RING)]
        require("vmem_rows (global buffer)", rows.used, params.vmem_rows, "raise vmem_rows or shorten the context")

        blocks = Allocator()
        self.x_block = blocks.take(inputs // BLOCK // params.ksplit)
        self.kv_block = [blocks.take(s.head // BLOCK // params.ksplit) for _ in range(self.RING)]
        self.q_block = [blocks.take(s.k_blocks) for _ in range(self.Q_RING)]
        self.p_block = [blocks.take(s.v_blocks) for _ in range(self.RING)]
        require("xbuf_blocks (activation buffer)", blocks.used, params.xbuf_blocks, "raise xbuf_blocks")

        slots = Allocator()
        self.x_slot, self.kv_slot = slots.take(1), slots.take(1)
        self.q_slot = [slots.take(1) for _ in self.q_block]
        self.p_slot = [slots.take(1) for _ in self.p_block]
