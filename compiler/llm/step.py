"""A step of a Llama: some tokens in a row through all layers, and the arg-max behind the last one."""

from collections import deque
from collections.abc import Callable
from functools import partial

from golden.isa.llm import Alu, Binary
from golden.params import BLOCK, LlmParams

from .attention import AttentionEmitter
from .buffers import Buffers
from .composites import activate, normalise
from .emit import Emitter, Rows
from .plan import Shapes
from .product import multiply
from .registers import Register
from .vectors import VectorImage
from .weights import Matrix, WeightImages

__all__ = ["StepEmitter"]

AHEAD = 2
"""Tiles that the array has in its queue before anything that waits for a tile's results can fill another queue."""


class StepEmitter:
    """Emission for `tokens` tokens at once, or for one whose attention works on `heads` heads at once.

    The vectors of a layer (norm weights, scales of the cache) are loaded one layer ahead, so that no load at a layer's
    start waits for the layer before, and the weights behind it run ahead.

    Args:
        base: number of the first instruction in the program.

    Raises:
        DoesNotFitError: the global or the activation buffer is too small for so many tokens.
    """

    def __init__(self, params: LlmParams, shapes: Shapes, weights: WeightImages, vectors: VectorImage, base: int,
                 *, tokens: int = 1, heads: int = 1) -> None:
        self.shapes, self.params, self.config, self.tokens = shapes, params, shapes.config, tokens
        self.emit = Emitter(params.sfu_lanes, base)
        self.weights, self.vectors = weights, vectors
        widest = max(matrix.inputs for matrix in weights.matrices.values())
        self.buffers = Buffers(params, shapes, widest, tokens, heads)
        self.attention = AttentionEmitter(self.emit, params, shapes, self.buffers, weights, vectors)

    def decode(self) -> list[int]:
        """Words of a run with MODE = DECODE: token TOKEN at POSITION, then HALT."""
        e, v = self.emit, self.vectors
        e.alu(Alu.MUL, Register.ADDRESS, Register.TOKEN, v.embed_stride)
        self._layers(lambda _: self._load(v.embed_at, Register.ADDRESS, self.buffers.x.first, self.config.dim))
        e.anchor()
        self._head()
        e.add("HALT")
        return e.words()

    def prefill(self) -> list[int]:
        """Words of a run with MODE = PREFILL + the last token's row: CHUNKS times `tokens` tokens of the prompt."""
        e, v, b, dim = self.emit, self.vectors, self.buffers, self.config.dim
        e.alu(Alu.SUB, Register.MODE, Register.MODE, 1)
        e.barrier()
        chunk = e.anchor()
        e.alu(Alu.SHL, Register.ADDRESS, Register.POSITION, 2)

        def embed(t: int) -> None:
            row = b.x.first + t * b.x.stride
            e.add("LDG", writes=[e.span(row, dim)], a=v.prompt_at + 4 * t, ra=Register.ADDRESS, b=row, n=dim,
                  table=v.embed_at, stride=v.embed_stride)

        self._layers(embed)
        e.alu(Alu.ADD, Register.POSITION, Register.POSITION, self.tokens)
        e.add("DBNZ", a=chunk, rd=Register.CHUNKS)
        e.anchor()
        for rows in (b.x, b.h):
            e.add("VEC", e.spans(rows, dim, self.tokens), [e.span(rows.first, dim)], a=rows.first, b=rows.first,
                  rb=Register.MODE, n=dim, store=1)
        self._head()
        e.add("HALT")
        return e.words()

    def _layers(self, embed: Callable[[int], None]) -> None:
        """`embed(t)` loads x of token t, with an address in ADDRESS; x through all layers; ends behind a barrier.

        The first norm begins while vectors are still loaded, and jumps over that of the loop.
        """
        e, c, v, b = self.emit, self.config, self.vectors, self.buffers
        e.alu(Alu.ADD, Register.LAYERS, 0, c.layers)
        for register in (Register.WEIGHTS, Register.NORMS, Register.CACHE, Register.SCALES):
            e.alu(Alu.ADD, register)
        self._load_attn_norm(0)
        for t in range(self.tokens):
            embed(t)
            self._weigh(b.attn_norm, 0, c.dim, range(t, t + 1))
        e.alu(Alu.MUL, Register.ADDRESS, Register.POSITION, v.rope_stride)
        self._load(v.rope_at, Register.ADDRESS, b.rope.first, 4 * self.shapes.head * self.tokens)
        self._load_ffn_norm(0)
        self._load_scales(0)
        self.attention.emit_lengths()
        self._norm(b.attn_norm, self.tokens)
        e.barrier()
        e.alu(Alu.ADD, Register.ADDRESS, 0, 2)
        jump = e.add("DBNZ", rd=Register.ADDRESS)
        top = e.anchor()
        self._norm(b.attn_norm, self.tokens)
        e.barrier()
        e.target(jump, e.anchor())
        self._layer()
        e.barrier()
        e.alu(Alu.ADD, Register.WEIGHTS, Register.WEIGHTS, self.weights.layer_bytes)
        e.alu(Alu.ADD, Register.NORMS, Register.NORMS, 2 * v.norm_stride)
        e.alu(Alu.ADD, Register.CACHE, Register.CACHE, self.weights.cache_stride)
        e.alu(Alu.ADD, Register.SCALES, Register.SCALES, 2 * c.kv_heads * v.scale_stride)
        e.add("DBNZ", a=top, rd=Register.LAYERS)

    def _load(self, address: int, register: int, row: int, count: int) -> None:
        self.emit.add("LDV", writes=[self.emit.span(row, count)], a=address, ra=register, b=row, n=count)

    def _load_attn_norm(self, ahead: int) -> None:
        """Of the layer `ahead` of this one; behind the last layer lies the final norm."""
        at = self.vectors.norms_at + 2 * ahead * self.vectors.norm_stride
        self._load(at, Register.NORMS, self.buffers.attn_norm.first, self.config.dim)

    def _load_ffn_norm(self, ahead: int) -> None:
        at = self.vectors.norms_at + (2 * ahead + 1) * self.vectors.norm_stride
        self._load(at, Register.NORMS, self.buffers.ffn_norm.first, self.config.dim)

    def _load_scales(self, ahead: int) -> None:
        rows = 2 * self.config.kv_heads
        at = self.vectors.scales_at + ahead * rows * self.vectors.scale_stride
        self._load(at, Register.SCALES, self.buffers.scales, rows * self.shapes.scale_row)

    def _layer(self) -> None:
        """From behind the norm of `h`."""
        c, b, n = self.config, self.buffers, self.tokens
        self.attention.begin()
        self._product(self.weights.qkv, b.h, c.dim, b.qkv, self.attention.arrive)
        self.attention.emit()
        self._product(self.weights.o, b.attn, self.shapes.q_size, b.h, partial(self._add_branch, b.ffn_norm))
        self._norm(b.ffn_norm, n)
        self._product(self.weights.gate_up, b.h, c.dim, b.ff, self._gate)
        self._load_attn_norm(1)
        self._load_ffn_norm(1)
        self._load_scales(1)
        self._product(self.weights.down, b.gate, self.shapes.ffn, b.h, partial(self._add_branch, b.attn_norm))

    def _weigh(self, weight: Rows, row: int, count: int, tokens: range) -> None:
        """h = x * weight of `tokens` on `count` elements from `row` on, if that is what `_norm` starts from."""
        if self.config.norm == "rms":
            h, x = (rows + row + tokens.start * rows.stride for rows in (self.buffers.h, self.buffers.x))
            self.emit.vec(h, x, count, count=len(tokens), binary=Binary.MUL, b=weight + row)

    def _norm(self, weight: Rows, n: int) -> None:
        """h = norm of x, of the first n tokens."""
        c, b = self.config, self.buffers
        normalise(self.emit, c.norm, b.h, b.x, weight, c.dim, c.norm_eps, count=n, scalar=b.mean)

    def _add_branch(self, weight: Rows, first: int, count: int) -> None:
        """x += h, then h = x * weight on elements first .. first + count: a norm's weights need no mean."""
        e, b, n = self.emit, self.buffers, self.tokens
        row, count = first // e.lanes, min(count, self.config.dim - first)
        if count > 0:
            e.vec(b.x + row, b.x + row, count, count=n, binary=Binary.ADD, b=b.h + row)
            self._weigh(weight, row, count, range(n))

    def _gate(self, first: int, count: int) -> None:
        """gate = activation(ff) on elements of ff's first half, gate *= ff on those of the second, as they come."""
        e, b, ffn, n = self.emit, self.buffers, self.shapes.ffn, self.tokens
        in_gate = min(count, ffn - first)
        if in_gate > 0:
            row = first // e.lanes
            activate(e, self.config.activation, b.gate + row, b.ff + row, in_gate, count=n)
        first, count = max(first, ffn), min(first + count, 2 * ffn) - max(first, ffn)
        if count > 0:
            gate = b.gate + (first - ffn) // e.lanes
            e.vec(gate, gate, count, count=n, binary=Binary.MUL, b=b.ff + first // e.lanes)

    def _product(self, matrix: Matrix, source: Rows, elements: int, out: Rows,
                 then: Callable[[int, int], None]) -> None:
        """out = matrix * source; `then(first, count)` is emitted for each tile's elements once AHEAD more tiles are."""
        self._quantise(matrix, source, elements, self.tokens)
        first, late = 0, deque[tuple[int, int]]()
        for i, rows in enumerate(matrix.rows):
            self._tile(matrix, i, out + first // self.emit.lanes, Register.WEIGHTS, self.tokens)
            late.append((first, rows * self.params.row_groups))
            first += late[-1][1]
            if len(late) > AHEAD:
                then(*late.popleft())
        for tile in late:
            then(*tile)

    def _quantise(self, matrix: Matrix, source: Rows, elements: int, count: int) -> None:
        e, p, b = self.emit, self.params, self.buffers
        group_blocks = matrix.group_blocks
        e.quantise(source, elements, b.x_block, matrix.inputs // BLOCK // p.ksplit, count=count, token_step=1,
                   n=elements, group_log2=group_blocks.bit_length() - 1,
                   round_log2=(p.ksplit * group_blocks).bit_length() - 1, slot=b.x_slot)

    def _tile(self, matrix: Matrix, i: int, out: Rows, register: int, count: int) -> None:
        e, b, rows = self.emit, self.buffers, matrix.rows[i]
        e.add("LDW", a=matrix.offsets[i], ra=register, n=matrix.beats[i])
        region = ("xbuf", b.x_block, b.x_block + matrix.inputs // BLOCK // self.params.ksplit)
        multiply(e, out, rows * self.params.row_groups, region, count=count, n=matrix.share, rows=rows,
                 group_log2=matrix.group_blocks.bit_length() - 1, scaled=1, minimum=int(matrix.minimum), slot=b.x_slot,
                 beats=matrix.beats[i])

    def _head(self) -> None:
        """Final norm of the first token, then the head tile by tile into the running arg-max."""
        e, p, c, b = self.emit, self.params, self.config, self.buffers
        head = self.weights.head
        self._norm(b.attn_norm, 1)
        self._quantise(head, b.h, c.dim, 1)
        first, late = 0, []

        def fold(at: int, start: int, count: int) -> None:
            e.add("AMX", [e.span(at, count)], a=start, b=at, n=count, first=int(start == 0))

        for i, rows in enumerate(head.rows):
            out = b.logits[i % b.RING]
            self._tile(head, i, Rows(out), 0, 1)
            for tile in late:
                fold(*tile)
            late = [(out, first, min(rows * p.row_groups, c.vocab - first))]
            first += late[0][2]
        for tile in late:
            fold(*tile)
