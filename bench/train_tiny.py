# pyright: reportMissingImports=false
# torch is an optional extra, absent where the sources are checked
"""Train the tiny model of `compiler/models/tiny`: a Llama whose layers are 8:16 sparse from the first step.

The shapes are on purpose no multiples of 16, so that the model exercises every ragged edge of compiler and hardware.
Needs the extra `torch`; nothing else in the project does. One thread and fixed seeds: the same machine and torch give
the same file.

    OMP_NUM_THREADS=1 python -m bench.train_tiny --text ../shared/data/text/tinyshakespeare.txt
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch.nn import functional

from bench.huggingface_folder import llama_settings
from bench.torch_llama import rms_norm
from compiler.frontend.model import LlamaConfig

DIM, HEADS, KV_HEADS, HEAD_DIM, FFN_DIM, LAYERS, VOCAB, CONTEXT = 100, 5, 1, 20, 260, 3, 509, 256
ROPE_THETA, NORM_EPS = 10000.0, 1e-5
SPARSE_KEEP, SPARSE_GROUP = 8, 16
BOS = "<|endoftext|>"
PRUNED_DECAY = 1.0  # the extra pull on pruned weights (SR-STE), so that masks settle; per unit of learning rate


def train_tokenizer(text: str) -> Tokenizer:
    """Byte-level BPE of `VOCAB` tokens: `BOS`, the 256 bytes, and merges learnt from `text`."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB,
        special_tokens=[BOS],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator([text], trainer)
    assert tokenizer.get_vocab_size() == VOCAB
    return tokenizer


def keep_mask(weight: torch.Tensor) -> torch.Tensor:
    """1.0 on the `SPARSE_KEEP` largest magnitudes of every `SPARSE_GROUP` inputs, else 0.0; same shape [rows, K].

    A last group of at most `SPARSE_KEEP` inputs is kept whole.
    """
    rows, inputs = weight.shape
    groups = functional.pad(weight.abs(), (0, -inputs % SPARSE_GROUP), value=-1.0).view(rows, -1, SPARSE_GROUP)
    kept = groups.topk(SPARSE_KEEP, dim=-1).indices
    return torch.zeros_like(groups).scatter_(-1, kept, 1.0).view(rows, -1)[:, :inputs]


class SparseLinear(torch.nn.Module):
    """`x @ (W * mask)^T` with the mask remade at every call, and the gradient passed straight through to `W`."""

    def __init__(self, inputs: int, outputs: int, sparse: bool) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(outputs, inputs) / math.sqrt(inputs))
        self.sparse = sparse
        self.mask = torch.ones_like(self.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.sparse:
            return functional.linear(x, self.weight)
        with torch.no_grad():
            self.mask = keep_mask(self.weight)
            pruned = self.weight * (1 - self.mask)
        return functional.linear(x, self.weight - pruned)


def rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """RoPE in the split-half convention of Hugging Face; x [batch, heads, T, HEAD_DIM], cos and sin [T, HEAD_DIM]."""
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-second, first), dim=-1) * sin


class Block(torch.nn.Module):
    """One decoder layer."""

    def __init__(self, sparse: bool) -> None:
        super().__init__()
        self.input_layernorm = torch.nn.Parameter(torch.ones(DIM))
        self.post_attention_layernorm = torch.nn.Parameter(torch.ones(DIM))
        self.q_proj = SparseLinear(DIM, HEADS * HEAD_DIM, sparse)
        self.k_proj = SparseLinear(DIM, KV_HEADS * HEAD_DIM, sparse)
        self.v_proj = SparseLinear(DIM, KV_HEADS * HEAD_DIM, sparse)
        self.o_proj = SparseLinear(HEADS * HEAD_DIM, DIM, sparse)
        self.gate_proj = SparseLinear(DIM, FFN_DIM, sparse)
        self.up_proj = SparseLinear(DIM, FFN_DIM, sparse)
        self.down_proj = SparseLinear(FFN_DIM, DIM, sparse)

    def forward(self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        batch, length, _ = x.shape
        h = rms_norm(x, self.input_layernorm, NORM_EPS)
        q = self.q_proj(h).view(batch, length, HEADS, HEAD_DIM).transpose(1, 2)
        k = self.k_proj(h).view(batch, length, KV_HEADS, HEAD_DIM).transpose(1, 2)
        v = self.v_proj(h).view(batch, length, KV_HEADS, HEAD_DIM).transpose(1, 2)
        shared = HEADS // KV_HEADS
        k = rotate(k, cos, sin).repeat_interleave(shared, dim=1)
        v = v.repeat_interleave(shared, dim=1)
        attended = functional.scaled_dot_product_attention(rotate(q, cos, sin), k, v, is_causal=True)
        x = x + self.o_proj(attended.transpose(1, 2).reshape(batch, length, HEADS * HEAD_DIM))
        h = rms_norm(x, self.post_attention_layernorm, NORM_EPS)
        return x + self.down_proj(functional.silu(self.gate_proj(h)) * self.up_proj(h))


class TinyLlama(torch.nn.Module):
    """The decoder, with the output head tied to the embedding."""

    def __init__(self, sparse: bool) -> None:
        super().__init__()
        self.embed_tokens = torch.nn.Parameter(torch.randn(VOCAB, DIM) * 0.05)
        self.blocks = torch.nn.ModuleList(Block(sparse) for _ in range(LAYERS))
        self.norm = torch.nn.Parameter(torch.ones(DIM))
        frequency = ROPE_THETA ** (-torch.arange(0, HEAD_DIM, 2) / HEAD_DIM)
        angle = torch.arange(CONTEXT)[:, None] * torch.cat((frequency, frequency))
        self.cos, self.sin = angle.cos(), angle.sin()

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Logits [batch, T, VOCAB] of tokens int64 [batch, T]."""
        length = tokens.shape[1]
        x = functional.embedding(tokens, self.embed_tokens)
        for block in self.blocks:
            x = block(x, self.cos[:length], self.sin[:length])
        return rms_norm(x, self.norm, NORM_EPS) @ self.embed_tokens.T


def windows(ids: torch.Tensor, starts: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs and targets [len(starts), CONTEXT]: every input window is BOS and then CONTEXT - 1 tokens of text."""
    targets = ids[starts[:, None] + torch.arange(CONTEXT)]
    return torch.cat((torch.zeros_like(targets[:, :1]), targets[:, :-1]), dim=1), targets


@torch.no_grad()
def evaluate(model: TinyLlama, ids: torch.Tensor) -> float:
    """Mean cross-entropy of `ids` in nats per token, over windows that do not overlap."""
    starts = torch.arange(0, len(ids) - CONTEXT + 1, CONTEXT)
    total = 0.0
    for chunk in starts.split(16):
        inputs, targets = windows(ids, chunk)
        total += functional.cross_entropy(model(inputs).flatten(0, 1), targets.flatten(), reduction="sum").item()
    return total / (len(starts) * CONTEXT)


def train(model: TinyLlama, ids: torch.Tensor, held_out: torch.Tensor, args: argparse.Namespace) -> None:
    """AdamW with a cosine schedule; prints the losses as it goes."""
    decayed = [p for p in model.parameters() if p.ndim == 2]
    gains = [p for p in model.parameters() if p.ndim == 1]
    optimiser = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": 0.1}, {"params": gains, "weight_decay": 0.0}], betas=(0.9, 0.95)
    )
    linears = [m for m in model.modules() if isinstance(m, SparseLinear) and m.sparse]
    began = time.monotonic()
    for step in range(args.steps):
        rate = args.rate * min(1.0, (step + 1) / 100) * (0.05 + 0.95 * (1 + math.cos(math.pi * step / args.steps)) / 2)
        for group in optimiser.param_groups:
            group["lr"] = rate
        inputs, targets = windows(ids, torch.randint(len(ids) - CONTEXT + 1, (args.batch,)))
        loss = functional.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        with torch.no_grad():
            for linear in linears:
                linear.weight -= rate * PRUNED_DECAY * linear.weight * (1 - linear.mask)
        if (step + 1) % args.report == 0 or step + 1 == args.steps:
            print(
                f"step {step + 1} train {loss.item():.4f} held-out {evaluate(model, held_out):.4f} nats/token "
                f"{time.monotonic() - began:.0f} s",
                flush=True,
            )


def save(model: TinyLlama, tokenizer: Tokenizer, folder: Path) -> None:
    """Write config.json, model.safetensors (float16) and tokenizer.json in the layout of Hugging Face."""

    def half(values: torch.Tensor) -> np.ndarray:
        return values.detach().numpy().astype(np.float16)

    tensors = {"model.embed_tokens.weight": half(model.embed_tokens), "model.norm.weight": half(model.norm)}
    for i, block in enumerate(model.blocks):
        for name in ("input_layernorm", "post_attention_layernorm"):
            tensors[f"model.layers.{i}.{name}.weight"] = half(getattr(block, name))
        for name, child in block.named_children():
            assert isinstance(child, SparseLinear)
            part = "mlp" if name in ("gate_proj", "up_proj", "down_proj") else "self_attn"
            weight = child.weight * keep_mask(child.weight) if child.sparse else child.weight
            tensors[f"model.layers.{i}.{part}.{name}.weight"] = half(weight)
    config = LlamaConfig(
        dim=DIM, ffn_dim=FFN_DIM, layers=LAYERS, heads=HEADS, kv_heads=KV_HEADS, head_dim=HEAD_DIM, vocab=VOCAB,
        context=CONTEXT, rope_theta=ROPE_THETA, norm_eps=NORM_EPS, tied_head=True,
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(llama_settings(config, 0, 0), indent=2) + "\n")
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    tokenizer.save(str(folder / "tokenizer.json"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", type=Path, required=True, help="training text, UTF-8; its last tenth is held out")
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "compiler/models/tiny")
    parser.add_argument("--dense", action="store_true", help="train without the mask, for comparison")
    parser.add_argument("--steps", type=int, default=3600)
    parser.add_argument("--batch", type=int, default=8, help="windows per step")
    parser.add_argument("--rate", type=float, default=4e-3, help="peak learning rate")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--report", type=int, default=200, help="steps between two reports")
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    text = args.text.read_text(encoding="utf-8")
    cut = len(text) * 9 // 10
    tokenizer = train_tokenizer(text[:cut])
    ids, held_out = (torch.tensor(tokenizer.encode(part).ids) for part in (text[:cut], text[cut:]))
    print(f"{len(ids)} training tokens, {len(held_out)} held out, {len(text[cut:]) / len(held_out):.3f} bytes/token")
    model = TinyLlama(sparse=not args.dense)
    print(f"{sum(p.numel() for p in model.parameters())} parameters")
    train(model, ids, held_out, args)
    save(model, tokenizer, args.out)


if __name__ == "__main__":
    main()
