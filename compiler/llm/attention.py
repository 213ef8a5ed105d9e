"""Attention of one new token: rotary embedding, append to the cache, scores, softmax, values."""

from golden.isa.llm import Alu, Binary, Reduce, Unary
from golden.params import BLOCK, LlmParams

from .buffers import Buffers
from .emit import Emitter
from .plan import Shapes
from .registers import Register
from .vectors import VectorImage
from .weights import WeightImages

__all__ = ["AttentionEmitter"]

MAXIMUM, KV_SCALE, SUM = 2, 1, 4
"""Scalars; the sums of the heads take turns in SUM and on."""
SUMS = 4


class AttentionEmitter:
    """Heads are pipelined: while the array computes the scores of head h, the vector unit works on head h - 1.

    Softmax is normalised last: out = (sum of exp(s - max) * v_scale * v) / sum of exp(s - max).
    """

    def __init__(self, emit: Emitter, params: LlmParams, shapes: Shapes, buffers: Buffers, weights: WeightImages,
                 vectors: VectorImage) -> None:
        self.emitter, self.params, self.shapes, self.buffers = emit, params, shapes, buffers
        self.weights, self.vectors, self.config = weights, vectors, shapes.config

    def emit_lengths(self) -> None:
        """Registers that follow from the position, once a step."""
        e, p, s = self.emitter, self.params, self.shapes
        e.alu(Alu.ADD, Register.LENGTH, Register.POSITION, 1)
        e.alu(Alu.ADD, Register.K_ROWS, Register.LENGTH, p.row_groups - 1)
        e.alu(Alu.SHR, Register.K_ROWS, Register.K_ROWS, p.row_groups.bit_length() - 1)
        e.alu(Alu.MUL, Register.K_BEATS, Register.K_ROWS, s.bundle_beats)
        e.alu(Alu.ADD, Register.V_BLOCKS, Register.LENGTH, BLOCK * p.ksplit - 1)
        e.alu(Alu.SHR, Register.V_BLOCKS, Register.V_BLOCKS, (BLOCK * p.ksplit).bit_length() - 1)
        e.alu(Alu.MUL, Register.V_BEATS, Register.V_BLOCKS, s.v_rows * s.bundle_beats)
        e.alu(Alu.SHR, Register.SCALE_ROW, Register.POSITION, p.sfu_lanes.bit_length() - 1)

    def emit(self) -> None:
        """k, v, q (below each other in `qkv`) to `attn`."""
        e, c, s = self.emitter, self.config, self.shapes
        self._turn(0, s.kv_size, 2)
        e.alu(Alu.SHL, Register.ADDRESS, Register.POSITION, 2)
        e.alu(Alu.ADD, Register.ADDRESS, Register.ADDRESS, 0, Register.SCALES)
        for h in range(c.kv_heads):
            self._append(h, False)
            self._append(h, True)
        self._turn(2 * s.kv_size, s.q_size, 0)
        for h in range(c.heads + 2):
            if h < c.heads:
                self._scores(h)
            if 0 < h <= c.heads:
                self._values(h - 1)
            if h > 1:
                self._normalise(h - 2)

    def _turn(self, first: int, count: int, table: int) -> None:
        """Rotary embedding of all heads from element `first` of qkv on, by the tables `table` and `table + 1`."""
        e, b, head_rows = self.emitter, self.buffers, self.shapes.head // self.params.sfu_lanes
        at, cos = b.qkv + first // e.lanes, b.rope + table * head_rows
        e.vec(b.turned, at, count, binary=Binary.SWAPMUL, b=cos + head_rows, period=head_rows)
        e.vec(at, at, count, binary=Binary.MUL, b=cos, period=head_rows)
        e.vec(at, at, count, binary=Binary.ADD, b=b.turned)

    def _scale_row(self, head: int, value: bool) -> int:
        return self.buffers.scales + (2 * head + int(value)) * self.shapes.scale_row // self.params.sfu_lanes

    def _append(self, head: int, value: bool) -> None:
        """Quantise the new row of K or V and write it to the cache in place, its scale to memory and to the chip."""
        e, p, s, b = self.emitter, self.params, self.shapes, self.buffers
        source = b.qkv + (int(value) * s.kv_size + head * s.head) // p.sfu_lanes
        ring = (2 * head + int(value)) % b.RING
        block, slot = b.kv_block[ring], b.kv_slot
        region = ("xbuf", block, block + s.head // BLOCK // p.ksplit)
        e.add("QNT", [e.span(source, s.head)], [region], a=block, b=source, n=s.head, flat=1, slot=slot, sd=KV_SCALE,
              round_log2=p.ksplit.bit_length() - 1)
        scales = self._scale_row(head, value)
        row = e.span(scales, s.scale_row)
        e.add("PUT", [], [row], a=scales, rn=Register.POSITION, sa=KV_SCALE)
        place = self.weights.v_at if value else self.weights.k_at
        image = 2 * head + int(value)
        e.add("STK", [region], [("cache", image, image + 1)], a=self.weights.cache_at + place[head],
              ra=Register.CACHE, b=block, rn=Register.POSITION, count=s.head, value=int(value),
              rows=s.v_rows if value else s.kv_rows, blocks=s.v_blocks if value else s.k_blocks)
        e.add("STV", [row], [], a=self.vectors.scales_at + image * self.vectors.scale_stride, ra=Register.ADDRESS,
              b=scales, rb=Register.SCALE_ROW, n=1)

    def _kv_head(self, head: int) -> int:
        return head // (self.config.heads // self.config.kv_heads)

    def _scores(self, head: int) -> None:
        """Scores of a head: rows of K are tokens, each block of 16 inputs lies as rows below each other."""
        e, p, s, b = self.emitter, self.params, self.shapes, self.buffers
        block, slot = b.q_block[head % b.Q_RING], b.q_slot[head % b.Q_RING]
        region = ("xbuf", block, block + s.k_blocks)
        source = b.qkv + (2 * s.kv_size + head * s.head) // p.sfu_lanes
        e.add("QNT", [e.span(source, s.head)], [region], a=block, b=source, n=s.head, slot=slot,
              round_log2=(p.ksplit * s.k_blocks).bit_length() - 1)
        image = 2 * self._kv_head(head)
        beat = p.beat_bytes
        for tile in range(s.k_tiles):
            rows, beats = Register.K_ROWS, Register.K_BEATS
            if s.k_tiles > 1:
                rows, beats = self._tile_length(tile)
            at = self.weights.cache_at + self.weights.k_at[self._kv_head(head)] + tile * s.k_tile_beats * beat
            for k in range(s.k_blocks):
                e.add("LDW", [("cache", image, image + 1)], a=at + k * s.kv_rows * s.bundle_beats * beat,
                      ra=Register.CACHE, rn=beats)
            out = b.scores[head % b.RING] + tile * s.kv_tile // p.sfu_lanes
            e.add("MV", [region], [e.span(out, s.kv_tile)], a=out, b=block, rn=rows, grow=1, blocks=s.k_blocks, raw=1,
                  slot=slot)

    def _tile_length(self, tile: int) -> tuple[Register, Register]:
        """Rows of K in `tile`, 0 where the context is shorter, and their beats; in registers of their own."""
        e, s = self.emitter, self.shapes
        rows, beats = Register.ADDRESS, Register.K_BEATS
        e.alu(Alu.MAX, rows, Register.K_ROWS, tile * s.kv_rows)
        e.alu(Alu.SUB, rows, rows, tile * s.kv_rows)
        e.alu(Alu.MIN, rows, rows, s.kv_rows)
        e.alu(Alu.MUL, beats, rows, s.bundle_beats)
        return rows, beats

    def _values(self, head: int) -> None:
        """Softmax without its division, then the sum of the values."""
        e, p, s, b = self.emitter, self.params, self.shapes, self.buffers
        kv, scores, context = self._kv_head(head), b.scores[head % b.RING], s.context
        total = SUM + head % SUMS
        e.vec(scores, scores, 0, rn=Register.LENGTH, most=context, binary=Binary.MUL, b=self._scale_row(kv, False),
              reduce=Reduce.MAX, to=MAXIMUM)
        e.vec(scores, scores, 0, rn=Register.LENGTH, most=context, binary=Binary.SUB, scalar=MAXIMUM,
              unary=Unary.EXP, reduce=Reduce.SUM, to=total)
        e.vec(scores, scores, 0, rn=Register.LENGTH, most=context, binary=Binary.MUL, b=self._scale_row(kv, True))
        block, slot = b.p_block[head % b.RING], b.p_slot[head % b.RING]
        region = ("xbuf", block, block + s.v_blocks)
        e.add("QNT", [e.span(scores, context)], [region], a=block, b=scores, rn=Register.LENGTH, slot=slot,
              round_log2=p.ksplit.bit_length() - 1)
        image = 2 * kv + 1
        e.add("LDW", [("cache", image, image + 1)], a=self.weights.cache_at + self.weights.v_at[kv],
              ra=Register.CACHE, rn=Register.V_BEATS)
        out = b.attn + head * s.head // p.sfu_lanes
        e.add("MV", [region], [e.span(out, s.v_rows * p.row_groups)], a=out, b=block, rn=Register.V_BLOCKS,
              rows=s.v_rows, raw=1, slot=slot)
        e.vec(None, 0, 1, from_scalar=total, unary=Unary.RECIP, reduce=Reduce.SUM, to=total)

    def _normalise(self, head: int) -> None:
        e, s, out = self.emitter, self.shapes, self.buffers.attn + head * self.shapes.head // self.params.sfu_lanes
        e.vec(out, out, s.head, binary=Binary.MUL, scalar=SUM + head % SUMS)
