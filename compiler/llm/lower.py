"""Lowers a Llama to one instruction image that serves every position and context length."""

import struct
from collections.abc import Callable, Mapping
from dataclasses import asdict

from compiler.frontend.model import Model
from compiler.frontend.tokenizer_store import dump_tokenizer
from compiler.program import TOKENIZER, Program
from golden.isa.llm import ISA, Alu, Binary, Reduce, Unary
from golden.llm.stream import BlockFormat
from golden.params import BLOCK, LlmParams

from .attention import AttentionEmitter
from .buffers import Buffers
from .capacity import require
from .emit import Emitter
from .fill import fill_vectors, pack_weights, scale_groups
from .pack import GROUP
from .plan import Shapes
from .registers import Register
from .vectors import VectorImage
from .weights import MATRICES, Matrix, WeightImages

__all__ = ["compile_model", "instructions_for"]


def bits(value: float) -> int:
    return int(struct.unpack("<I", struct.pack("<f", value))[0])


class _Lowering:
    """Emission of a step.

    The vectors of a layer (norm weights, scales of the cache) are loaded one layer ahead, so that no load at a layer's
    start waits for the layer before, and the weights behind it run ahead.
    """

    def __init__(self, shapes: Shapes, weights: WeightImages, vectors: VectorImage) -> None:
        self.shapes, self.params, self.config = shapes, shapes.params, shapes.config
        self.emit = Emitter(self.params.sfu_lanes)
        self.weights, self.vectors = weights, vectors
        widest = max(matrix.inputs for matrix in weights.layer_matrices.values())
        self.buffers = Buffers(self.params, shapes, widest)
        self.attention = AttentionEmitter(self.emit, self.params, shapes, self.buffers, weights, vectors)

    def words(self) -> list[int]:
        self._emit_step()
        words = self.emit.words()
        require("imem_words (instructions)", len(words), self.params.imem_words, "raise imem_words")
        return words

    def _emit_step(self) -> None:
        e, c, v = self.emit, self.config, self.vectors
        e.alu(Alu.MUL, Register.ADDRESS, Register.TOKEN, v.embed_stride)
        self._load(v.embed_at, Register.ADDRESS, self.buffers.x, c.dim)
        e.alu(Alu.MUL, Register.ADDRESS, Register.POSITION, v.rope_stride)
        self._load(v.rope_at, Register.ADDRESS, self.buffers.rope, 4 * self.shapes.head)
        e.alu(Alu.ADD, Register.LAYERS, 0, c.layers)
        for register in (Register.WEIGHTS, Register.NORMS, Register.CACHE, Register.SCALES):
            e.alu(Alu.ADD, register)
        self._load_attn_norm(0)
        self._load_ffn_norm(0)
        self._load_scales(0)
        self.attention.emit_lengths()
        e.barrier()
        top = e.anchor()
        self._emit_layer()
        e.barrier()
        e.alu(Alu.ADD, Register.WEIGHTS, Register.WEIGHTS, self.weights.layer_bytes)
        e.alu(Alu.ADD, Register.NORMS, Register.NORMS, 2 * v.norm_stride)
        e.alu(Alu.ADD, Register.CACHE, Register.CACHE, self.weights.cache_stride)
        e.alu(Alu.ADD, Register.SCALES, Register.SCALES, 2 * c.kv_heads * v.scale_stride)
        e.add("DBNZ", a=top, rd=Register.LAYERS)
        skip = e.add("DBNZ", rd=Register.SKIP_HEAD)
        e.anchor()
        self._emit_head()
        end = e.add("HALT")
        e.instructions[skip][1]["a"] = end

    def _load(self, address: int, register: int, row: int, count: int) -> None:
        self.emit.add("LDV", writes=[self.emit.span(row, count)], a=address, ra=register, b=row, n=count)

    def _load_attn_norm(self, ahead: int) -> None:
        """Of the layer `ahead` of this one; behind the last layer lies the final norm."""
        at = self.vectors.norms_at + 2 * ahead * self.vectors.norm_stride
        self._load(at, Register.NORMS, self.buffers.attn_norm, self.config.dim)

    def _load_ffn_norm(self, ahead: int) -> None:
        at = self.vectors.norms_at + (2 * ahead + 1) * self.vectors.norm_stride
        self._load(at, Register.NORMS, self.buffers.ffn_norm, self.config.dim)

    def _load_scales(self, ahead: int) -> None:
        rows = 2 * self.config.kv_heads
        at = self.vectors.scales_at + ahead * rows * self.vectors.scale_stride
        self._load(at, Register.SCALES, self.buffers.scales, rows * self.shapes.scale_row)

    def _emit_layer(self) -> None:
        c, b = self.config, self.buffers
        self._norm(b.attn_norm)
        self._product(self.weights.qkv, b.h, c.dim, b.qkv)
        self.attention.emit()
        self._product(self.weights.o, b.attn, self.shapes.q_size, b.h, self._add_branch)
        self._norm(b.ffn_norm)
        self._product(self.weights.gate_up, b.h, c.dim, b.ff, self._silu)
        self._load_attn_norm(1)
        self._load_ffn_norm(1)
        self._load_scales(1)
        self._product(self.weights.down, b.gate, self.shapes.ffn, b.h, self._add_branch)

    def _norm(self, weight: int) -> None:
        """h = x / sqrt(mean(x^2) + eps) * weight."""
        e, c, b = self.emit, self.config, self.buffers
        e.vec(None, b.x, c.dim, binary=Binary.MUL, b=b.x, reduce=Reduce.SUM, to=0)
        e.vec(None, 0, 1, from_scalar=0, binary=Binary.MUL, immediate=bits(1 / c.dim), reduce=Reduce.SUM, to=0)
        e.vec(None, 0, 1, from_scalar=0, binary=Binary.ADD, immediate=bits(c.norm_eps), unary=Unary.RSQRT,
              reduce=Reduce.SUM, to=0)
        e.vec(b.h, b.x, c.dim, binary=Binary.MUL, scalar=0)
        e.vec(b.h, b.h, c.dim, binary=Binary.MUL, b=weight)

    def _add_branch(self, first: int, count: int) -> None:
        """x += h on elements first .. first + count."""
        e, b = self.emit, self.buffers
        row, count = first // e.lanes, min(count, self.config.dim - first)
        if count > 0:
            e.vec(b.x + row, b.x + row, count, binary=Binary.ADD, b=b.h + row)

    def _silu(self, first: int, count: int) -> None:
        """gate = silu(ff) on elements of ff's first half, gate *= ff on those of the second, as they come."""
        e, b, ffn = self.emit, self.buffers, self.shapes.ffn
        in_gate = min(count, ffn - first)
        if in_gate > 0:
            gate, ff = b.gate + first // e.lanes, b.ff + first // e.lanes
            e.vec(gate, ff, in_gate, binary=Binary.MUL, immediate=bits(-1.0), unary=Unary.EXP)
            e.vec(gate, gate, in_gate, binary=Binary.ADD, immediate=bits(1.0), unary=Unary.RECIP)
            e.vec(gate, gate, in_gate, binary=Binary.MUL, b=ff)
        first, count = max(first, ffn), min(first + count, 2 * ffn) - max(first, ffn)
        if count > 0:
            gate = b.gate + (first - ffn) // e.lanes
            e.vec(gate, gate, count, binary=Binary.MUL, b=b.ff + first // e.lanes)

    def _product(self, matrix: Matrix, source: int, elements: int, out: int,
                 then: Callable[[int, int], None] | None = None) -> None:
        """out = matrix * source; `then(first, count)` is emitted for each tile's elements once the next tile is."""
        self._quantise(matrix, source, elements)
        first, ready = 0, []
        for i, rows in enumerate(matrix.rows):
            self._tile(matrix, i, out + first // self.emit.lanes, Register.WEIGHTS)
            count = rows * self.params.row_groups
            ready.append((first, count))
            first += count
            if then is not None and i:
                then(*ready[i - 1])
        if then is not None:
            then(*ready[-1])

    def _quantise(self, matrix: Matrix, source: int, elements: int) -> None:
        e, p, b = self.emit, self.params, self.buffers
        group_blocks = matrix.group_blocks
        e.add("QNT", [e.span(source, elements)], [self._x_region(matrix)], a=b.x_block, b=source, n=elements,
              group_log2=group_blocks.bit_length() - 1, round_log2=(p.ksplit * group_blocks).bit_length() - 1,
              slot=b.x_slot)

    def _x_region(self, matrix: Matrix) -> tuple[str, int, int]:
        first = self.buffers.x_block
        return ("xbuf", first, first + matrix.inputs // BLOCK // self.params.ksplit)

    def _tile(self, matrix: Matrix, i: int, out: int, register: int) -> None:
        e, rows = self.emit, matrix.rows[i]
        e.add("LDW", a=matrix.offsets[i], ra=register, n=matrix.beats[i])
        e.add("MV", [self._x_region(matrix)], [e.span(out, rows * self.params.row_groups)], a=out,
              b=self.buffers.x_block, n=matrix.share, rows=rows, group_log2=matrix.group_blocks.bit_length() - 1,
              scaled=1, minimum=int(matrix.minimum), slot=self.buffers.x_slot, beats=matrix.beats[i])

    def _emit_head(self) -> None:
        """Final norm, then the head tile by tile into the running arg-max."""
        e, p, c, b = self.emit, self.params, self.config, self.buffers
        head = self.weights.head
        self._norm(b.attn_norm)
        self._quantise(head, b.h, c.dim)
        first, late = 0, []
        for i, rows in enumerate(head.rows):
            out = b.logits[i % b.RING]
            self._tile(head, i, out, 0)
            for at, start, count in late:
                e.add("AMX", [e.span(at, count)], a=start, b=at, n=count, first=int(start == 0))
            late = [(out, first, min(rows * p.row_groups, c.vocab - first))]
            first += late[0][2]
        for at, start, count in late:
            e.add("AMX", [e.span(at, count)], a=start, b=at, n=count, first=int(start == 0))


def compile_model(model: Model, params: LlmParams, *, context: int | None = None) -> Program:
    """Program of one decode step of `model`; arguments are the token, its position and 1 (arg-max) or 2 (prompt).

    Weights are packed matrix by matrix; large images lie in temporary files (`compiler.images`).

    Args:
        context: tokens that the KV cache is laid out for; default min(model's, 128).

    Raises:
        UnsupportedModelError, DoesNotFitError: which part, and what to do.
    """
    shapes = Shapes(model.config, params, context or min(model.config.context, 128))
    groups = scale_groups(model)
    instructions_for(shapes, groups=groups)
    weights, vectors = WeightImages(shapes, groups), VectorImage(shapes)
    packed = pack_weights(model, weights)
    words = _Lowering(shapes, weights, vectors).words()
    ports = [f"w{c}" for c in range(params.channels)] + ["v"]
    manifest = {
        "engine": "llm",
        "params": params.to_dict(),
        "instruction_bits": ISA.bits,
        "instructions": len(words),
        "program_address": vectors.program_at,
        "ports": ports,
        "model": {
            "name": model.name, **asdict(model.config), "context": shapes.context,
            "padded_head": shapes.head, "padded_ffn": shapes.ffn,
        },
        "matrices": weights.manifest(),
        "vectors": vectors.manifest(),
        "bytes": {
            "weights": weights.weight_bytes,
            "weights_used": packed.used_bytes,
            "kv": weights.cache_bytes * params.channels,
        },
        "stored_weights": packed.values,
    }
    images = {**packed.images, "v": fill_vectors(model, vectors, words)}
    return Program(manifest, words, images, {TOKENIZER: dump_tokenizer(model.tokenizer)})


def instructions_for(shapes: Shapes, *, groups: Mapping[str, int] | None = None,
                     fmt: BlockFormat | None = None) -> list[int]:
    """Instruction words for a model of such shapes, without its weights.

    Only places and sizes of the tiles depend on the weights: their words are those of `compile_model` if all weights
    have the format `fmt` (default: dense, 8 bits). The number of instructions is always that of `compile_model`.

    Args:
        groups: inputs that share a scale, by matrix (`compiler.llm.fill.scale_groups`); default: 32 in each.

    Raises:
        DoesNotFitError: which resource of the engine is too small.
    """
    shapes.check()
    weights = WeightImages(shapes, groups or dict.fromkeys(MATRICES, GROUP))
    lowering = _Lowering(shapes, weights, VectorImage(shapes))
    weights.assume(fmt or BlockFormat())
    return lowering.words()
