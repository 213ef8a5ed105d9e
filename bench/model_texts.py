# pyright: reportMissingImports=false
# torch is an optional extra, absent where the sources are checked
"""Text that a model writes, to fine-tune a smaller form of it with: no text of anybody's is needed.

    python -m bench.model_texts SmolLM2-135M-Instruct.Q4_1.gguf -o texts.npy

Needs the extra `torch`, and a GPU for any amount of text.
"""

from __future__ import annotations

import argparse
import functools
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from bench.calibration_text import OPENINGS
from bench.torch_llama import angles, block, device_weights, final_norm, head, layer_weights, where_and_type
from compiler.frontend import LlamaConfig, Model, load_model

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.torch_llama import Weights

__all__ = ["sample", "starts"]

WORD = re.compile(rb" ?[A-Za-z]+")
TEMPERATURES = 0.7, 1.0
SPAN = 128  # positions in which attention reads the same length of K and V


def starts(model: Model, count: int, rng: np.random.Generator) -> torch.Tensor:
    """First tokens of texts, int64 [count, n], -1 where the model may choose.

    In turn what starts a chat, a word, and twice some first words of an opening of `bench.calibration_text`.
    """
    tokenizer = model.tokenizer
    words = [token for token in range(tokenizer.vocab_size) if WORD.fullmatch(tokenizer.decode_token(token))]
    opened = [tokenizer.encode(opening, bos=False) for opening in OPENINGS]
    result = np.full((count, max(map(len, opened))), -1)
    result[:, 0] = rng.choice(words, count)
    if tokenizer.bos_id is not None:
        result[0::4, 0] = tokenizer.bos_id
    for row in (*result[2::4], *result[3::4]):
        opening = opened[rng.integers(len(opened))]
        used = rng.integers(1, len(opening) + 1)
        row[:used] = opening[:used]
    return torch.from_numpy(result)


@torch.no_grad()
def sample(
    config: LlamaConfig, weights: Weights, starts: torch.Tensor, length: int, temperature: torch.Tensor
) -> torch.Tensor:
    """Texts [count, length] that go on from `starts` [count, n], drawn from the softmax of logits / temperature.

    Args:
        starts: -1 where the model may choose.
        temperature: [count, 1].
    """
    texts = functional.pad(starts, (0, max(0, length - starts.shape[1])), value=-1)[:, :length].contiguous()
    count, device = len(texts), texts.device
    angle = angles(config, length, device)
    shape = (config.layers, count, config.kv_heads, length, config.head_dim)
    keys, values = (torch.zeros(shape, dtype=weights["embed"].dtype, device=device) for _ in range(2))
    at = torch.zeros(1, dtype=torch.int64, device=device)

    def attention(layer: int, seen: int) -> Callable:
        def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
            keys[layer].index_copy_(2, at, k)
            values[layer].index_copy_(2, at, v)
            grouped = q.reshape(count, config.kv_heads, -1, config.head_dim)  # heads that share K and V, as positions
            past = (torch.arange(seen, device=device) <= at).expand(count, config.kv_heads, grouped.shape[2], seen)
            k, v = keys[layer, :, :, :seen], values[layer, :, :, :seen]
            return functional.scaled_dot_product_attention(grouped, k, v, attn_mask=past).reshape(q.shape)

        return attend

    def step(seen: int) -> None:
        """Draw the token after position `at`, which is below `seen`, and move on."""
        x = functional.embedding(texts.index_select(1, at), weights["embed"]).float()
        cos, sin = (table.index_select(0, at) for table in angle)
        for layer in range(config.layers):
            x = block(layer_weights(weights, layer), x, cos, sin, config.norm_eps, attention(layer, seen))
        x = final_norm(config, weights, x[:, 0])
        p = torch.softmax(functional.linear(x, head(weights)).float() / temperature, -1)
        drawn = (p / torch.empty_like(p).exponential_()).argmax(-1, keepdim=True)
        at.add_(1)
        given = texts.index_select(1, at)
        texts.index_copy_(1, at, torch.where(given < 0, drawn, given))

    for first in range(0, length - 1, SPAN):
        again = recorded(functools.partial(step, min(first + SPAN, length)), device)
        for _ in range(first + 1, min(first + SPAN, length - 1)):
            again()
    return texts


def recorded(step: Callable[[], None], device: torch.device) -> Callable[[], None]:
    """Do `step` once; what does it again: on a GPU as one CUDA graph, since its kernels are many and small."""
    step()
    if device.type != "cuda":
        return step
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="any model that the compiler reads")
    parser.add_argument("-o", "--output", type=Path, required=True, help="file to write: int32 [texts, length]")
    parser.add_argument("--texts", type=int, default=32768)
    parser.add_argument("--length", type=int, default=1024, help="tokens of a text")
    parser.add_argument("--width", type=int, default=2048, help="texts that are written at a time")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    rng, began, parts = np.random.default_rng(args.seed), time.monotonic(), []
    device, kind = where_and_type()
    model = load_model(args.model)
    weights = device_weights(model, device, kind)
    for first in range(0, args.texts, args.width):
        count = min(args.width, args.texts - first)
        temperature = torch.from_numpy(rng.uniform(*TEMPERATURES, (count, 1)).astype(np.float32)).to(device)
        texts = sample(model.config, weights, starts(model, count, rng).to(device), args.length, temperature)
        parts.append(texts.cpu().numpy().astype(np.int32))
        print(f"{first + count} texts, {time.monotonic() - began:.0f} s", flush=True)
    np.save(args.output, np.concatenate(parts))


if __name__ == "__main__":
    main()
