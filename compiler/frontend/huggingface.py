"""Reader of Hugging Face folders: config.json, one or more .safetensors, tokenizer.json.

`LlamaForCausalLM`, and `OlmoForCausalLM`: a Llama with LayerNorm that has no weights.

Hugging Face rotates element `i` of a head with `i + head_dim / 2`; the rows of q and k are put in the order of
adjacent pairs here. float16 and float32 stay as they are, bfloat16 becomes float32 exactly. Weights are read from the
file when they are used (`LazyTensor`).
"""

from __future__ import annotations

import functools
import json
import re
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import safetensors

from compiler.frontend.lazy import LazyTensor, mapped
from compiler.frontend.model import (
    BadModelFileError,
    LlamaConfig,
    Model,
    Tensor,
    UnsupportedModelError,
    checked_config,
    checked_tensors,
    rope_pairs_from_halves,
)
from compiler.frontend.tokenizer_files import json_tokenizer

if TYPE_CHECKING:
    from pathlib import Path

NAMES = {"model.embed_tokens.weight": "embed", "model.norm.weight": "norm", "lm_head.weight": "head"}
LAYER_NAMES = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "q",
    "self_attn.k_proj": "k",
    "self_attn.v_proj": "v",
    "self_attn.o_proj": "o",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "gate",
    "mlp.up_proj": "up",
    "mlp.down_proj": "down",
}
LAYER_TENSOR = re.compile(r"model\.layers\.(\d+)\.([\w.]+)\.weight")
NORMS = {"llama": "rms", "olmo": "layer"}
"""By `model_type`."""
OLMO_EPS = 1e-5
ACTIVATIONS = {"silu": "silu", "swish": "silu", "gelu_pytorch_tanh": "gelu", "gelu_new": "gelu"}
TYPES = {"F16": np.float16, "F32": np.float32, "BF16": np.uint16}
SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"


def load_huggingface(path: Path, tokenizer: Path | None = None) -> Model:
    """Read the folder at `path`.

    Args:
        path: the folder.
        tokenizer: another tokenizer.json than the folder's.

    Raises:
        BadModelFileError: a file is missing, truncated or corrupt, a tensor missing, of wrong shape, or not finite.
        UnsupportedModelError: another architecture than plain Llama or OLMo, or a number format that is not known.
    """
    settings = _json(path / "config.json")
    config = _config(path / "config.json", settings)
    tensors: dict[str, Tensor] = {}
    origin: dict[str, str] = {}
    for file in _weight_files(path):
        for name, tensor in _read_safetensors(file).items():
            canonical = _canonical(file, name)
            if canonical is None or (canonical == "head" and config.tied_head):
                continue
            if canonical in tensors:
                raise BadModelFileError(f"{file}: tensor {name!r} is also in {origin[canonical]}")
            tensors[canonical], origin[canonical] = tensor, file.name
    if config.norm == "layer":
        tensors |= _no_gains(path, config, tensors)
    tensors = checked_tensors(path, config, tensors)
    for i in range(config.layers):
        for name, heads in ((f"layers.{i}.q", config.heads), (f"layers.{i}.k", config.kv_heads)):
            tensors[name] = tensors[name].take_rows(rope_pairs_from_halves(heads, config.head_dim))
    extra = path / "tokenizer_config.json"
    template = _json(extra).get("chat_template") if extra.is_file() else None
    text = json_tokenizer(
        tokenizer or _existing(path / "tokenizer.json"),
        bos_id=_token_id(settings, "bos_token_id"),
        eos_id=_token_id(settings, "eos_token_id"),
        chat_template=template if isinstance(template, str) else None,
    )
    if text.vocab_size > config.vocab:
        raise BadModelFileError(f"{path}: tokenizer has {text.vocab_size} tokens, but vocab_size is {config.vocab}")
    return Model(config, tensors, text, path.resolve().name)


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise BadModelFileError(f"{path}: no such file")
    return path


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(_existing(path).read_text(encoding="utf-8"))
    except ValueError as error:
        if isinstance(error, BadModelFileError):
            raise
        raise BadModelFileError(f"{path}: no readable JSON: {error}") from None
    if not isinstance(value, dict):
        raise BadModelFileError(f"{path}: expected a JSON object, got {type(value).__name__}")
    return value


def _token_id(settings: dict[str, Any], key: str) -> int | None:
    value = settings.get(key)
    if isinstance(value, list):
        value = value[0] if value else None
    return value if isinstance(value, int) else None


def _config(path: Path, settings: dict[str, Any]) -> LlamaConfig:
    """The shape from config.json; refuses what a plain Llama does not have."""
    kind = settings.get("model_type")
    if kind not in NORMS:
        raise UnsupportedModelError(f"{path}: model_type {kind!r} is not supported; only {', '.join(NORMS)} are")
    for key in ("attention_bias", "mlp_bias"):
        if settings.get(key):
            raise UnsupportedModelError(f"{path}: {key}: biases are not supported; use a model without them")
    if settings.get("clip_qkv") is not None:
        raise UnsupportedModelError(f"{path}: clip_qkv is not supported; use a model without it")
    activation = settings.get("hidden_act", "silu")
    if activation not in ACTIVATIONS:
        tanh = "; this GELU and its tanh form differ by up to 0.0005: if that will do, write gelu_pytorch_tanh there"
        raise UnsupportedModelError(
            f"{path}: hidden_act {activation!r} is not supported; only {', '.join(ACTIVATIONS)} are"
            + (tanh if activation == "gelu" else "")
        )
    if settings.get("quantization_config"):
        raise UnsupportedModelError(f"{path}: quantization_config is not supported; give float weights or a GGUF file")
    rope = settings.get("rope_parameters") or settings.get("rope_scaling") or {}
    scaling = rope.get("rope_type", rope.get("type", "default"))
    if scaling != "default":
        raise UnsupportedModelError(f"{path}: RoPE scaling {scaling!r} is not supported; use a model with plain RoPE")

    def number(key: str, default: Any = None) -> Any:
        value = settings.get(key)
        value = default if value is None else value
        if value is None:
            raise BadModelFileError(f"{path}: {key} is missing")
        return value

    dim, heads = number("hidden_size"), number("num_attention_heads")
    if not all(isinstance(v, int) and v > 0 for v in (dim, heads)):
        raise BadModelFileError(f"{path}: bad hidden_size {dim!r} or num_attention_heads {heads!r}")
    return checked_config(
        path,
        dim=dim,
        ffn_dim=number("intermediate_size"),
        layers=number("num_hidden_layers"),
        heads=heads,
        kv_heads=number("num_key_value_heads", heads),
        head_dim=number("head_dim", dim // heads),
        vocab=number("vocab_size"),
        context=number("max_position_embeddings", 2048),
        rope_theta=number("rope_theta", rope.get("rope_theta", 10000.0)),
        norm_eps=OLMO_EPS if kind == "olmo" else number("rms_norm_eps", 1e-6),
        tied_head=number("tie_word_embeddings", False),
        norm=NORMS[kind],
        activation=ACTIVATIONS[activation],
    )


def _no_gains(path: Path, config: LlamaConfig, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Norms without weights: gains of one."""
    gains = {name: np.ones(shape, np.float32) for name, shape in config.shapes().items() if len(shape) == 1}
    for name in gains:
        if name in tensors:
            raise UnsupportedModelError(f"{path}: tensor {name!r}: the norms of an OLMo model have no weights")
    return {name: Tensor(values=values) for name, values in gains.items()}


def _weight_files(path: Path) -> list[Path]:
    if (path / SINGLE).is_file():
        return [path / SINGLE]
    if not (path / INDEX).is_file():
        raise BadModelFileError(f"{path}: neither {SINGLE} nor {INDEX} is there")
    names = _json(path / INDEX).get("weight_map")
    if not isinstance(names, dict) or not names:
        raise BadModelFileError(f"{path / INDEX}: weight_map is missing or empty")
    files = sorted({str(name) for name in names.values()})
    for name in files:
        if "/" in name or "\\" in name or not name.endswith(".safetensors"):
            raise BadModelFileError(f"{path / INDEX}: weight_map names {name!r}, expected .safetensors beside it")
    return [_existing(path / name) for name in files]


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    """All tensors of one file, which stay there until they are used."""
    try:
        with safetensors.safe_open(path, "np"):  # the library checks header and length of the file
            pass
    except safetensors.SafetensorError as error:
        raise BadModelFileError(f"{path}: truncated or corrupt safetensors: {error}") from None
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        entries = json.loads(file.read(length))
    result = {}
    for name, entry in entries.items():
        if name == "__metadata__":
            continue
        kind, shape, at = entry["dtype"], tuple(entry["shape"]), 8 + length + entry["data_offsets"][0]
        if kind not in TYPES:
            raise UnsupportedModelError(
                f"{path}: tensor {name!r} has type {kind}, which is not supported; use F32, F16 or BF16"
            )
        result[name] = LazyTensor(shape, None, functools.partial(_stored, path, kind, shape, at))
    return result


def _stored(path: Path, kind: str, shape: tuple[int, ...], at: int) -> Tensor:
    """The tensor at byte `at`; NumPy has no bfloat16."""
    values = mapped(path, TYPES[kind], shape, at)
    if kind == "BF16":
        values = (values.astype(np.uint32) << 16).view(np.float32)
    return Tensor(values=values)


def _canonical(path: Path, name: str) -> str | None:
    """Canonical name, or `None` for buffers that follow from the configuration."""
    if name in NAMES:
        return NAMES[name]
    found = LAYER_TENSOR.fullmatch(name)
    if found and found[2] in LAYER_NAMES:
        return f"layers.{int(found[1])}.{LAYER_NAMES[found[2]]}"
    if name.endswith("rotary_emb.inv_freq"):
        return None
    if name.endswith(".bias"):
        raise UnsupportedModelError(f"{path}: tensor {name!r}: biases are not supported; use a model without them")
    raise UnsupportedModelError(f"{path}: tensor {name!r} has no place in a plain Llama model")
