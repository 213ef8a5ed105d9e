"""Attention of new tokens: rotary embedding, append to the cache, scores, softmax, values."""

from collections.abc import Callable
from functools import partial

from golden.isa.llm import Alu, Binary, Reduce, Unary
from golden.llm.numerics import EX_MAX
from golden.llm.stream import kv_together
from golden.params import BLOCK, LlmParams

from .buffers import Buffers, Part
from .emit import Emitter
from .plan import Shapes
from .product import multiply
from .registers import Register
from .rows import Rows
from .vectors import VectorImage
from .weights import WeightImages

__all__ = ["AttentionEmitter"]

GROUP_LOG2 = 2
"""Blocks of the cache whose products are summed before the accumulator takes them, log2: what its 27 bits hold."""
assert (BLOCK * 127 * 127) << (EX_MAX + GROUP_LOG2) < 1 << 26


class AttentionEmitter:
    """Of the tokens of a part, from position POSITION + `part.first` on; each sees itself and what is before it.

    The vectors that are worked on at once are one head of all tokens, or several heads of the only one: those that
    share a KV head, or neighbours where none is shared. Such groups are pipelined: while the array computes the scores
    of one, the vector unit works on the one before.
    Softmax is normalised last: out = (sum of exp(s - max) * v_scale * v) / sum of exp(s - max).
    """

    def __init__(self, emit: Emitter, params: LlmParams, shapes: Shapes, buffers: Buffers, part: Part,
                 weights: WeightImages, vectors: VectorImage) -> None:
        self.emitter, self.params, self.shapes, self.buffers, self.part = emit, params, shapes, buffers, part
        self.weights, self.vectors, self.config = weights, vectors, shapes.config
        self.tokens, self.appended = buffers.tokens, 0
        self.stores: dict[int, Callable[[], None]] = {}

    def _lengths(self) -> None:
        """Registers that follow from the position: LENGTH of the first token, the others as the last token needs."""
        e, p, s, more = self.emitter, self.params, self.shapes, self.tokens - 1
        e.alu(Alu.ADD, Register.LENGTH, Register.POSITION, self.part.first + 1)
        e.alu(Alu.ADD, Register.K_ROWS, Register.LENGTH, more + p.row_groups - 1)
        e.alu(Alu.SHR, Register.K_ROWS, Register.K_ROWS, p.row_groups.bit_length() - 1)
        e.alu(Alu.MUL, Register.K_BEATS, Register.K_ROWS, s.bundle_beats)
        e.alu(Alu.ADD, Register.V_BLOCKS, Register.LENGTH, more + BLOCK * p.ksplit - 1)
        e.alu(Alu.SHR, Register.V_BLOCKS, Register.V_BLOCKS, (BLOCK * p.ksplit).bit_length() - 1)
        e.alu(Alu.MUL, Register.V_BEATS, Register.V_BLOCKS, s.v_rows * s.bundle_beats)

    def arrive(self, first: int, count: int) -> None:
        """Turn and append the heads of k, q, v (below each other in `qkv`) that elements first .. first + count end.

        If nothing else keeps the array busy, what the first scores need not wait for is left to `emit`.
        """
        kv = self.config.kv_heads
        q, v, end = kv, kv + self.config.heads, 2 * kv + self.config.heads
        until = min((first + count) // self.shapes.head, end)

        def new(start: int, end: int) -> range:
            return range(max(self.arrived, start), min(until, end))

        if first == 0:
            self.arrived, self.queries, self.values = 0, range(0), range(0)
        keys, queries, values = new(0, q), new(q, v), new(v, end)
        alone = len(self.buffers.parts) == 1
        at_once = len(self._groups()) <= self.buffers.ring  # all scores come before anything else
        self._turn(keys, 2)
        self._append(keys, alone and at_once)
        if queries and alone and (until == end or (until >= v and at_once)):
            self.queries = queries
        else:
            self._turn(queries, 0)
        if values and alone and until == end:
            self.values = values
        else:
            self._append(values)
        self.arrived = until

    def emit(self) -> None:
        """q and the cache to `attn`."""
        self._lengths()
        groups, ring = self._groups(), self.buffers.ring
        ahead = ring - 1
        for i in range(-ahead, len(groups) + ahead):
            if i + ahead < len(groups):
                self._scores(groups[i + ahead], (i + ahead) % ring)
            if i == -1:
                self._append(self.values)
            if 0 <= i < len(groups):
                self._mix(groups[i], i % ring)
            if i >= ahead:
                self._normalise(groups[i - ahead], (i - ahead) % ring)

    def _groups(self) -> list[range]:
        """Query heads by group."""
        c, most = self.config, self.buffers.heads
        span = c.heads if c.heads == c.kv_heads else c.heads // c.kv_heads
        return [
            range(first, min(first + most, start + span))
            for start in range(0, c.heads, span)
            for first in range(start, start + span, most)
        ]

    def _vectors(self, rows: Rows, group: range) -> tuple[Rows, int]:
        """The vectors of a group, and how many, in `rows` where heads lie behind each other."""
        head_rows = self.shapes.head // self.params.sfu_lanes
        first = rows + group.start * head_rows
        return (first, self.tokens) if self.tokens > 1 else (Rows(first.first, head_rows), len(group))

    def _turn(self, heads: range, table: int) -> None:
        """Rotary embedding of heads of qkv, by the tables `table` and `table + 1`."""
        if not heads:
            return
        e, b, s, count = self.emitter, self.buffers, self.shapes, self.tokens
        head_rows, elements = s.head // self.params.sfu_lanes, len(heads) * s.head
        at, cos = self.part.qkv + heads.start * head_rows, self.part.rope + table * head_rows
        e.vec(b.turned, at, elements, count=count, binary=Binary.SWAPMUL, b=cos + head_rows, period=head_rows)
        e.vec(at, at, elements, count=count, binary=Binary.MUL, b=cos, period=head_rows)
        e.vec(at, at, elements, count=count, binary=Binary.ADD, b=b.turned)

    def _append(self, heads: range, later: bool = False) -> None:
        """Heads of qkv, either K or V: their new rows to the cache.

        Those of a single token are quantised several at once. With `later` only the first of those is stored at once,
        the others when their scores come.
        """
        ring = len(self.buffers.kv_block)
        self._store_left(max(self.stores, default=0))
        if heads:
            self._scales_place()
        while heads:
            place = self.appended % ring
            most = 1 if self.tokens > 1 else min(self.buffers.vectors, ring - place)
            now, heads = heads[:most], heads[most:]
            self.appended += len(now)
            self._quantise_rows(now, place)
            for i, head in enumerate(now):
                store = partial(self._store_row, head, i, self.buffers.kv_block[place + i])
                if later and i and not heads:
                    self.stores[head] = store
                else:
                    store()

    def _store_left(self, last: int) -> None:
        """Of the heads of qkv that have been left, those up to `last`."""
        left = [head for head in self.stores if head <= last]
        if left:
            self._scales_place()
        for head in left:
            self.stores.pop(head)()

    def _scales_place(self) -> None:
        """Where the scales of the first token go: in memory, in ADDRESS, and the row of their row on the chip."""
        e, at, row = self.emitter, Register.ADDRESS, Register.SCALE_ROW
        e.alu(Alu.ADD, row, Register.POSITION, self.part.first)
        e.alu(Alu.SHL, at, row, 2)
        e.alu(Alu.ADD, at, at, 0, Register.SCALES)
        e.alu(Alu.SHR, row, row, self.params.sfu_lanes.bit_length() - 1)

    def _scale_row(self, head: int, value: bool) -> int:
        return self.buffers.scales + (2 * head + int(value)) * self.shapes.scale_row // self.params.sfu_lanes

    def _quantise_rows(self, heads: range, place: int) -> None:
        """New rows of heads of qkv to the places of the ring from `place` on."""
        b, s, ksplit = self.buffers, self.shapes, self.params.ksplit
        rows, count = self._vectors(self.part.qkv, heads)
        blocks = s.head // BLOCK // ksplit
        self.emitter.quantise(rows, s.head, b.kv_block[place], blocks, count=count, block_step=blocks, n=s.head, flat=1,
                              slot=b.kv_slot, sd=b.kv_scale, round_log2=ksplit.bit_length() - 1)

    def _store_row(self, head: int, number: int, first: int) -> None:
        """New rows of a head of qkv, number `number` of those quantised at once, from block `first` on: to the cache in
        place, their scales to memory and to the chip."""
        e, p, s, c = self.emitter, self.params, self.shapes, self.config
        value, blocks = head >= c.kv_heads, s.head // BLOCK // p.ksplit
        head -= value * (c.kv_heads + c.heads)
        image = 2 * head + int(value)
        scales = self._scale_row(head, value)
        row = e.span(scales, s.scale_row)
        place = self.weights.v_at if value else self.weights.k_at
        e.add("PUT", [], [row], a=scales, rn=Register.POSITION, n=self.part.first, sa=self.buffers.kv_scale + number,
              repeat=self.tokens - 1)
        together = min(self.tokens & -self.tokens, kv_together(p, value))
        for t in range(0, self.tokens, together):
            block = first + t * blocks
            e.add("STK", [("xbuf", block, block + together * blocks)], [("cache", image, image + 1)],
                  a=self.weights.cache_at + place[head], ra=Register.CACHE, b=block, rn=Register.POSITION,
                  n=self.part.first + t, count=s.head, value=int(value), rows=s.v_rows if value else s.kv_rows,
                  blocks=s.v_blocks if value else s.k_blocks, repeat=together - 1, stride_b=blocks)
        e.add("STV", [row], [], a=self.vectors.scales_at + image * self.vectors.scale_stride, ra=Register.ADDRESS,
              b=scales, rb=Register.SCALE_ROW, n=self.tokens)

    def _kv_head(self, head: int) -> int:
        return head // (self.config.heads // self.config.kv_heads)

    def _scores(self, group: range, turn: int) -> None:
        """Scores of a group: rows of K are tokens, each block of 16 inputs lies as rows below each other."""
        e, p, s, b = self.emitter, self.params, self.shapes, self.buffers
        first, end = (self.config.kv_heads + head for head in (group.start, group.stop))
        self._turn(range(max(first, self.queries.start), min(end, self.queries.stop)), 0)
        block, slot = b.q_block[turn], b.q_slot[turn]
        q, count = self._vectors(self.part.qkv + s.kv_size // p.sfu_lanes, group)
        e.quantise(q, s.head, block, s.k_blocks, count=count, **self._apart(s.k_blocks), n=s.head, slot=slot,
                   round_log2=(p.ksplit * s.k_blocks).bit_length() - 1)
        spare = e.rows(p.row_groups + self.tokens - 1) if s.k_tiles == 1 else None
        self._store_left(self._kv_head(group.start))
        for i, head in enumerate(self._passes(group)):
            image = 2 * self._kv_head(head)
            at = self.weights.cache_at + self.weights.k_at[self._kv_head(head)]
            out = b.scores[turn] + i * b.scores[turn].stride
            for tile in range(s.k_tiles):
                rows, beats = Register.K_ROWS, Register.K_BEATS
                if s.k_tiles > 1:
                    rows, beats = self._tile_length(tile)
                for k in range(s.k_blocks):
                    part = tile * s.k_tile_beats + k * s.kv_rows * s.bundle_beats
                    e.add("LDW", [("cache", image, image + 1)], a=at + part * p.word_bytes, ra=Register.CACHE, rn=beats)
                self._multiply(i, count, out + tile * s.kv_tile // p.sfu_lanes, s.kv_tile, block, s.k_blocks, slot=slot,
                               rn=rows, grow=1, blocks=s.k_blocks, spare=spare)

    def _passes(self, group: range) -> range:
        """Heads of a group for which the cache is read: the first alone, if the others have the same KV head."""
        return group[:1] if self.buffers.together else group

    def _apart(self, blocks: int) -> dict[str, int]:
        """How the quantised vectors of a group lie: in the buffers of an MM's vectors, or behind each other."""
        return {"token_step": 1} if self.buffers.together else {"block_step": blocks}

    def _multiply(self, i: int, count: int, out: Rows, outputs: int, block: int, each: int, *, slot: int,
                  spare: int | None = None, **fields: int) -> None:
        """Rows of the cache times all vectors of a group, or times vector `i`; `each` blocks long."""
        count = count if self.buffers.together else 1
        first = block + i * each
        multiply(self.emitter, out, outputs, ("xbuf", first, first + each), count=count, raw=1, slot=slot + i,
                 spare=spare, group_log2=GROUP_LOG2, **fields)

    def _tile_length(self, tile: int) -> tuple[Register, Register]:
        """Rows of K in `tile`, 0 where the context is shorter, and their beats; in registers of their own."""
        e, s = self.emitter, self.shapes
        rows, beats = Register.ADDRESS, Register.K_BEATS
        e.alu(Alu.MAX, rows, Register.K_ROWS, tile * s.kv_rows)
        e.alu(Alu.SUB, rows, rows, tile * s.kv_rows)
        e.alu(Alu.MIN, rows, rows, s.kv_rows)
        e.alu(Alu.MUL, beats, rows, s.bundle_beats)
        return rows, beats

    def _mix(self, group: range, turn: int) -> None:
        """Softmax without its division, then the sum of the values."""
        e, p, s, b = self.emitter, self.params, self.shapes, self.buffers
        scores, total, kv = b.scores[turn], b.total[turn], self._kv_head(group.start)
        out, count = self._vectors(self.part.attn, group)
        step, more = int(self.tokens > 1), self.tokens - 1
        length = {"rn": Register.LENGTH, "n_step": step, "most": s.context, "count": count}
        stride = 0 if b.together else 2 * s.scale_row // p.sfu_lanes
        k_scale, v_scale = (Rows(self._scale_row(kv, value), stride) for value in (False, True))
        e.vec(scores, scores, 0, **length, binary=Binary.MUL, b=k_scale, reduce=Reduce.MAX, to=b.maximum)
        e.vec(scores, scores, 0, **length, binary=Binary.SUB, scalar=b.maximum, unary=Unary.EXP, reduce=Reduce.SUM,
              to=total)
        e.vec(scores, scores, 0, **length, binary=Binary.MUL, b=v_scale)
        block, slot = b.p_block[turn], b.p_slot[turn]
        e.quantise(scores, s.context, block, s.v_blocks, count=count, **self._apart(s.v_blocks), rn=Register.LENGTH,
                   n_step=step, pad=more, slot=slot, round_log2=p.ksplit.bit_length() - 1)
        for i, head in enumerate(self._passes(group)):
            image = 2 * self._kv_head(head) + 1
            at = self.weights.cache_at + self.weights.v_at[self._kv_head(head)]
            e.add("LDW", [("cache", image, image + 1)], a=at, ra=Register.CACHE, rn=Register.V_BEATS)
            self._multiply(i, count, out + i * out.stride, s.v_rows * p.row_groups, block, s.v_blocks, slot=slot,
                           rn=Register.V_BLOCKS, rows=s.v_rows)

    def _normalise(self, group: range, turn: int) -> None:
        """The division that softmax still lacks."""
        e, total = self.emitter, self.buffers.total[turn]
        out, count = self._vectors(self.part.attn, group)
        e.vec(None, None, 1, count=count, from_scalar=total, unary=Unary.RECIP, reduce=Reduce.MAX, to=total)
        e.vec(out, out, self.shapes.head, count=count, binary=Binary.MUL, scalar=total)
