"""Writes a model as a Hugging Face folder: config.json, model.safetensors (float16), tokenizer.json.

Pruned with SparseGPT on the way, where `--sparsity` is given; not rounded:

    python -m bench.huggingface_folder SmolLM2-135M-Instruct.Q4_1.gguf -o PRUNED --sparsity 8:16
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from compiler.compress import Recipe, built_in_text, compress
from compiler.frontend import load_model
from compiler.frontend.huggingface import LAYER_NAMES, NAMES, SINGLE
from compiler.frontend.model import LlamaConfig, Model, UnsupportedModelError, rope_pairs_from_halves
from compiler.frontend.tokenizer import JsonTokenizer

__all__ = ["llama_settings", "write_folder"]


def write_folder(model: Model, folder: Path) -> None:
    """The inverse of `load_model(folder)`, with every tensor as float16.

    Raises:
        UnsupportedModelError: not a plain Llama, or its tokenizer has no tokenizer.json.
    """
    config, tokenizer = model.config, model.tokenizer
    if config.norm != "rms" or config.activation != "silu":
        raise UnsupportedModelError(f"{model.name}: norm {config.norm} with {config.activation}; only plain Llama")
    if not isinstance(tokenizer, JsonTokenizer):
        raise UnsupportedModelError(f"{model.name}: its tokenizer cannot be written as tokenizer.json")
    stored = {name: file_name for file_name, name in NAMES.items()}
    for layer in range(config.layers):
        names = {part: f"model.layers.{layer}.{name}.weight" for name, part in LAYER_NAMES.items()}
        stored |= {f"layers.{layer}.{part}": name for part, name in names.items()}
    tensors = {}
    for name, tensor in model.tensors.items():
        values, heads = tensor.dense(), {"q": config.heads, "k": config.kv_heads}.get(name.split(".")[-1])
        if heads is not None:
            values = values[np.argsort(rope_pairs_from_halves(heads, config.head_dim))]
        tensors[stored[name]] = values.astype(np.float16)
    folder.mkdir(parents=True, exist_ok=True)
    settings = llama_settings(config, tokenizer.bos_id, tokenizer.eos_id)
    (folder / "config.json").write_text(json.dumps(settings, indent=2) + "\n", "utf-8")
    save_file(tensors, folder / SINGLE, metadata={"format": "pt"})
    tokenizer.inner.save(str(folder / "tokenizer.json"))


def llama_settings(config: LlamaConfig, bos_id: int | None, eos_id: int | list[int] | None) -> dict[str, Any]:
    """config.json of a Llama whose weights are float16."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": config.dim,
        "intermediate_size": config.ffn_dim,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads,
        "head_dim": config.head_dim,
        "vocab_size": config.vocab,
        "max_position_embeddings": config.context,
        "rope_theta": config.rope_theta,
        "rms_norm_eps": config.norm_eps,
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": config.tied_head,
        "bos_token_id": bos_id,
        "eos_token_id": eos_id,
        "torch_dtype": "float16",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="any model that the compiler reads")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write")
    parser.add_argument("--sparsity", help="keep N of every 16 inputs, as N:16")
    args = parser.parse_args()
    model = load_model(args.model)
    pruned = compress(model, Recipe(sparsity=args.sparsity), model.tokenizer.encode(built_in_text()))
    write_folder(pruned, args.output)


if __name__ == "__main__":
    main()
