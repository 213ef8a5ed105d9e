"""A step of a Llama: some tokens in a row through all layers, and the largest logits behind the last one."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate

from golden.isa.llm import Alu, Binary
from golden.params import BLOCK, LlmParams

from .attention import AttentionEmitter
from .buffers import Buffers, Part
from .composites import activate, normalise
from .emit import Emitter
from .listing import list_largest
from .lookahead import Lookahead
from .plan import Shapes
from .product import multiply
from .prompt import PromptPlan
from .registers import WHOLE, Register
from .rows import Rows
from .vectors import VectorImage
from .weights import Matrix, WeightImages

__all__ = ["StepEmitter"]

AHEAD = 2
"""Tiles that the array has in its queue before anything that waits for a tile's results can fill another queue."""


class StepEmitter:
    """Emission for `parts` times `tokens` tokens at once, or for one whose attention works on `heads` heads at once,
    `ring` such groups in turn.

    The array multiplies the tokens of one part; meanwhile the vector unit works on those of the other. The vectors of a
    layer (norm weights, scales of the cache) are loaded one layer ahead, so that no load at a layer's start waits for
    the layer before, and the weights behind it run ahead.

    Args:
        base: number of the first instruction in the program.

    Raises:
        DoesNotFitError: the global or the activation buffer is too small for so many tokens.
    """

    def __init__(self, params: LlmParams, shapes: Shapes, weights: WeightImages, vectors: VectorImage, base: int,
                 *, parts: int = 1, tokens: int = 1, heads: int = 1, ring: int = 2) -> None:
        self.shapes, self.params, self.config, self.tokens = shapes, params, shapes.config, tokens
        self.emit = Emitter(params, base)
        self.weights, self.vectors = weights, vectors
        widest = max(matrix.inputs for matrix in weights.matrices.values())
        self.buffers = Buffers(params, shapes, widest, parts=parts, tokens=tokens, heads=heads, ring=ring)
        self.parts = self.buffers.parts
        self.attention = {
            part: AttentionEmitter(self.emit, params, shapes, self.buffers, part, weights, vectors)
            for part in self.parts
        }
        self.at_once = parts * tokens
        self.late = Lookahead(AHEAD)

    def decode(self) -> list[int]:
        """Words of a run with MODE = DECODE: token TOKEN at POSITION, then HALT."""
        e, v, x = self.emit, self.vectors, self.parts[0].x
        e.alu(Alu.MUL, Register.ADDRESS, Register.TOKEN, v.embed_stride)
        self._layers(self.parts, lambda _: self._load(v.embed_at, Register.ADDRESS, x.first, self.config.dim))
        e.anchor()
        self._head()
        e.add("HALT")
        return e.words()

    def prefill(self) -> list[int]:
        """Words of a run that reads a prompt: CHUNKS - 1 times the tokens of all parts; then, if there are several
        parts and MODE is not WHOLE, those of the first."""
        e, x, dim = self.emit, self.parts[0].x, self.config.dim
        e.alu(Alu.SUB, Register.MODE, Register.MODE, 1)
        e.barrier()
        to_test = self._jump()
        chunk = self._chunk(self.parts)
        e.target(to_test, e.anchor())
        e.add("DBNZ", a=chunk, rd=Register.CHUNKS)
        to_end = []
        if len(self.parts) > 1:
            e.alu(Alu.SHR, Register.ADDRESS, Register.MODE, WHOLE.bit_length() - 1)
            e.alu(Alu.ADD, Register.ADDRESS, Register.ADDRESS, 1)
            to_end.append(e.add("DBNZ", rd=Register.ADDRESS))
            self._chunk(self.parts[:1])
        end = e.anchor()
        for branch in to_end:
            e.target(branch, end)
        e.alu(Alu.AND, Register.MODE, Register.MODE, WHOLE - 1)
        e.add("VEC", e.spans(x, dim, self.at_once), [e.span(x.first, dim)], a=x.first, b=x.first, rb=Register.MODE,
              n=dim, store=1)
        first = self.parts[0].one()
        self._norm(first, self.buffers.attn_norm, 0)
        self._head()
        e.add("HALT")
        return e.words()

    def plan(self) -> PromptPlan:
        """How `prefill` takes a prompt."""
        first, *others = self.parts
        return PromptPlan(self.at_once, first.tokens if others else 0, first.x.stride, self.vectors.prompt_at)

    def _jump(self) -> int:
        """A branch that is always taken; its number, for `Emitter.target`."""
        self.emit.alu(Alu.ADD, Register.ADDRESS, 0, 2)
        return self.emit.add("DBNZ", rd=Register.ADDRESS)

    def _chunk(self, parts: Sequence[Part]) -> int:
        """The next tokens of a prompt, as many as `parts` take, through all layers; behind a barrier, as it ends.

        Returns:
            Its first instruction.
        """
        e, v, x, dim = self.emit, self.vectors, parts[0].x, self.config.dim
        top = e.anchor()
        e.alu(Alu.SHL, Register.ADDRESS, Register.POSITION, 2)

        def embed(t: int) -> None:
            row = x.first + t * x.stride
            e.add("LDG", writes=[e.span(row, dim)], a=v.prompt_at + 4 * t, ra=Register.ADDRESS, b=row, n=dim,
                  table=v.embed_at, stride=v.embed_stride)

        self._layers(parts, embed)
        e.alu(Alu.ADD, Register.POSITION, Register.POSITION, sum(part.tokens for part in parts))
        return top

    def _layers(self, parts: Sequence[Part], embed: Callable[[int], None]) -> None:
        """`embed(t)` loads x of token t, with an address in ADDRESS; x through all layers; ends behind a barrier.

        Every part but the first begins a layer with its norm, behind the first tiles of the part before it. The first
        part ends a layer with the norm of the next one.
        """
        e, c, v, b, w = self.emit, self.config, self.vectors, self.buffers, self.weights
        first, *others = parts
        e.alu(Alu.ADD, Register.LAYERS, 0, c.layers)
        for register in (Register.WEIGHTS, Register.NORMS, Register.CACHE, Register.SCALES):
            e.alu(Alu.ADD, register)
        self._load_attn_norm(0)
        for part in parts:
            for t in range(part.tokens):
                embed(part.first + t)
                self._weigh(part.one(t), b.attn_norm, 0, self._last_piece(w.down))
            if part is first:
                self._normalised(first, b.attn_norm, w.down, w.qkv)
        e.alu(Alu.MUL, Register.ADDRESS, Register.POSITION, v.rope_stride)
        tables = 4 * self.shapes.head * sum(part.tokens for part in parts)
        self._load(v.rope_at, Register.ADDRESS, first.rope.first, tables)
        self._load_ffn_norm(0)
        self._load_scales(0)
        e.barrier()
        top = e.anchor()
        for part in others:
            self.late.add(part, partial(self._normalised, part, b.attn_norm, w.down, w.qkv))
        self._layer(parts)
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

    def _layer(self, parts: Sequence[Part]) -> None:
        """From behind the norm of the first part's `h`, and its quantisation."""
        w, b, s = self.weights, self.buffers, self.shapes
        for part in parts:
            self._product(part, w.qkv, part.qkv, self.attention[part].arrive)
            self.late.add(part, partial(self._attend, part))
        for part in parts:
            self._product(part, w.o, part.h, partial(self._add_branch, part, b.ffn_norm, w.o))
            self.late.add(part, partial(self._normalised, part, b.ffn_norm, w.o, w.gate_up))
        for part in parts:
            self._product(part, w.gate_up, part.ff, partial(self._gate, part))
            self.late.add(part, partial(self._quantise, part, w.down, part.gate, s.ffn))
        self._load_attn_norm(1)
        self._load_ffn_norm(1)
        self._load_scales(1)
        for part in parts:
            self._product(part, w.down, part.h, partial(self._add_branch, part, b.attn_norm, w.down))
            if part is parts[0]:
                self.late.add(part, partial(self._normalised, part, b.attn_norm, w.down, w.qkv))
        for part in parts:
            self.late.settle(part)

    def _product(self, part: Part, matrix: Matrix, out: Rows, then: Callable[[int, int], None]) -> None:
        """out = matrix * the quantised vectors of `part`; `then(first, count)` is to come for each tile's elements."""
        self.late.settle(part)
        first = 0
        for i, rows in enumerate(matrix.rows):
            self._tile(part, matrix, i, out + first // self.emit.lanes, Register.WEIGHTS)
            self.late.tile()
            count = rows * self.params.row_groups
            self.late.add(part, partial(then, first, count))
            first += count

    def _normalised(self, part: Part, weight: Rows, before: Matrix, matrix: Matrix) -> None:
        """Norm of x, which the product with `before` has made, to `h`, quantised for `matrix`."""
        self._norm(part, weight, self._last_piece(before))
        self._quantise(part, matrix, part.h, self.config.dim)

    def _attend(self, part: Part) -> None:
        """Attention, quantised for the matrix behind it."""
        self.attention[part].emit()
        self._quantise(part, self.weights.o, part.attn, self.shapes.q_size)

    def _last_piece(self, matrix: Matrix) -> int:
        """First of the elements of a branch that come with the last tile of `matrix`."""
        firsts = accumulate(matrix.rows[:-1], lambda first, rows: first + rows * self.params.row_groups, initial=0)
        return max(first for first in firsts if first < self.config.dim)

    def _weigh(self, part: Part, weight: Rows, first: int, end: int) -> None:
        """h = x * weight on elements first .. end, if that is what `_norm` starts from."""
        if self.config.norm == "rms" and first < end:
            row = first // self.emit.lanes
            self.emit.vec(part.h + row, part.x + row, end - first, count=part.tokens, binary=Binary.MUL, b=weight + row)

    def _norm(self, part: Part, weight: Rows, weighed: int) -> None:
        """h = norm of x; `weighed`: elements of which `_weigh` has made h."""
        c = self.config
        normalise(self.emit, c.norm, part.h, part.x, weight, c.dim, c.norm_eps, count=part.tokens,
                  scalar=self.buffers.mean, weighed=weighed)

    def _add_branch(self, part: Part, weight: Rows, matrix: Matrix, first: int, count: int) -> None:
        """x += h on elements first .. first + count of the product with `matrix`, then h = x * weight on those but the
        last ones: a norm's weights need no mean."""
        row, end = first // self.emit.lanes, min(first + count, self.config.dim)
        if first < end:
            x = part.x + row
            self.emit.vec(x, x, end - first, count=part.tokens, binary=Binary.ADD, b=part.h + row)
            self._weigh(part, weight, first, min(end, self._last_piece(matrix)))

    def _gate(self, part: Part, first: int, count: int) -> None:
        """gate = activation(ff) on elements of ff's first half, as they come; gate *= ff on those of the second.

        Of one token that product is one instruction behind the last elements, so that QNT finds its exponents noted.
        """
        e, ffn, n = self.emit, self.shapes.ffn, part.tokens
        in_gate = min(count, ffn - first)
        if in_gate > 0:
            row = first // e.lanes
            activate(e, self.config.activation, part.gate + row, part.ff + row, in_gate, count=n)
        first, end = max(first, ffn), min(first + count, 2 * ffn)
        if n == 1 and first < end:
            first = ffn if end == 2 * ffn else end
        if first < end:
            gate = part.gate + (first - ffn) // e.lanes
            e.vec(gate, gate, end - first, count=n, binary=Binary.MUL, b=part.ff + first // e.lanes)

    def _quantise(self, part: Part, matrix: Matrix, source: Rows, elements: int) -> None:
        e, p, group_blocks = self.emit, self.params, matrix.group_blocks
        e.quantise(source, elements, part.x_block, matrix.inputs // BLOCK // p.ksplit, count=part.tokens, token_step=1,
                   n=elements, group_log2=group_blocks.bit_length() - 1,
                   round_log2=(p.ksplit * group_blocks).bit_length() - 1, slot=part.x_slot)

    def _tile(self, part: Part, matrix: Matrix, i: int, out: Rows, register: int) -> None:
        e, rows = self.emit, matrix.rows[i]
        e.add("LDW", a=matrix.offsets[i], ra=register, n=matrix.beats[i])
        region = ("xbuf", part.x_block, part.x_block + matrix.inputs // BLOCK // self.params.ksplit)
        multiply(e, out, rows * self.params.row_groups, region, count=part.tokens, n=matrix.share, rows=rows,
                 group_log2=matrix.group_blocks.bit_length() - 1, scaled=1, minimum=int(matrix.minimum),
                 dense=int(matrix.dense), slot=part.x_slot, beats=matrix.beats[i])

    def _head(self) -> None:
        """From the final norm of the first token in `h`: the head tile by tile into the running arg-max."""
        e, p, c, b = self.emit, self.params, self.config, self.buffers
        head, token = self.weights.head, self.parts[0].one()
        self._quantise(token, head, token.h, c.dim)
        first, late = 0, Lookahead(b.LOGITS - 1)

        def fold(at: int, start: int, count: int) -> None:
            e.add("AMX", [e.span(at, count)], a=start, b=at, n=count, first=int(start == 0))

        for i, rows in enumerate(head.rows):
            out = b.logits_of(i, first)
            self._tile(token, head, i, Rows(out), 0)
            late.tile()
            count = min(rows * p.row_groups, c.vocab - first)
            late.add(head, partial(fold, out, first, count))
            first += count
        late.settle(head)
        if listed := self.shapes.listed:
            list_largest(e, b.logits_of(0, 0), c.vocab, b.top, listed, self.vectors.top_at)
