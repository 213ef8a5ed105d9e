"""Reader of GGUF files (llama.cpp) of architecture `llama`.

Q4_0, Q4_1, Q5_0, Q5_1 and Q8_0 stay exact, as `GroupQuant` of 32 weights per scale; F32 and F16 stay as they are;
BF16 becomes float32 exactly; the other block formats (K-quants and so on) are expanded to float32. GGUF keeps q and k
of `llama` models for adjacent-pair RoPE already, so no rows move.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf import quants

from compiler.frontend.lazy import LazyTensor, mapped
from compiler.frontend.model import (
    BadModelFileError,
    GroupQuant,
    LlamaConfig,
    Model,
    Tensor,
    UnsupportedModelError,
    checked_config,
    checked_tensors,
)
from compiler.frontend.tokenizer_files import gguf_tokenizer

if TYPE_CHECKING:
    from pathlib import Path

MAGIC = b"GGUF"
GROUP = 32
NAMES = {"token_embd.weight": "embed", "output_norm.weight": "norm", "output.weight": "head"}
LAYER_NAMES = {
    "attn_norm": "attn_norm",
    "attn_q": "q",
    "attn_k": "k",
    "attn_v": "v",
    "attn_output": "o",
    "ffn_norm": "ffn_norm",
    "ffn_gate": "gate",
    "ffn_up": "up",
    "ffn_down": "down",
}
LAYER_TENSOR = re.compile(r"blk\.(\d+)\.(\w+)\.weight")
ZERO_POINTS = {Type.Q4_0: 8, Type.Q5_0: 16}  # what the stored unsigned code is above the signed one
WITH_MINIMUM = (Type.Q4_1, Type.Q5_1)
FIVE_BITS = (Type.Q5_0, Type.Q5_1)
GROUP_TYPES = (Type.Q4_0, Type.Q4_1, Type.Q5_0, Type.Q5_1, Type.Q8_0)


class _Reader(gguf.GGUFReader):
    """The library's reader, but a read past the end is an error instead of a short array."""

    def _get(self, offset: int, dtype: Any, count: int = 1, override_order: Any = None) -> Any:
        if isinstance(self.data, np.memmap):
            self.data = self.data.view(np.ndarray)  # slicing a memmap costs four times as much, and tokens are many
        end = int(offset) + np.dtype(dtype).itemsize * int(count)
        if end > len(self.data):
            raise ValueError(f"it ends at byte {len(self.data)}, but something in it reaches to byte {end}")
        return super()._get(offset, dtype, count, override_order)


def load_gguf(path: Path) -> Model:
    """Read the GGUF file at `path`.

    Raises:
        BadModelFileError: truncated or corrupt, a tensor missing, of wrong shape, or not finite.
        UnsupportedModelError: another architecture than plain Llama, or a number format that is not known.
    """
    try:
        reader = _Reader(path)
        fields = {key: field.contents() for key, field in reader.fields.items()}
    except (ValueError, KeyError, IndexError, TypeError, OverflowError, MemoryError) as error:
        raise BadModelFileError(f"{path}: truncated or corrupt GGUF: {error}") from None
    if (reader.endianess == gguf.GGUFEndian.LITTLE) != (sys.byteorder == "little"):
        raise UnsupportedModelError(f"{path}: GGUF of the other byte order; convert it with gguf-convert-endian")
    stored = {t.name: t for t in reader.tensors}
    config = _config(path, fields, stored)
    tensors = {}
    for name, item in stored.items():
        tensors[_canonical(path, name)] = _tensor(path, item)
    tensors = checked_tensors(path, config, tensors)
    tokenizer = gguf_tokenizer(path, fields)
    if tokenizer.vocab_size != config.vocab:
        raise BadModelFileError(f"{path}: {tokenizer.vocab_size} tokens, but token_embd.weight has {config.vocab} rows")
    return Model(config, tensors, tokenizer, str(fields.get("general.name", path.stem)))


def _config(path: Path, fields: dict[str, Any], stored: dict[str, Any]) -> LlamaConfig:
    """The shape from the metadata `llama.*`; refuses what a plain Llama does not have."""
    architecture = fields.get("general.architecture")
    if architecture != "llama":
        raise UnsupportedModelError(
            f"{path}: general.architecture {architecture!r} is not supported; only 'llama' models are"
        )

    def number(key: str, default: Any = None) -> Any:
        value = fields.get(f"llama.{key}", default)
        if value is None:
            raise BadModelFileError(f"{path}: metadata llama.{key} is missing")
        return value

    if number("expert_count", 0):
        raise UnsupportedModelError(
            f"{path}: mixture of experts (llama.expert_count) is not supported; use a dense model"
        )
    if (
        number("rope.scaling.type", "none") != "none" and number("rope.scaling.factor", 1.0) != 1.0
    ) or "rope_freqs.weight" in stored:
        raise UnsupportedModelError(f"{path}: RoPE scaling is not supported; use a model with plain RoPE")
    dim, heads = number("embedding_length"), number("attention.head_count")
    context = number("context_length")
    if number("attention.sliding_window", context) < context:
        raise UnsupportedModelError(f"{path}: sliding-window attention is not supported; use a model without it")
    if not all(isinstance(v, int) and v > 0 for v in (dim, heads)):
        raise BadModelFileError(f"{path}: bad llama.embedding_length {dim!r} or llama.attention.head_count {heads!r}")
    head_dim = number("attention.key_length", dim // heads)
    for key in ("attention.value_length", "rope.dimension_count"):
        if number(key, head_dim) != head_dim:
            raise UnsupportedModelError(
                f"{path}: llama.{key} {number(key)} differs from the head width {head_dim}, which is not supported"
            )
    if "token_embd.weight" not in stored:
        raise BadModelFileError(f"{path}: tensor 'token_embd.weight' is missing")
    return checked_config(
        path,
        dim=dim,
        ffn_dim=number("feed_forward_length"),
        layers=number("block_count"),
        heads=heads,
        kv_heads=number("attention.head_count_kv", heads),
        head_dim=head_dim,
        vocab=int(stored["token_embd.weight"].shape[-1]),
        context=context,
        rope_theta=float(number("rope.freq_base", 10000.0)),
        norm_eps=float(np.float32(number("attention.layer_norm_rms_epsilon"))),
        tied_head="output.weight" not in stored,
    )


def _canonical(path: Path, name: str) -> str:
    if name in NAMES:
        return NAMES[name]
    found = LAYER_TENSOR.fullmatch(name)
    if found and found[2] in LAYER_NAMES:
        return f"layers.{int(found[1])}.{LAYER_NAMES[found[2]]}"
    if name.endswith(".bias"):
        raise UnsupportedModelError(f"{path}: tensor {name!r}: biases are not supported; use a model without them")
    raise UnsupportedModelError(f"{path}: tensor {name!r} has no place in a plain Llama model")


def _tensor(path: Path, item: Any) -> Tensor:
    """One tensor of the file, read from there when it is used."""
    kind, stored = item.tensor_type, item.data
    shape = tuple(int(size) for size in reversed(item.shape))
    group = GROUP if kind in GROUP_TYPES and len(shape) == 2 else None

    def load() -> Tensor:
        return _decoded(path, item.name, kind, mapped(path, stored.dtype, stored.shape, item.data_offset))

    return LazyTensor(shape, group, load)


def _decoded(path: Path, name: str, kind: Type, data: np.ndarray) -> Tensor:
    """A tensor in the representation that the module docstring says, from its bytes in the file."""
    if kind in (Type.F32, Type.F16):
        return Tensor(values=data)
    if kind == Type.BF16:
        return Tensor(values=(data.view(np.uint16).astype(np.uint32) << 16).view(np.float32))
    if kind in GROUP_TYPES and data.ndim == 2:
        return Tensor(quant=unpack_blocks(data, kind))
    try:
        return Tensor(values=quants.dequantize(data, kind))
    except (NotImplementedError, KeyError, ValueError):
        raise UnsupportedModelError(
            f"{path}: tensor {name!r} has type {kind.name}, which is not supported; quantise to Q8_0 or Q4_1"
        ) from None


def unpack_blocks(data: np.ndarray, kind: Type) -> GroupQuant:
    """Codes and scales of ggml blocks of 32 weights, bit for bit.

    Args:
        data: uint8 [rows, bytes per row].
        kind: one of `GROUP_TYPES`.

    Returns:
        The same weights; `dense()` equals `gguf.quants.dequantize` exactly.
    """
    rows = data.shape[0]
    size = gguf.GGML_QUANT_SIZES[kind][1]
    blocks = np.ascontiguousarray(data).reshape(-1, size)

    def halves(at: int) -> np.ndarray:
        return np.ascontiguousarray(blocks[:, at : at + 2]).view(np.float16).reshape(rows, -1)

    scale, at = halves(0), 2
    minimum = None
    if kind in WITH_MINIMUM:
        minimum, at = halves(2), 4
    if kind == Type.Q8_0:
        return GroupQuant(blocks[:, at:].view(np.int8).reshape(rows, -1), scale, None, GROUP, 8, True)
    high = None
    if kind in FIVE_BITS:
        high, at = np.unpackbits(blocks[:, at : at + 4], axis=1, bitorder="little"), at + 4
    packed = blocks[:, at:]
    codes = np.concatenate((packed & 15, packed >> 4), axis=1)
    if high is not None:
        codes |= high << 4
    signed = codes.astype(np.int8) - np.int8(ZERO_POINTS.get(kind, 0))
    bits = 5 if kind in FIVE_BITS else 4
    return GroupQuant(signed.reshape(rows, -1), scale, minimum, GROUP, bits, kind in ZERO_POINTS)
