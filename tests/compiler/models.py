"""Small random models, and writers of the file formats that the readers are tested on."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any

import gguf
import numpy as np
from gguf import quants
from safetensors.numpy import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from bench.compile_checkpoint import add_shape
from bench.huggingface_folder import llama_settings
from compiler.frontend.model import LlamaConfig

if TYPE_CHECKING:
    from pathlib import Path

TEXT = "the cat sat on the mat, the rat ate 42 oats; naïve café — 日本語 🙂\n  two  blanks"
SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
GGUF_NAMES = {
    "attn_norm": "attn_norm",
    "q": "attn_q",
    "k": "attn_k",
    "v": "attn_v",
    "o": "attn_output",
    "ffn_norm": "ffn_norm",
    "gate": "ffn_gate",
    "up": "ffn_up",
    "down": "ffn_down",
    "embed": "token_embd",
    "norm": "output_norm",
    "head": "output",
}
HF_NAMES = {
    "attn_norm": "input_layernorm",
    "q": "self_attn.q_proj",
    "k": "self_attn.k_proj",
    "v": "self_attn.v_proj",
    "o": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "gate": "mlp.gate_proj",
    "up": "mlp.up_proj",
    "down": "mlp.down_proj",
    "embed": "model.embed_tokens",
    "norm": "model.norm",
    "head": "lm_head",
}


def small_config(**changes: Any) -> LlamaConfig:
    """Grouped-query attention, everything different from everything else, 32 divides every K."""
    values = {
        "dim": 64,
        "ffn_dim": 96,
        "layers": 2,
        "heads": 4,
        "kv_heads": 2,
        "head_dim": 16,
        "vocab": 300,
        "context": 24,
        "rope_theta": 10000.0,
        "norm_eps": 1e-5,
        "tied_head": False,
    }
    return LlamaConfig(**(values | changes))


def random_weights(config: LlamaConfig, seed: int = 7) -> dict[str, np.ndarray]:
    """Float32 weights under canonical names, with adjacent-pair RoPE."""
    rng = np.random.default_rng(seed)
    return {
        name: (rng.standard_normal(shape) / np.sqrt(shape[-1]) + (len(shape) == 1)).astype(np.float32)
        for name, shape in config.shapes().items()
    }


def byte_bpe(vocab: int = 300) -> Tokenizer:
    """Byte-level BPE with the ChatML tokens, digits one by one, trained on `TEXT`."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab,
        special_tokens=SPECIALS,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator([TEXT] * 4, trainer)
    return tokenizer


def full_name(table: dict[str, str], name: str, prefix: str) -> str:
    """File name of canonical `name`, e.g. `layers.0.q` -> `{prefix}0.attn_q.weight`."""
    if not name.startswith("layers."):
        return f"{table[name]}.weight"
    _, layer, part = name.split(".")
    return f"{prefix}{layer}.{table[part]}.weight"


def write_gguf(
    path: Path,
    config: LlamaConfig,
    weights: dict[str, np.ndarray],
    types: dict[str, gguf.GGMLQuantizationType] | None = None,
    architecture: str = "llama",
    fields: dict[str, Any] | None = None,
    extra: dict[str, np.ndarray] | None = None,
    raw: dict[str, tuple[np.ndarray, gguf.GGMLQuantizationType]] | None = None,
) -> None:
    """GGUF with the byte BPE of `byte_bpe`.

    Args:
        types: type per last part of the canonical name; others are F32.
        fields: more metadata, floats, ints and strings.
        extra: more tensors, under the names given.
        raw: tensors already in blocks: uint8 [rows, bytes per row], and their type.
    """
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_name("small")
    add_shape(writer, config)
    described = json.loads(byte_bpe(config.vocab).to_str())["model"]
    tokens = sorted(described["vocab"], key=described["vocab"].get)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([3 if t in SPECIALS else 1 for t in tokens])
    writer.add_token_merges([" ".join(pair) for pair in described["merges"]])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(False)
    writer.add_chat_template("{{ '<|im_start|>system\nBe brief<|im_end|>\n' }}{{'<|im_start|>' + message['role']}}")
    for key, value in (fields or {}).items():
        {float: writer.add_float32, int: writer.add_uint32, str: writer.add_string}[type(value)](key, value)
    for name, values in weights.items():
        kind = (types or {}).get(name.rsplit(".", maxsplit=1)[-1], gguf.GGMLQuantizationType.F32)
        stored = full_name(GGUF_NAMES, name, "blk.")
        writer.add_tensor(stored, quants.quantize(values, kind), raw_dtype=kind)
    for name, values in (extra or {}).items():
        writer.add_tensor(name, values)
    for name, (values, kind) in (raw or {}).items():
        writer.add_tensor(name, values, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def hf_settings(config: LlamaConfig) -> dict[str, Any]:
    """config.json of `config`."""
    return llama_settings(config, 1, [2, 0])


def write_huggingface(
    folder: Path, config: LlamaConfig, weights: dict[str, np.ndarray], settings: dict[str, Any] | None = None
) -> None:
    """Hugging Face folder; `weights` go in as they are, so their RoPE convention is the caller's business."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(hf_settings(config) | (settings or {})))
    stored = {full_name(HF_NAMES, name, "model.layers."): values for name, values in weights.items()}
    save_file(stored, folder / "model.safetensors")
    byte_bpe(config.vocab).save(str(folder / "tokenizer.json"))


def write_olmo(folder: Path, config: LlamaConfig, weights: dict[str, np.ndarray]) -> None:
    """Hugging Face folder of an OLMo with the tanh form of GELU; as `write_huggingface`."""
    matrices = {name: values for name, values in weights.items() if values.ndim > 1}
    settings = {"architectures": ["OlmoForCausalLM"], "model_type": "olmo", "clip_qkv": None, "rms_norm_eps": None,
                "hidden_act": "gelu_pytorch_tanh"}
    write_huggingface(folder, config, matrices, settings)


def write_raw_safetensors(path: Path, tensors: dict[str, tuple[str, tuple[int, ...], bytes]]) -> None:
    """Safetensors by hand, for types NumPy lacks: name -> (type, shape, bytes)."""
    header, at = {}, 0
    for name, (kind, shape, data) in tensors.items():
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(data for _, _, data in tensors.values()))


def write_llama2c(path: Path, config: LlamaConfig, weights: dict[str, np.ndarray], version: int = 0) -> None:
    """llama2.c checkpoint, legacy (0) or version 1, after export.py of that project."""

    def layers(*names: str) -> list[np.ndarray]:
        return [weights[f"layers.{i}.{name}"] for name in names for i in range(config.layers)]

    sizes = [config.dim, config.ffn_dim, config.layers, config.heads, config.kv_heads, config.vocab, config.context]
    head = [] if config.tied_head else [weights["head"]]
    if version == 0:
        sizes[5] *= 1 if config.tied_head else -1
        header = struct.pack("<7i", *sizes)
        tables = [np.full((config.context, config.head_dim), 9.0, np.float32)]
        arrays = [weights["embed"], *layers("attn_norm", "q", "k", "v", "o", "ffn_norm", "gate", "down", "up")]
        arrays += [weights["norm"], *tables, *head]
    else:
        header = struct.pack("<Ii7iB", 0x616B3432, version, *sizes, config.tied_head).ljust(256, b"\0")
        arrays = [*layers("attn_norm", "ffn_norm"), weights["norm"], weights["embed"]]
        arrays += [*layers("q", "k", "v", "o", "gate", "down", "up"), *head]
    path.write_bytes(header + b"".join(a.astype("<f4").tobytes() for a in arrays))


def score_vocabulary(vocab: int = 300) -> list[tuple[bytes, float]]:
    """Pieces and scores of a SentencePiece vocabulary: unknown, begin, end, 256 bytes, then merges and characters."""
    pieces = [(b"<unk>", 0.0), (b"\n<s>\n", 0.0), (b"\n</s>\n", 0.0)]
    pieces += [(f"<0x{b:02X}>".encode(), 0.0) for b in range(256)]
    words = [" t", "he", " the", "at", " c", " cat", " s", " sat", " m"]
    pieces += [(w.encode(), -1.0 - i) for i, w in enumerate(words)]
    pieces += [(c.encode(), -1000.0 - i) for i, c in enumerate(" etaosncmrh,ï")]
    return pieces + [(f"@@{i}".encode(), -9999.0) for i in range(vocab - len(pieces))]


def write_llama2c_tokenizer(path: Path, vocab: int = 300) -> None:
    pieces = score_vocabulary(vocab)
    body = b"".join(struct.pack("<fi", score, len(piece)) + piece for piece, score in pieces)
    path.write_bytes(struct.pack("<i", max(len(p) for p, _ in pieces)) + body)
