"""Models of published shapes with random weights: for measuring, where what they say does not matter."""

from dataclasses import replace

import numpy as np

from compiler.frontend import load_model
from compiler.frontend.lazy import LazyTensor
from compiler.frontend.model import GroupQuant, LlamaConfig, Model, Tensor
from compiler.models import TINY
from golden.params import BLOCK

__all__ = ["PUBLISHED", "random_model"]

PUBLISHED = {
    "llama2-7b": LlamaConfig(
        dim=4096, ffn_dim=11008, layers=32, heads=32, kv_heads=32, head_dim=128, vocab=32000, context=4096,
        rope_theta=1e4, norm_eps=1e-5, tied_head=False,
    ),
    "smollm2-135m": LlamaConfig(
        dim=576, ffn_dim=1536, layers=30, heads=9, kv_heads=3, head_dim=64, vocab=49152, context=8192,
        rope_theta=1e5, norm_eps=1e-5, tied_head=True,
    ),
}
"""Shapes by name, from the models' published configurations."""
SPREAD = 0.02
PATTERNS = 64


def random_model(shape: str, *, layers: int | None = None, kept: int = BLOCK, bits: int = 4, group: int = 128,
                 seed: int = 1) -> Model:
    """Signed codes of `bits` bits in groups of `group`, `kept` of every 16 inputs of a row not 0; made when used.

    The tokenizer is the tiny model's: its tokens mean nothing here.

    Raises:
        KeyError: no such shape.
    """
    config = PUBLISHED[shape]
    config = replace(config, layers=layers or config.layers)
    tensors: dict[str, Tensor] = {}
    for number, (name, size) in enumerate(config.shapes().items()):
        if len(size) == 1:
            tensors[name] = Tensor(values=np.ones(size, np.float32))
        else:
            tensors[name] = _random_tensor(size, kept, bits, group, seed * 10_000 + number)
    return Model(config, tensors, load_model(TINY).tokenizer, f"{shape} with random weights")


def _random_tensor(size: tuple[int, ...], kept: int, bits: int, group: int, seed: int) -> Tensor:
    rows, inputs = size

    def load() -> Tensor:
        rng = np.random.default_rng(seed)
        top = (1 << (bits - 1)) - 1
        q = rng.integers(1, top + 1, (rows, inputs), np.int8)
        q *= rng.integers(0, 2, (rows, inputs), np.int8) * 2 - 1
        masks = np.argsort(rng.random((PATTERNS, BLOCK)), 1) < kept
        chosen = masks[rng.integers(0, PATTERNS, (rows, inputs // BLOCK))]
        q *= chosen.reshape(rows, inputs)
        scale = (rng.random((rows, inputs // group), np.float32) + 0.5) * SPREAD / top
        return Tensor(quant=GroupQuant(q, scale, None, group, bits, True))

    return LazyTensor(size, group, load)
