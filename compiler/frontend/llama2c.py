"""Reader of llama2.c checkpoints: the legacy float32 files (7 ints, then weights) and version 1 (magic `ak42`).

Both hold adjacent-pair RoPE weights. The format fixes RoPE theta to 10000 and the norm's epsilon to 1e-5.
"""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING

import numpy as np

from compiler.frontend.model import (
    BadModelFileError,
    LlamaConfig,
    Model,
    Tensor,
    UnsupportedModelError,
    checked_config,
    checked_tensors,
)
from compiler.frontend.tokenizer_files import json_tokenizer, llama2c_tokenizer

if TYPE_CHECKING:
    from pathlib import Path

MAGIC = struct.pack("<I", 0x616B3432)
LEGACY_BYTES, VERSION1_BYTES = 28, 256
LARGEST = 1 << 24  # no dimension of a legacy header is larger: tells such a file from any other
MATRICES = ("q", "k", "v", "o", "gate", "down", "up")  # llama2.c's order: w1 is the gate, w2 down, w3 up


def is_legacy(head: bytes) -> bool:
    """Whether `head`, the first bytes of a file, can be a legacy header."""
    if len(head) < LEGACY_BYTES:
        return False
    dim, ffn_dim, layers, heads, kv_heads, vocab, context = struct.unpack_from("<7i", head)
    sizes = (dim, ffn_dim, layers, heads, kv_heads, abs(vocab), context)
    return all(0 < s < LARGEST for s in sizes) and kv_heads <= heads <= dim


def load_llama2c(path: Path, tokenizer: Path | None = None) -> Model:
    """Read the checkpoint at `path`.

    Args:
        path: the .bin file.
        tokenizer: tokenizer.bin, or a tokenizer.json; `None` takes tokenizer.bin beside the checkpoint.

    Raises:
        BadModelFileError: no tokenizer, a file is truncated or too long, or weights are not finite.
        UnsupportedModelError: a version above 1 (quantised llama2.c files).
    """
    data = path.read_bytes()
    legacy = not data.startswith(MAGIC)
    config = _config(path, data, legacy)
    order = _legacy_order(config) if legacy else _version1_order(config)
    at = LEGACY_BYTES if legacy else VERSION1_BYTES
    expected = at + 4 * sum(count for _, count in order)
    if len(data) != expected:
        raise BadModelFileError(f"{path}: has {len(data)} bytes, its header asks for {expected}")
    shapes = config.shapes()
    tensors = {}
    for name, count in order:
        if name:
            tensors[name] = Tensor(values=np.frombuffer(data, "<f4", count, at).reshape(shapes[name]))
        at += 4 * count
    tensors = checked_tensors(path, config, tensors)
    file = tokenizer or path.parent / "tokenizer.bin"
    if not file.is_file():
        raise BadModelFileError(f"{path}: llama2.c files have no tokenizer inside, and {file} is not there; name one")
    with file.open("rb") as opened:
        is_json = opened.read(1) == b"{"
    text = json_tokenizer(file) if is_json else llama2c_tokenizer(file, config.vocab)
    if text.vocab_size > config.vocab:
        raise BadModelFileError(f"{file}: has {text.vocab_size} tokens, but the model has {config.vocab}")
    return Model(config, tensors, text, path.stem)


def _config(path: Path, data: bytes, legacy: bool) -> LlamaConfig:
    if legacy:
        numbers = struct.unpack_from("<7i", data)
        tied = numbers[5] > 0
    else:
        if len(data) < VERSION1_BYTES:
            raise BadModelFileError(f"{path}: has {len(data)} bytes, its header alone has {VERSION1_BYTES}")
        version, *numbers, shared = struct.unpack_from("<i7iB", data, len(MAGIC))
        if version != 1:
            raise UnsupportedModelError(f"{path}: llama2.c version {version} is not supported; export version 0 or 1")
        tied = bool(shared)
    dim, ffn_dim, layers, heads, kv_heads, vocab, context = numbers
    if heads < 1 or dim % heads:
        raise BadModelFileError(f"{path}: bad model configuration: heads must divide dim ({dim}), got {heads}")
    return checked_config(
        path,
        dim=dim,
        ffn_dim=ffn_dim,
        layers=layers,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=dim // heads,
        vocab=abs(vocab) if legacy else vocab,
        context=context,
        rope_theta=10000.0,
        norm_eps=1e-5,
        tied_head=tied,
    )


def _sized(config: LlamaConfig, *names: str) -> list[tuple[str, int]]:
    shapes = config.shapes()
    return [(name, math.prod(shapes[name])) for name in names]


def _per_layer(config: LlamaConfig, *names: str) -> list[tuple[str, int]]:
    return _sized(config, *(f"layers.{i}.{name}" for name in names for i in range(config.layers)))


def _legacy_order(config: LlamaConfig) -> list[tuple[str, int]]:
    """Tensors in file order with their element counts; "" for the RoPE tables, which are not needed."""
    return [
        *_sized(config, "embed"),
        *_per_layer(config, "attn_norm", *MATRICES[:4], "ffn_norm", *MATRICES[4:]),
        *_sized(config, "norm"),
        ("", config.context * config.head_dim),
        *([] if config.tied_head else _sized(config, "head")),
    ]


def _version1_order(config: LlamaConfig) -> list[tuple[str, int]]:
    """Tensors in file order with their element counts."""
    return [
        *_per_layer(config, "attn_norm", "ffn_norm"),
        *_sized(config, "norm", "embed"),
        *_per_layer(config, *MATRICES),
        *([] if config.tied_head else _sized(config, "head")),
    ]
