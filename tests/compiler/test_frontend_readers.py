"""The readers: values come back as they were written, and bad files are refused with a message that says why."""

from __future__ import annotations

import contextlib
import json
import struct

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType as Type
from gguf import quants
from safetensors.numpy import save_file

from compiler.frontend import BadModelFileError, GroupQuant, LlamaConfig, Tensor, UnsupportedModelError, load_model
from compiler.frontend.gguf import GROUP_TYPES, unpack_blocks
from compiler.frontend.model import rope_pairs_from_halves
from compiler.frontend.reference import logits, mean_loss
from compiler.models import TINY
from tests.compiler.models import (
    HF_NAMES,
    full_name,
    hf_settings,
    random_weights,
    small_config,
    write_gguf,
    write_huggingface,
    write_llama2c,
    write_llama2c_tokenizer,
    write_olmo,
    write_raw_safetensors,
)

TOKENS = [5, 17, 250, 3, 3, 99]


def as_halves(config: LlamaConfig, weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """`weights` with the rows of q and k in Hugging Face's order."""
    result = dict(weights)
    for name, values in weights.items():
        part = name.rsplit(".", maxsplit=1)[-1]
        if part in ("q", "k"):
            heads = config.heads if part == "q" else config.kv_heads
            rows = values.reshape(heads, config.head_dim // 2, 2, -1)
            result[name] = np.ascontiguousarray(rows.swapaxes(1, 2).reshape(values.shape))
    return result


def check_same(model, config: LlamaConfig, weights: dict[str, np.ndarray]) -> None:
    assert model.config == config
    assert list(model.tensors) == list(config.shapes())
    for name, values in weights.items():
        np.testing.assert_array_equal(model.tensors[name].dense(), values, err_msg=name)


@pytest.mark.parametrize("tied", [False, True])
def test_gguf_float(tmp_path, tied):
    config = small_config(tied_head=tied, norm_eps=float(np.float32(1e-5)))
    weights = random_weights(config)
    write_gguf(tmp_path / "m", config, weights)
    model = load_model(tmp_path / "m")
    check_same(model, config, weights)
    assert model.name == "small"
    assert model.head is model.tensors["embed" if tied else "head"]


def test_gguf_types_mixed(tmp_path):
    config = small_config()
    weights = random_weights(config)
    types = {"embed": Type.Q8_0, "q": Type.Q4_1, "k": Type.Q4_0, "v": Type.F16, "o": Type.BF16, "down": Type.Q8_0}
    types |= {"gate": Type.Q5_0, "up": Type.Q5_1}
    write_gguf(tmp_path / "m.gguf", config, weights, types)
    model = load_model(tmp_path / "m.gguf")
    for name, values in weights.items():
        kind = types.get(name.rsplit(".", maxsplit=1)[-1], Type.F32)
        expected = quants.dequantize(quants.quantize(values, kind), kind)
        np.testing.assert_array_equal(model.tensors[name].dense(), expected, err_msg=name)
    q, k, embed = (model.tensors[n].quant for n in ("layers.0.q", "layers.0.k", "embed"))
    assert (q.bits, q.signed, q.group, q.minimum is None) == (4, False, 32, False)
    assert (q.q.min(), q.q.max()) == (0, 15)
    assert (k.bits, k.signed, k.minimum, k.q.min()) == (4, True, None, -8)
    assert (embed.bits, embed.signed, embed.scale.dtype, embed.q.max()) == (8, True, np.float16, 127)


@pytest.mark.parametrize("kind", GROUP_TYPES, ids=lambda k: k.name)
def test_unpack_blocks_of_any_bytes(kind):
    """Every bit pattern of the codes, scales that are ordinary numbers: equal to the library's expansion."""
    rng = np.random.default_rng(3)
    size = gguf.GGML_QUANT_SIZES[kind][1]
    data = rng.integers(0, 256, (5, 4, size), dtype=np.uint8)
    data[..., :4] = rng.standard_normal((5, 4, 2)).astype(np.float16).view(np.uint8)
    data = data.reshape(5, 4 * size)
    np.testing.assert_array_equal(unpack_blocks(data, kind).dense(), quants.dequantize(data, kind))


def test_gguf_k_quants_become_dense(tmp_path):
    """The library has no writer of K-quants, so the head is stored as bytes of that type."""
    config = small_config(dim=256, ffn_dim=32, head_dim=64, layers=1)
    weights = random_weights(config)
    kind = Type.Q6_K
    blocks = np.random.default_rng(5).integers(0, 256, (300, gguf.GGML_QUANT_SIZES[kind][1]), dtype=np.uint8)
    blocks[:, -2:] = np.array([0.01], np.float16).view(np.uint8)
    head = weights.pop("head")
    write_gguf(tmp_path / "m", config, weights, raw={"output.weight": (blocks, kind)})
    tensor = load_model(tmp_path / "m").tensors["head"]
    assert (tensor.shape, tensor.quant) == (head.shape, None)
    np.testing.assert_array_equal(tensor.values, quants.dequantize(blocks, kind))


def test_gguf_truncated_anywhere(tmp_path):
    config = small_config(layers=1)
    write_gguf(tmp_path / "m", config, random_weights(config))
    data = (tmp_path / "m").read_bytes()
    for length in [4, 8, 20, 30, 100, 1000, 3000, 6000, len(data) // 2, len(data) - 5]:
        (tmp_path / "cut").write_bytes(data[:length])
        with pytest.raises(BadModelFileError, match="cut: truncated or corrupt GGUF"):
            load_model(tmp_path / "cut")


def test_gguf_corrupt_header_never_hangs_or_escapes(tmp_path):
    config = small_config(layers=1)
    write_gguf(tmp_path / "m", config, random_weights(config))
    data = (tmp_path / "m").read_bytes()
    rng = np.random.default_rng(11)
    for _ in range(60):
        bad = bytearray(data)
        for at in rng.integers(4, 700, 3):
            bad[at] = rng.integers(256)
        (tmp_path / "bad").write_bytes(bad)
        with contextlib.suppress(BadModelFileError, UnsupportedModelError):
            load_model(tmp_path / "bad")


@pytest.mark.parametrize(("value", "name"), [(np.nan, "layers.1.down"), (np.inf, "norm"), (-np.inf, "embed")])
def test_not_finite_weights(tmp_path, value, name):
    config = small_config()
    weights = random_weights(config)
    weights[name][..., 3] = value
    write_gguf(tmp_path / "m", config, weights)
    with pytest.raises(BadModelFileError, match=f"m: tensor '{name}' holds NaN or infinite values"):
        load_model(tmp_path / "m")


def test_not_finite_scale(tmp_path):
    config = small_config()
    weights = random_weights(config)
    weights["layers.0.up"][5, 40] = 1e9  # the scale overflows float16
    with np.errstate(over="ignore"):
        write_gguf(tmp_path / "m", config, weights, {"up": Type.Q8_0})
    with pytest.raises(BadModelFileError, match=r"tensor 'layers\.0\.up' holds NaN or infinite"):
        load_model(tmp_path / "m")


def test_wrong_and_missing_tensors(tmp_path):
    config = small_config()
    weights = random_weights(config)
    wrong = weights | {"layers.1.k": weights["layers.1.k"][:-1]}
    write_gguf(tmp_path / "a", config, wrong)
    with pytest.raises(BadModelFileError, match=r"a: tensor 'layers\.1\.k' has shape \(31, 64\), expected \(32, 64\)"):
        load_model(tmp_path / "a")
    write_gguf(tmp_path / "b", config, {n: w for n, w in weights.items() if n != "layers.0.o"})
    with pytest.raises(BadModelFileError, match=r"b: tensor 'layers\.0\.o' is missing"):
        load_model(tmp_path / "b")
    deeper = small_config(layers=3)
    write_gguf(tmp_path / "c", config, random_weights(deeper))
    with pytest.raises(UnsupportedModelError, match=r"c: tensor 'layers\.2\.attn_norm' has no place in a plain Llama"):
        load_model(tmp_path / "c")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"architecture": "mamba"}, "general.architecture 'mamba' is not supported; only 'llama'"),
        ({"fields": {"llama.rope.scaling.type": "yarn", "llama.rope.scaling.factor": 4.0}}, "RoPE scaling"),
        ({"fields": {"llama.expert_count": 8}}, "mixture of experts"),
        ({"fields": {"llama.attention.sliding_window": 8}}, "sliding-window"),
        ({"fields": {"llama.attention.value_length": 8}}, "value_length 8 differs from the head width 16"),
        ({"extra": {"rope_freqs.weight": np.ones(8, np.float32)}}, "RoPE scaling"),
        ({"extra": {"blk.0.attn_q.bias": np.ones(64, np.float32)}}, "'blk.0.attn_q.bias': biases are not supported"),
        ({"extra": {"blk.0.attn_sinks.weight": np.ones(4, np.float32)}}, "has no place in a plain Llama"),
        ({"extra": {"output.weight": np.ones((300, 64), np.int8)}}, "'output.weight' has type I8, which is not"),
    ],
)
def test_gguf_unsupported(tmp_path, change, message):
    config = small_config(tied_head=True)
    write_gguf(tmp_path / "m", config, random_weights(config), **change)
    with pytest.raises(UnsupportedModelError, match=message):
        load_model(tmp_path / "m")


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_huggingface(tmp_path, tied, dtype):
    config = small_config(tied_head=tied)
    weights = {n: w.astype(dtype) for n, w in random_weights(config).items()}
    write_huggingface(tmp_path / "hf", config, as_halves(config, weights))
    for path in (tmp_path / "hf", tmp_path / "hf/config.json", tmp_path / "hf/model.safetensors"):
        model = load_model(path)
        check_same(model, config, weights)
    assert model.tensors["layers.0.q"].values.dtype == dtype
    assert model.name == "hf"
    assert (model.tokenizer.bos_id, model.tokenizer.eos_id) == (1, 2)


def test_huggingface_shards_bf16_and_ignored_tensors(tmp_path):
    config = small_config(tied_head=True)
    weights = random_weights(config)
    halves = as_halves(config, weights)
    write_huggingface(tmp_path, config, halves)
    (tmp_path / "model.safetensors").unlink()
    stored = {
        full_name(HF_NAMES, n, "model.layers."): ("BF16", w.shape, (w.view(np.uint32) >> 16).astype("<u2").tobytes())
        for n, w in halves.items()
    }
    stored["model.layers.0.self_attn.rotary_emb.inv_freq"] = ("F32", (8,), bytes(32))
    stored["lm_head.weight"] = stored["model.embed_tokens.weight"]
    names = list(stored)
    for part, chosen in (("a", names[:7]), ("b", names[7:])):
        write_raw_safetensors(tmp_path / f"{part}.safetensors", {n: stored[n] for n in chosen})
    index = {n: "a.safetensors" if i < 7 else "b.safetensors" for i, n in enumerate(names)}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    expected = {n: (w.view(np.uint32) & 0xFFFF0000).view(np.float32) for n, w in weights.items()}
    check_same(load_model(tmp_path), config, expected)
    index["lm_head.weight"] = "../b.safetensors"
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    with pytest.raises(BadModelFileError, match=r"weight_map names '\.\./b\.safetensors'"):
        load_model(tmp_path)


def split_half_scores(q: np.ndarray, k: np.ndarray, theta: float) -> np.ndarray:
    """Scores [T, T] of one head as Hugging Face computes them: `x * cos + rotate_half(x) * sin`."""
    length, width = q.shape
    frequency = theta ** (-np.arange(0, width, 2) / width)
    angle = np.arange(length)[:, None] * np.concatenate((frequency, frequency))

    def turned(x: np.ndarray) -> np.ndarray:
        half = np.concatenate((-x[:, width // 2 :], x[:, : width // 2]), axis=1)
        return x * np.cos(angle) + half * np.sin(angle)

    return turned(q) @ turned(k).T


def huggingface_logits(config: LlamaConfig, weights: dict[str, np.ndarray], tokens: list[int]) -> np.ndarray:
    """An independent forward pass in Hugging Face's conventions, loops where they are clearer."""

    def norm(x: np.ndarray, gain: np.ndarray) -> np.ndarray:
        if config.norm == "layer":
            return gain * (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + config.norm_eps)
        return gain * x / np.sqrt((x**2).mean(1, keepdims=True) + config.norm_eps)

    w = {n: v.astype(np.float64) for n, v in weights.items()}
    x, shared = w["embed"][tokens], config.heads // config.kv_heads
    for i in range(config.layers):
        layer = {n.split(".")[2]: v for n, v in w.items() if n.startswith(f"layers.{i}.")}
        h = norm(x, layer["attn_norm"])
        q, k, v = (np.split(h @ layer[n].T, c, axis=1) for n, c in zip("qkv", (4, 2, 2), strict=True))
        out = []
        for head in range(config.heads):
            scores = split_half_scores(q[head], k[head // shared], config.rope_theta) / np.sqrt(config.head_dim)
            scores = np.exp(np.where(np.tri(len(tokens)) > 0, scores, -np.inf))
            out.append(scores / scores.sum(1, keepdims=True) @ v[head // shared])
        x = x + np.hstack(out) @ layer["o"].T
        h = norm(x, layer["ffn_norm"])
        g = h @ layer["gate"].T
        if config.activation == "gelu":
            g = g * 0.5 * (1 + np.tanh(np.sqrt(2 / np.pi) * (g + 0.044715 * g**3)))
        else:
            g = g / (1 + np.exp(-g))
        x = x + (g * (h @ layer["up"].T)) @ layer["down"].T
    return norm(x, w["norm"]) @ w["head"].T


def test_rope_permutation_keeps_the_forward_pass(tmp_path):
    config = small_config()
    weights = random_weights(config)
    write_huggingface(tmp_path, config, weights)
    ours = logits(load_model(tmp_path), TOKENS)
    np.testing.assert_allclose(ours, huggingface_logits(config, weights, TOKENS), rtol=1e-9, atol=1e-9)
    assert rope_pairs_from_halves(2, 4).tolist() == [0, 2, 1, 3, 4, 6, 5, 7]


def test_olmo(tmp_path):
    config = small_config(norm="layer", activation="gelu")
    weights = random_weights(config)
    write_olmo(tmp_path, config, weights)
    weights |= {n: np.ones_like(w) for n, w in weights.items() if w.ndim == 1}
    model = load_model(tmp_path)
    assert model.config == config
    ours, independent = logits(model, TOKENS), huggingface_logits(config, weights, TOKENS)
    np.testing.assert_allclose(ours, independent, rtol=1e-9, atol=1e-9)
    write_huggingface(tmp_path, config, weights, {"model_type": "olmo"})
    with pytest.raises(UnsupportedModelError, match=r"attn_norm': the norms of an OLMo model have no weights"):
        load_model(tmp_path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model_type": "qwen2"}, "model_type 'qwen2' is not supported"),
        ({"attention_bias": True}, "attention_bias: biases are not supported"),
        ({"mlp_bias": True}, "mlp_bias: biases are not supported"),
        ({"hidden_act": "gelu"}, "hidden_act 'gelu' is not supported.* write gelu_pytorch_tanh"),
        ({"hidden_act": "relu"}, "hidden_act 'relu' is not supported; only silu, .*are$"),
        ({"model_type": "olmo", "clip_qkv": 8.0}, "clip_qkv is not supported"),
        ({"rope_scaling": {"rope_type": "llama3", "factor": 8.0}}, "RoPE scaling 'llama3'"),
        ({"rope_scaling": {"type": "linear", "factor": 2.0}}, "RoPE scaling 'linear'"),
        ({"quantization_config": {"bits": 4}}, "quantization_config"),
    ],
)
def test_huggingface_unsupported(tmp_path, settings, message):
    config = small_config()
    write_huggingface(tmp_path, config, random_weights(config), settings)
    with pytest.raises(UnsupportedModelError, match=message):
        load_model(tmp_path)


def test_huggingface_new_rope_parameters(tmp_path):
    config = small_config()
    settings = {"rope_theta": None, "rope_parameters": {"rope_theta": 500000.0, "rope_type": "default"}}
    write_huggingface(tmp_path, config, random_weights(config), settings)
    assert load_model(tmp_path).config.rope_theta == 500000.0


def test_huggingface_bad_files(tmp_path):
    config = small_config()
    write_huggingface(tmp_path, config, random_weights(config))
    weights = tmp_path / "model.safetensors"
    whole = weights.read_bytes()
    for length in (5, 40, 9000, len(whole) - 1):
        weights.write_bytes(whole[:length])
        with pytest.raises(BadModelFileError, match=r"model\.safetensors: truncated or corrupt safetensors"):
            load_model(tmp_path)
    save_file({"model.norm.weight": np.ones(64, np.float32)}, weights)
    with pytest.raises(BadModelFileError, match="tensor 'embed' is missing"):
        load_model(tmp_path)
    save_file({"model.norm.weight": np.ones(64, np.int32)}, weights)
    with pytest.raises(UnsupportedModelError, match=r"'model\.norm\.weight' has type I32, which is not supported"):
        load_model(tmp_path)
    weights.unlink()
    with pytest.raises(BadModelFileError, match=r"neither model\.safetensors nor"):
        load_model(tmp_path)
    weights.write_bytes(whole)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(BadModelFileError, match=r"no readable tokenizer\.json"):
        load_model(tmp_path)
    for changes, message in (({"num_key_value_heads": 3}, "kv_heads must divide"), ({"hidden_size": "x"}, "'x'")):
        (tmp_path / "config.json").write_text(json.dumps(hf_settings(config) | changes))
        with pytest.raises(BadModelFileError, match=message):
            load_model(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(BadModelFileError, match="no readable JSON"):
        load_model(tmp_path)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("version", [0, 1])
def test_llama2c(tmp_path, tied, version):
    config = small_config(tied_head=tied)
    weights = random_weights(config)
    write_llama2c(tmp_path / "m.any", config, weights, version)
    with pytest.raises(BadModelFileError, match=r"no tokenizer inside, and .*tokenizer\.bin is not there"):
        load_model(tmp_path / "m.any")
    write_llama2c_tokenizer(tmp_path / "tokenizer.bin")
    check_same(load_model(tmp_path / "m.any"), config, weights)
    check_same(load_model(tmp_path / "m.any", tmp_path / "tokenizer.bin"), config, weights)
    data = (tmp_path / "m.any").read_bytes()
    for bad in (data[:-4], data + b"1234"):
        (tmp_path / "bad").write_bytes(bad)
        with pytest.raises(BadModelFileError, match=f"has {len(bad)} bytes, its header asks for {len(data)}"):
            load_model(tmp_path / "bad")


def test_llama2c_refusals(tmp_path):
    header = struct.pack("<Ii7iB", 0x616B3432, 2, 64, 96, 2, 4, 2, 300, 24, 1).ljust(256, b"\0")
    (tmp_path / "m").write_bytes(header)
    with pytest.raises(UnsupportedModelError, match=r"llama2\.c version 2 is not supported"):
        load_model(tmp_path / "m")
    (tmp_path / "m").write_bytes(header[:100])
    with pytest.raises(BadModelFileError, match="has 100 bytes, its header alone has 256"):
        load_model(tmp_path / "m")
    (tmp_path / "m").write_bytes(struct.pack("<7i", 64, 96, 2, 5, 5, 300, 24))
    with pytest.raises(BadModelFileError, match=r"heads must divide dim \(64\), got 5"):
        load_model(tmp_path / "m")


def test_same_model_in_every_format_computes_the_same(tmp_path):
    config = small_config()
    weights = random_weights(config)
    write_gguf(tmp_path / "g", config, weights)
    write_huggingface(tmp_path / "hf", config, as_halves(config, weights))
    write_llama2c(tmp_path / "c", config, weights, 1)
    write_llama2c_tokenizer(tmp_path / "tokenizer.bin")
    first, *others = (logits(load_model(tmp_path / name), TOKENS) for name in ("hf", "c", "g"))
    for other in others:
        np.testing.assert_allclose(other, first, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("content", "kind", "message"),
    [
        (b"PK\x03\x04" + bytes(60), UnsupportedModelError, "save the model as safetensors"),
        (b"ggml" + bytes(60), UnsupportedModelError, "convert it to GGUF"),
        (b"", BadModelFileError, "neither GGUF"),
        (b"hello world, this is no model at all", BadModelFileError, "neither GGUF"),
    ],
)
def test_other_files(tmp_path, content, kind, message):
    (tmp_path / "m.gguf").write_bytes(content)
    with pytest.raises(kind, match=message):
        load_model(tmp_path / "m.gguf")


def test_missing_files(tmp_path):
    with pytest.raises(BadModelFileError, match="nowhere: no such file or folder"):
        load_model(tmp_path / "nowhere")
    with pytest.raises(BadModelFileError, match="t: no such file"):
        load_model(tmp_path, tmp_path / "t")
    with pytest.raises(BadModelFileError, match=r"config\.json: no such file"):
        load_model(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dim": 0}, "dim must be an integer of at least 1, got 0"),
        ({"layers": 2.0}, "layers must be an integer of at least 1, got 2.0"),
        ({"layers": 5000}, "layers must be at most 4096, got 5000"),
        ({"kv_heads": 3}, r"kv_heads must divide heads \(4\), got 3"),
        ({"head_dim": 15}, "head_dim must be even .* got 15"),
        ({"rope_theta": float("nan")}, "rope_theta must be a finite number above 0, got nan"),
        ({"norm_eps": 0}, "norm_eps must be a finite number above 0, got 0"),
        ({"tied_head": 1}, "tied_head must be a bool, got 1"),
        ({"norm": "batch"}, "norm must be one of rms, layer, got 'batch'"),
        ({"activation": "relu"}, "activation must be one of silu, gelu, got 'relu'"),
    ],
)
def test_config_rules(change, message):
    with pytest.raises(ValueError, match=message):
        small_config(**change)


def test_tensor_and_group_quant_rules():
    codes, scale = np.ones((2, 8), np.int8), np.full((2, 2), 0.5, np.float16)
    quant = GroupQuant(codes, scale, scale, 4, 4, False)
    np.testing.assert_array_equal(Tensor(quant=quant).dense(), np.ones((2, 8), np.float32))
    with pytest.raises(ValueError, match="exactly one of values and quant"):
        Tensor()
    for arguments, message in (
        ((codes, scale, None, 3, 4, False), "group must divide K = 8, got 3"),
        ((codes, scale[:, :1], None, 4, 4, False), r"scale must have shape \(2, 2\), got \(2, 1\)"),
        ((codes, scale, scale.astype(np.float64), 4, 4, False), "minimum must be float16 or float32, got float64"),
        ((codes.astype(np.int16), scale, None, 4, 4, False), r"q must be int8 \[rows, K\], got int16"),
    ):
        with pytest.raises(ValueError, match=message):
            GroupQuant(*arguments)


def test_reference_is_causal_and_checks_tokens(tmp_path):
    config = small_config()
    write_gguf(tmp_path / "m", config, random_weights(config))
    model = load_model(tmp_path / "m")
    np.testing.assert_allclose(logits(model, TOKENS)[:4], logits(model, TOKENS[:4]), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(logits(model, TOKENS, np.float32), logits(model, TOKENS), rtol=1e-3, atol=1e-3)
    with pytest.raises(ValueError, match=r"tokens must be 1 to 24 \(the context\), got 25"):
        logits(model, [1] * 25)
    with pytest.raises(ValueError, match="tokens must be below 300, got 0 to 300"):
        logits(model, [0, 300])
    with pytest.raises(ValueError, match="window must be 2 to 6"):
        mean_loss(model, TOKENS, 7)


def test_tiny_model_is_8_of_16_sparse():
    model = load_model(TINY)
    config = model.config
    assert (config.dim, config.heads, config.kv_heads, config.head_dim, config.ffn_dim) == (100, 5, 1, 20, 260)
    assert (config.layers, config.vocab, config.context, config.tied_head) == (3, 509, 256, True)
    for name, tensor in model.tensors.items():
        weights = tensor.dense()
        if weights.ndim == 1 or name == "embed":
            continue
        padded = np.pad(weights, ((0, 0), (0, -weights.shape[1] % 16)))
        kept = np.count_nonzero(padded.reshape(len(weights), -1, 16), axis=2)
        assert kept.max() == 8, name
        assert kept[:, :-1].mean() > 7.9, name
        assert kept[:, -1].max() == 4, name
    assert sum(f.stat().st_size for f in TINY.iterdir()) < 1_000_000


def test_tiny_model_knows_its_text():
    """Below 3.2 nats per token on lines of Shakespeare; an untrained model is at ln 509 = 6.2."""
    model = load_model(TINY)
    text = (
        "KING RICHARD II:\nNorfolk, throw down, we bid; there is no boot.\n\nMOWBRAY:\nMyself I throw, dread sovereign,"
    )
    ids = model.tokenizer.encode(text, bos=True)
    assert model.tokenizer.decode(ids) == text
    assert mean_loss(model, ids, len(ids)) < 3.2
