"""Who lies where on the chip: rows of the global buffer, blocks of the activation buffer, exponent slots, scalars."""

from golden.isa.llm import SCALARS, SLOTS
from golden.params import BLOCK, LlmParams

from .capacity import require
from .emit import Rows
from .plan import Allocator, Shapes, ceil_to

__all__ = ["Buffers"]


class Buffers:
    """First row of every vector and first block of every quantised one, for `tokens` tokens at once; attention works on
    `vectors` of them at once: one head of all tokens, or `heads` heads of the one token.

    What is written while its predecessor is still read is a ring: a list of places that take turns. A quantised vector
    has the same blocks in every token's buffer, and heads have blocks behind each other. Places that share exponent
    slots overlap.

    Attributes:
        x, h: residual stream, branch. attn_norm, ffn_norm: weights. rope: tables of the positions. qkv: k, q, then v.
        turned: rotated halves. attn: attention's output. scores: ring. scales: of all K and V rows of a layer.
        ff, gate: feed-forward. logits: ring.
        x_block, kv_block, q_block, p_block: quantised vectors; the last three are rings.
        x_slot, kv_slot, q_slot, p_slot: their exponents.
        total, mean, maximum, kv_scale: scalars, one a vector; `total` is a ring.
    """

    RING = 2

    def __init__(self, params: LlmParams, shapes: Shapes, inputs: int, tokens: int, heads: int) -> None:
        """`inputs`: of the widest matrix, with padding. One of `tokens` and `heads` is 1."""
        self.params, self.tokens, self.heads, c, s = params, tokens, heads, shapes.config, shapes
        self.vectors = count = tokens * heads
        rows, ring = Allocator(), range(self.RING)

        def vector(elements: int) -> int:
            return rows.take(-(-elements // params.sfu_lanes))

        def vectors(elements: int, count: int = tokens) -> Rows:
            stride = -(-elements // params.sfu_lanes)
            return Rows(rows.take(stride * count), stride)

        dim = s.outputs(c.dim)
        self.x, self.h = vectors(dim), vectors(dim)
        self.attn_norm, self.ffn_norm = Rows(vector(dim)), Rows(vector(dim))
        self.qkv = vectors(s.outputs(s.qkv_size))
        self.attn = vectors(s.q_size + s.v_rows * params.row_groups)
        self.rope = vectors(4 * s.head)
        self.turned = vectors(s.q_size)
        self.scores = [vectors(ceil_to(s.context, s.kv_tile), count) for _ in ring]
        self.scales = vector(2 * c.kv_heads * s.scale_row)
        self.ff = vectors(s.outputs(2 * s.ffn))
        self.gate = vectors(s.ffn)
        self.logits = [vector(params.acc_depth * params.row_groups) for _ in ring]
        require("vmem_rows (global buffer)", rows.used, params.vmem_rows, "raise vmem_rows or shorten the context")

        blocks = Allocator()
        head_blocks = s.head // BLOCK // params.ksplit
        self.q_block = [blocks.take(s.k_blocks * heads) for _ in ring]
        self.x_block = self.q_block[0]
        blocks.take(max(0, inputs // BLOCK // params.ksplit - blocks.used))
        self.kv_block = [blocks.take(head_blocks * tokens) for _ in ring]
        self.p_block = [blocks.take(s.v_blocks * heads) for _ in ring]
        require("xbuf_blocks (activation buffer)", blocks.used, params.xbuf_blocks, "raise xbuf_blocks")

        slots, scalars = Allocator(), Allocator()
        self.q_slot = [slots.take(count) for _ in ring]
        self.x_slot = self.q_slot[0]
        self.p_slot = [slots.take(count) for _ in ring]
        self.kv_slot = self.p_slot[-1]
        self.total = [scalars.take(count) for _ in ring]
        self.mean, self.maximum = scalars.take(count), scalars.take(count)
        self.kv_scale = self.mean
        assert slots.used <= SLOTS
        assert scalars.used <= SCALARS
