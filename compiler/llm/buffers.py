"""Who lies where on the chip: rows of the global buffer, blocks of the activation buffer, exponent slots, scalars."""

from dataclasses import dataclass, replace

from compiler.capacity import require
from golden.isa.llm import SCALARS, SLOTS
from golden.params import BLOCK, LlmParams

from .plan import Allocator, Shapes, ceil_to
from .rows import Rows

__all__ = ["Buffers", "Part"]


KV_RING = 8
"""Heads of K and V that wait at most to be written to the cache: that takes longer than making them."""


@dataclass(frozen=True)
class Part:
    """Tokens in a row that the array multiplies at once, and their vectors.

    Attributes:
        first, tokens: which of a step's tokens.
        x, h: residual stream, branch. rope: tables of the positions. qkv: k, q, then v. attn: attention's output.
        ff, gate: feed-forward; they lie where qkv and attn do.
        x_block, x_slot: what a matrix multiplies, quantised, and the exponents.
    """

    first: int
    tokens: int
    x: Rows
    h: Rows
    rope: Rows
    qkv: Rows
    attn: Rows
    ff: Rows
    gate: Rows
    x_block: int
    x_slot: int

    def one(self, token: int = 0) -> "Part":
        """Token `token` alone."""
        rows = {name: getattr(self, name) + token * getattr(self, name).stride
                for name in ("x", "h", "rope", "qkv", "attn", "ff", "gate")}
        return replace(self, first=self.first + token, tokens=1, **rows)


class Buffers:
    """First row of every vector and first block of every quantised one, for `parts` times `tokens` tokens; attention
    works on `vectors` of them at once: one head of all tokens of a part, or `heads` heads of the only token; and on
    `ring` such groups in turn.

    What is written while its predecessor is still read is a ring: a list of places that take turns. A quantised vector
    has the same blocks in every token's buffer, and heads have blocks behind each other.

    Attributes:
        parts: what each part has for itself.
        together: the vectors that attention works on meet the same KV head; MM multiplies them at once.
        attn_norm, ffn_norm: weights. turned: rotated halves. scores: ring. scales: of all K and V rows of a layer.
        logits: ring; if they are listed one vector of all, where qkv and ff lie. top: the list.
        kv_block, q_block, p_block: quantised vectors; rings. kv_slot, q_slot, p_slot: their exponents; places that
            share exponent slots overlap.
        total, mean, maximum, kv_scale: scalars, one a vector; `total` is a ring.
    """

    LOGITS = 2
    """Tiles of logits that lie on the chip at once, if they are not listed."""

    def __init__(self, params: LlmParams, shapes: Shapes, inputs: int, *, parts: int, tokens: int, heads: int,
                 ring: int) -> None:
        """`inputs`: of the widest matrix, with padding. One of `tokens` and `heads` is 1."""
        self.params, self.tokens, self.heads, self.ring, c, s = params, tokens, heads, ring, shapes.config, shapes
        self.together = tokens > 1 or c.heads > c.kv_heads
        self.vectors = count = tokens * heads
        rows, blocks, slots, turns = Allocator(), Allocator(), Allocator(), range(ring)

        def vector(elements: int, allocator: Allocator = rows) -> int:
            return allocator.take(-(-elements // params.sfu_lanes))

        def vectors(elements: int, count: int = tokens, allocator: Allocator = rows) -> Rows:
            stride = -(-elements // params.sfu_lanes)
            return Rows(allocator.take(stride * count), stride)

        dim = s.outputs(c.dim)
        x, h, rope = (vectors(elements, parts * tokens) for elements in (dim, dim, 4 * s.head))
        self.attn_norm, self.ffn_norm = Rows(vector(dim)), Rows(vector(dim))
        self.turned = vectors(s.q_size)
        self.scores = [vectors(ceil_to(s.context, s.kv_tile), count) for _ in turns]
        self.scales = vector(2 * c.kv_heads * s.scale_row)
        self.top = vector(2 * s.listed)
        all_logits = Allocator(start=rows.used)
        if s.listed:
            self.logits = [vector(s.outputs(c.vocab), all_logits)]
        else:
            self.logits = [vector(params.acc_depth * params.row_groups) for _ in range(self.LOGITS)]

        heads_apart = 1 if self.together else heads
        self.q_block = [blocks.take(s.k_blocks * heads_apart) for _ in turns]
        self.p_block = [blocks.take(s.v_blocks * heads_apart) for _ in turns]
        self.q_slot = [slots.take(count) for _ in turns]
        self.p_slot = [slots.take(count) for _ in turns]
        self.kv_slot = self.p_slot[-1]

        self.parts = []
        for first in range(0, parts * tokens, tokens):
            attention, feed = Allocator(start=rows.used), Allocator(start=rows.used)
            self.parts.append(Part(
                first, tokens, *(of_all + first * of_all.stride for of_all in (x, h, rope)),
                qkv=vectors(s.outputs(s.qkv_size), allocator=attention),
                attn=vectors(s.q_size + s.v_rows * params.row_groups, allocator=attention),
                ff=vectors(s.outputs(2 * s.ffn), allocator=feed),
                gate=vectors(s.ffn, allocator=feed),
                x_block=blocks.take(inputs // BLOCK // params.ksplit), x_slot=slots.take(tokens),
            ))
            rows.used = max(attention.used, feed.used)
        rows.used = max(rows.used, all_logits.used)
        kv_blocks = s.head // BLOCK // params.ksplit * tokens
        kv_ring = range(min(KV_RING, max(ring, (params.xbuf_blocks - blocks.used) // kv_blocks)))
        self.kv_block = [blocks.take(kv_blocks) for _ in kv_ring]
        require("vmem_rows (global buffer)", rows.used, params.vmem_rows, "raise vmem_rows or shorten the context")
        require("xbuf_blocks (activation buffer)", blocks.used, params.xbuf_blocks, "raise xbuf_blocks")

        scalars = Allocator()
        self.total = [scalars.take(count) for _ in turns]
        self.mean, self.maximum = scalars.take(count), scalars.take(count)
        self.kv_scale = self.mean
        require("exponent slots", slots.used, SLOTS, "work on fewer vectors at once")
        require("scalar registers", scalars.used, SCALARS, "work on fewer vectors at once")

    def logits_of(self, tile: int, first: int) -> int:
        """Row of the logits from number `first` on, which tile `tile` of the head makes."""
        if len(self.logits) == 1:
            return self.logits[0] + first // self.params.sfu_lanes
        return self.logits[tile % self.LOGITS]
