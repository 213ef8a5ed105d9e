"""Lowers a Llama to one instruction image that serves every position and context length."""

import struct
from dataclasses import asdict

from compiler.frontend.model import Model
from compiler.frontend.tokenizer_store import dump_tokenizer
from compiler.program import TOKENIZER, Program
from golden.isa.llm import ISA, Alu, Binary, Reduce, Unary
from golden.params import BLOCK, LlmParams

from .capacity import require
from .emit import Emitter
from .plan import Allocator, Shapes, ceil_to
from .vectors import VectorImage
from .weights import Matrix, WeightImages

__all__ = ["compile_model"]

TOKEN, POSITION, SKIP_HEAD = 1, 2, 3
"""Arguments: token to read, its position, 1: compute the arg-max, 2: leave the head out (prompt)."""
LAYERS, WEIGHTS, NORMS, CACHE, SCALES, LENGTH, COUNT, OUT, ADDRESS, BEATS, BLOCKS = range(4, 15)
X_SLOT, Q_SLOT, P_SLOT, KV_SLOT = range(4)


def bits(value: float) -> int:
    return int(struct.unpack("<I", struct.pack("<f", value))[0])


class _Lowering:
    def __init__(self, model: Model, params: LlmParams, context: int) -> None:
        self.model, self.params, self.config = model, params, model.config
        self.shapes = Shapes(model.config, params, context)
        self.shapes.check()
        self.emit = Emitter()

    def run(self) -> Program:
        self.weights = WeightImages(self.model, self.params, self.shapes)
        self.vectors = VectorImage(self.model, self.params, self.shapes)
        self._place_buffer()
        self._emit_step()
        words = self.emit.words()
        require("imem_words (instructions)", len(words), self.params.imem_words, "raise imem_words")
        self.vectors.put_program(words)
        return Program(self._manifest(len(words)), words, {**self.weights.images, "v": self.vectors.image},
                       {TOKENIZER: dump_tokenizer(self.model.tokenizer)})

    def _manifest(self, instructions: int) -> dict:
        ports = [f"w{c}" for c in range(self.params.channels)] + ["v"]
        return {
            "engine": "llm",
            "params": self.params.to_dict(),
            "instruction_bits": ISA.bits,
            "instructions": instructions,
            "program_address": self.vectors.program_at,
            "ports": ports,
            "model": {
                "name": self.model.name, **asdict(self.config), "context": self.shapes.context,
                "padded_head": self.shapes.head, "padded_ffn": self.shapes.ffn,
            },
            "matrices": self.weights.manifest(),
            "vectors": self.vectors.manifest(),
            "bytes": {
                "weights": self.weights.weight_bytes,
                "kv": self.weights.cache_bytes * self.params.channels,
            },
        }

    # ---- global buffer and activation buffer

    def _place_buffer(self) -> None:
        p, c, s = self.params, self.config, self.shapes
        rows = Allocator()

        def vector(elements: int) -> int:
            return rows.take(-(-elements // p.sfu_lanes))

        slack = s.v_rows * p.row_groups
        dim = s.outputs(c.dim)
        self.x, self.h, self.norm = vector(dim), vector(dim), vector(dim)
        self.qkv_v = vector(s.outputs(s.q_size + 2 * s.kv_size))
        self.attn = vector(s.q_size + slack)
        self.rope = vector(4 * s.head)
        self.turned = vector(s.head)
        scores = ceil_to(s.context, s.kv_tile)
        self.scores, self.k_scale, self.v_scale = vector(scores), vector(scores), vector(scores)
        self.scalar = vector(p.sfu_lanes)
        self.ff = vector(s.outputs(2 * s.ffn))
        self.gate = vector(s.ffn)
        self.logits = vector(p.acc_depth * p.row_groups)
        require("vmem_rows (global buffer)", rows.used, p.vmem_rows, "raise vmem_rows or shorten the context")
        blocks = Allocator()
        widest = max(self.weights.qkv.inputs, self.weights.o.inputs, self.weights.down.inputs) // BLOCK // p.ksplit
        self.x_block = blocks.take(widest)
        self.q_block = blocks.take(s.k_blocks)
        self.kv_block = blocks.take(s.head // BLOCK // p.ksplit)
        self.p_block = blocks.take(s.v_blocks)
        require("xbuf_blocks (activation buffer)", blocks.used, p.xbuf_blocks, "raise xbuf_blocks")

    # ---- instructions

    def _emit_step(self) -> None:
        e, c = self.emit, self.config
        e.alu(Alu.MUL, ADDRESS, TOKEN, self.vectors.embed_stride)
        e.add("LDV", a=self.vectors.embed_at, ra=ADDRESS, b=self.x, n=c.dim)
        e.alu(Alu.MUL, ADDRESS, POSITION, self.vectors.rope_stride)
        e.add("LDV", a=self.vectors.rope_at, ra=ADDRESS, b=self.rope, n=4 * self.shapes.head)
        e.alu(Alu.ADD, LAYERS, 0, c.layers)
        e.alu(Alu.ADD, WEIGHTS)
        e.alu(Alu.ADD, NORMS)
        e.alu(Alu.ADD, CACHE)
        e.alu(Alu.ADD, SCALES)
        e.alu(Alu.ADD, LENGTH, POSITION, 1)
        e.pause()
        top = e.pause()
        self._emit_attention()
        self._emit_ffn()
        e.pause()
        e.alu(Alu.ADD, WEIGHTS, WEIGHTS, self.weights.layer_bytes)
        e.alu(Alu.ADD, NORMS, NORMS, 2 * self.vectors.norm_stride)
        e.alu(Alu.ADD, CACHE, CACHE, self.weights.cache_stride)
        e.alu(Alu.ADD, SCALES, SCALES, 2 * c.kv_heads * self.vectors.scale_stride)
        e.add("DBNZ", a=top, rd=LAYERS)
        e.pause()
        skip = e.add("DBNZ", rd=SKIP_HEAD)
        e.pause()
        self._emit_head()
        end = e.add("HALT")
        e.instructions[skip][1]["a"] = end

    def _norm(self, offset: int) -> None:
        """h = x / sqrt(mean(x^2) + eps) * weight."""
        e, c = self.emit, self.config
        e.add("LDV", a=self.vectors.norms_at + offset, ra=NORMS, b=self.norm, n=c.dim)
        e.vec(None, self.x, c.dim, binary=Binary.MUL, b=self.x, reduce=Reduce.SUM, to=0)
        e.vec(None, 0, 1, from_scalar=0, binary=Binary.MUL, immediate=bits(1 / c.dim), reduce=Reduce.SUM, to=0)
        e.vec(None, 0, 1, from_scalar=0, binary=Binary.ADD, immediate=bits(c.norm_eps), unary=Unary.RSQRT,
              reduce=Reduce.SUM, to=0)
        e.vec(self.h, self.x, c.dim, binary=Binary.MUL, scalar=0)
        e.vec(self.h, self.h, c.dim, binary=Binary.MUL, b=self.norm)

    def _product(self, matrix: Matrix, source: int, elements: int, out: int, register: int = WEIGHTS) -> None:
        """out = matrix * source; the first tiles' weights are asked for before the vector is ready."""
        e, p = self.emit, self.params
        packed = matrix.packed[0]
        group = packed.group_blocks.bit_length() - 1
        e.add("QNT", a=self.x_block, b=source, n=elements, group_log2=group,
              round_log2=(p.ksplit * packed.group_blocks).bit_length() - 1, slot=X_SLOT)
        for tile, offset, beats in zip(packed.tiles, matrix.offsets, matrix.beats, strict=True):
            e.add("LDW", chained=False, a=offset, ra=register, n=beats)
            e.add("MV", a=out, b=self.x_block, n=packed.share, rows=tile.rows, group_log2=group, scaled=1,
                  minimum=int(packed.has_minimum), slot=X_SLOT, beats=beats)
            out += tile.rows * p.row_groups // p.sfu_lanes

    def _emit_attention(self) -> None:
        e, p, c, s = self.emit, self.params, self.config, self.shapes
        lanes = p.sfu_lanes
        self._norm(0)
        self._product(self.weights.qkv, self.h, c.dim, self.qkv_v)
        head_rows = s.head // lanes
        for h in range(c.heads + c.kv_heads):
            at, table = self.qkv_v + h * head_rows, self.rope + (0 if h < c.heads else 2) * head_rows
            e.vec(self.turned, at, s.head, binary=Binary.SWAPMUL, b=table + head_rows)
            e.vec(at, at, s.head, binary=Binary.MUL, b=table)
            e.vec(at, at, s.head, binary=Binary.ADD, b=self.turned)
        e.alu(Alu.SHL, ADDRESS, POSITION, 2)
        e.alu(Alu.ADD, ADDRESS, ADDRESS, 0, SCALES)
        for h in range(c.kv_heads):
            self._append(h, False)
            self._append(h, True)
        e.alu(Alu.ADD, BLOCKS, LENGTH, BLOCK * p.ksplit - 1)
        e.alu(Alu.SHR, BLOCKS, BLOCKS, (BLOCK * p.ksplit).bit_length() - 1)
        for h in range(c.kv_heads):
            e.add("LDV", a=self._scale_at(h, False), ra=SCALES, b=self.k_scale, rn=LENGTH)
            e.add("LDV", a=self._scale_at(h, True), ra=SCALES, b=self.v_scale, rn=LENGTH)
            for q in range(c.heads // c.kv_heads):
                self._attend(h, h * (c.heads // c.kv_heads) + q)
        self._product(self.weights.o, self.attn, s.q_size, self.h)
        e.vec(self.x, self.x, c.dim, binary=Binary.ADD, b=self.h)

    def _scale_at(self, head: int, value: bool) -> int:
        return self.vectors.scales_at + (2 * head + int(value)) * self.vectors.scale_stride

    def _append(self, head: int, value: bool) -> None:
        """Quantise the new row of K or V and write it to the cache in place."""
        e, p, s = self.emit, self.params, self.shapes
        source = self.qkv_v + (s.q_size + int(value) * s.kv_size + head * s.head) // p.sfu_lanes
        place = self.weights.v_at if value else self.weights.k_at
        e.add("QNT", a=self.kv_block, b=source, n=s.head, flat=1, slot=KV_SLOT, sd=1,
              round_log2=p.ksplit.bit_length() - 1)
        e.add("PUT", a=self.scalar, sa=1)
        e.add("STK", a=self.weights.cache_at + place[head], ra=CACHE, b=self.kv_block, rn=POSITION, count=s.head,
              value=int(value), rows=s.v_rows if value else s.kv_rows, blocks=s.v_blocks if value else s.k_blocks)
        e.add("STV", a=self._scale_at(head, value), ra=ADDRESS, b=self.scalar, n=1)

    def _attend(self, kv_head: int, q_head: int) -> None:
        e, p, s = self.emit, self.params, self.shapes
        lanes = p.sfu_lanes
        e.alu(Alu.ADD, COUNT, LENGTH, s.kv_tile - 1)
        e.alu(Alu.SHR, COUNT, COUNT, s.kv_tile.bit_length() - 1)
        e.alu(Alu.MUL, BEATS, COUNT, s.k_tile_beats)
        e.add("LDW", a=self.weights.cache_at + self.weights.k_at[kv_head], ra=CACHE, rn=BEATS)
        e.add("QNT", a=self.q_block, b=self.qkv_v + q_head * s.head // lanes, n=s.head, slot=Q_SLOT,
              round_log2=(p.ksplit * s.k_blocks).bit_length() - 1)
        e.alu(Alu.ADD, OUT)
        first = e.pause()
        e.add("MV", a=self.scores, ra=OUT, b=self.q_block, n=s.k_blocks, rows=s.kv_rows, raw=1, slot=Q_SLOT)
        e.alu(Alu.ADD, OUT, OUT, s.kv_tile // lanes)
        e.pause()
        e.add("DBNZ", a=first, rd=COUNT)
        e.vec(self.scores, self.scores, 0, rn=LENGTH, binary=Binary.MUL, b=self.k_scale, reduce=Reduce.MAX, to=2)
        e.vec(self.scores, self.scores, 0, rn=LENGTH, binary=Binary.SUB, scalar=2, unary=Unary.EXP,
              reduce=Reduce.SUM, to=3)
        e.vec(None, 0, 1, from_scalar=3, unary=Unary.RECIP, reduce=Reduce.SUM, to=3)
        e.vec(self.scores, self.scores, 0, rn=LENGTH, binary=Binary.MUL, scalar=3)
        e.vec(self.scores, self.scores, 0, rn=LENGTH, binary=Binary.MUL, b=self.v_scale)
        e.add("QNT", a=self.p_block, b=self.scores, rn=LENGTH, slot=P_SLOT, round_log2=p.ksplit.bit_length() - 1)
        e.alu(Alu.MUL, BEATS, BLOCKS, s.v_rows * s.bundle_beats)
        e.add("LDW", a=self.weights.cache_at + self.weights.v_at[kv_head], ra=CACHE, rn=BEATS)
        e.add("MV", a=self.attn + q_head * s.head // lanes, b=self.p_block, rn=BLOCKS, rows=s.v_rows, raw=1,
              slot=P_SLOT)

    def _emit_ffn(self) -> None:
        e, c, s = self.emit, self.config, self.shapes
        up = self.ff + s.ffn // self.params.sfu_lanes
        self._norm(self.vectors.norm_stride)
        self._product(self.weights.gate_up, self.h, c.dim, self.ff)
        e.vec(self.gate, self.ff, s.ffn, binary=Binary.MUL, immediate=bits(-1.0), unary=Unary.EXP)
        e.vec(self.gate, self.gate, s.ffn, binary=Binary.ADD, immediate=bits(1.0), unary=Unary.RECIP)
        e.vec(self.gate, self.gate, s.ffn, binary=Binary.MUL, b=self.ff)
        e.vec(self.gate, self.gate, s.ffn, binary=Binary.MUL, b=up)
        self._product(self.weights.down, self.gate, s.ffn, self.h)
        e.vec(self.x, self.x, c.dim, binary=Binary.ADD, b=self.h)

    def _emit_head(self) -> None:
        """Final norm, then the head tile by tile into the running arg-max."""
        e, p, c = self.emit, self.params, self.config
        self._norm(0)
        packed = self.weights.head.packed[0]
        group = packed.group_blocks.bit_length() - 1
        e.add("QNT", a=self.x_block, b=self.h, n=c.dim, group_log2=group,
              round_log2=(p.ksplit * packed.group_blocks).bit_length() - 1, slot=X_SLOT)
        first = 0
        for tile, offset, beats in zip(packed.tiles, self.weights.head.offsets, self.weights.head.beats, strict=True):
            count = min(tile.rows * p.row_groups, c.vocab - first)
            e.add("LDW", chained=False, a=offset, n=beats)
            e.add("MV", a=self.logits, b=self.x_block, n=packed.share, rows=tile.rows, group_log2=group, scaled=1,
                  minimum=int(packed.has_minimum), slot=X_SLOT, beats=beats)
            e.add("AMX", a=first, b=self.logits, n=count, first=int(first == 0))
            first += count


def compile_model(model: Model, params: LlmParams, *, context: int | None = None) -> Program:
    """Program of one decode step of `model`; arguments are the token, its position and 1 (arg-max) or 2 (prompt).

    Args:
        context: tokens that the KV cache is laid out for; default min(model's, 128).

    Raises:
        UnsupportedModelError, DoesNotFitError: which part, and what to do.
    """
    return _Lowering(model, params, context or min(model.config.context, 128)).run()
