"""Lowers a Llama to one instruction image that serves every position and context length."""

from collections.abc import Callable, Mapping
from dataclasses import asdict

from compiler.capacity import DoesNotFitError, require
from compiler.frontend.model import Model
from compiler.frontend.tokenizer_store import dump_tokenizer
from compiler.program import TOKENIZER, Program
from golden.isa.llm import ISA
from golden.llm.stream import BlockFormat
from golden.params import LlmParams

from .fill import fill_vectors, pack_weights, scale_groups
from .pack import GROUP
from .plan import Shapes
from .prompt import PromptPlan
from .registers import Register
from .step import StepEmitter
from .vectors import VectorImage
from .weights import MATRICES, WeightImages

__all__ = ["compile_model", "instructions_for"]

MOST_AT_ONCE = 8
"""Tokens of a part of a prompt, or heads of a token, at once at most: each has scalars and exponent slots."""
PARTS = 2
"""Of a prompt's tokens: the array multiplies those of one while the vector unit works on those of the other."""


def _words(shapes: Shapes, weights: WeightImages, vectors: VectorImage) -> tuple[list[int], StepEmitter]:
    """The program, and the prefill part of it: as many tokens at once as the engine multiplies and its buffers hold.

    Raises:
        DoesNotFitError: not even a single token fits, or the program does not.
    """
    params = shapes.params
    tokens = min(params.tokens, MOST_AT_ONCE)

    def fitting(base: int, sizes: list[dict[str, int]], emission: Callable[[StepEmitter], list[int]]):
        """Words and emitter of the first of `sizes` that fits."""
        size, *smaller = sizes
        try:
            emitter = StepEmitter(params, shapes, weights, vectors, base, **size)
            words = emission(emitter)
            require("imem_words (instructions)", base + len(words), params.imem_words, "raise imem_words")
        except DoesNotFitError:
            if not smaller:
                raise
            return fitting(base, smaller, emission)
        return words, emitter

    heads = min(tokens, shapes.config.heads // shapes.config.kv_heads)  # those that share a KV head
    if heads == 1:
        heads = MOST_AT_ONCE
    at_once = [{"heads": heads, "ring": 3}, *({"heads": most} for most in _halves(heads))]
    words, _ = fitting(1, at_once, StepEmitter.decode)
    prompt = [{"parts": PARTS, "tokens": tokens}, *({"tokens": most} for most in _halves(tokens))]
    prefill, emitter = fitting(1 + len(words), prompt, StepEmitter.prefill)
    dispatch = ISA.encode("DBNZ", {"rd": Register.MODE, "a": 1 + len(words)})
    return [dispatch, *words, *prefill], emitter


def _halves(most: int) -> list[int]:
    return [most >> i for i in range(most.bit_length())]


def compile_model(model: Model, params: LlmParams, *, context: int | None = None, top_k: int = 1) -> Program:
    """Program of `model`: a run is a decode step or a whole prompt (`compiler.llm.registers`).

    Weights are packed matrix by matrix; large images lie in temporary files (`compiler.images`).

    Args:
        context: tokens that the KV cache is laid out for; default min(model's, 128).
        top_k: a run also lists so many of the largest logits, if more than one (`VectorImage.top_at`).

    Raises:
        UnsupportedModelError, DoesNotFitError: which part, and what to do.
    """
    shapes = Shapes(model.config, params, context or min(model.config.context, 128), top_k)
    groups = scale_groups(model)
    instructions_for(shapes, groups=groups)
    weights, vectors = WeightImages(shapes, groups), VectorImage(shapes)
    packed = pack_weights(model, weights)
    words, prefill = _words(shapes, weights, vectors)
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
        "prefill": prefill.plan().to_dict(),
        "bytes": {
            "weights": weights.weight_bytes,
            "weights_used": packed.used_bytes,
            "kv": weights.cache_bytes * params.channels,
        },
        "stored_weights": packed.values,
        "cache": {"at": weights.cache_at, "bytes": weights.cache_bytes},
    }
    images = {**packed.images, "v": fill_vectors(model, vectors, words)}
    return Program(manifest, words, images, {TOKENIZER: dump_tokenizer(model.tokenizer)})


def instructions_for(shapes: Shapes, *, groups: Mapping[str, int] | None = None,
                     fmt: BlockFormat | None = None) -> tuple[list[int], PromptPlan]:
    """Instruction words for a model of such shapes, without its weights, and how they take a prompt.

    Only places and sizes of the tiles depend on the weights: their words are those of `compile_model` if all weights
    have the format `fmt` (default: dense, 8 bits). The number of instructions is always that of `compile_model`.

    Args:
        groups: inputs that share a scale, by matrix (`compiler.llm.fill.scale_groups`); default: 32 in each.

    Raises:
        DoesNotFitError: which resource of the engine is too small.
    """
    shapes.check()
    weights = WeightImages(shapes, groups or dict.fromkeys(MATRICES, GROUP))
    weights.assume(fmt or BlockFormat())
    words, prefill = _words(shapes, weights, VectorImage(shapes))
    return words, prefill.plan()
