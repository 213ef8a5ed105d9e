# pyright: reportMissingImports=false
# torch is an optional extra, absent where the sources are checked
"""A Llama in PyTorch, as a function of the compiler's weights (`compiler.frontend.model`), for GPUs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Callable

    from compiler.frontend.model import LlamaConfig, Model

    Weights = dict[str, torch.Tensor]

__all__ = ["angles", "block", "device_weights", "final_norm", "head", "hidden", "layer_weights", "rms_norm",
           "where_and_type"]

PARTS = ("attn_norm", "q", "k", "v", "o", "ffn_norm", "gate", "up", "down")


def where_and_type() -> tuple[torch.device, torch.dtype]:
    """The GPU and bfloat16, or the CPU and float32."""
    on_gpu = torch.cuda.is_available()
    return torch.device("cuda" if on_gpu else "cpu"), torch.bfloat16 if on_gpu else torch.float32


def device_weights(model: Model, device: torch.device, kind: torch.dtype) -> Weights:
    """The model's tensors on `device`, matrices in type `kind` and norms in float32."""
    tensors = {name: torch.from_numpy(tensor.dense()).to(device) for name, tensor in model.tensors.items()}
    return {name: values.to(kind) if values.ndim == 2 else values for name, values in tensors.items()}


def causal(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Attention of q [batch, heads, T, head_dim] to k and v [batch, KV heads, T, head_dim]."""
    return functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)


def rms_norm(x: torch.Tensor, gain: torch.Tensor, eps: float) -> torch.Tensor:
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + eps) * gain


def rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """RoPE on adjacent pairs; x [batch, heads, T, head_dim], cos and sin [T, head_dim / 2]."""
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), -1).flatten(-2).to(x.dtype)


def angles(config: LlamaConfig, length: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosines and sines of RoPE, float32 [length, head_dim / 2]."""
    frequency = config.rope_theta ** (-torch.arange(0, config.head_dim, 2, dtype=torch.float64) / config.head_dim)
    angle = torch.arange(length)[:, None] * frequency
    return angle.cos().float().to(device), angle.sin().float().to(device)


def block(
    w: Weights, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, eps: float, attend: Callable = causal
) -> torch.Tensor:
    """A decoder layer. The residual stream x [batch, T, dim] is float32, products are in the type of the matrices."""

    def heads(h: torch.Tensor, name: str) -> torch.Tensor:
        return functional.linear(h, w[name]).unflatten(-1, (-1, 2 * cos.shape[-1])).transpose(1, 2)

    h = rms_norm(x, w["attn_norm"], eps).to(w["q"].dtype)
    mixed = attend(rotate(heads(h, "q"), cos, sin), rotate(heads(h, "k"), cos, sin), heads(h, "v"))
    x = x + functional.linear(mixed.transpose(1, 2).flatten(-2), w["o"])
    h = rms_norm(x, w["ffn_norm"], eps).to(w["q"].dtype)
    h = functional.silu(functional.linear(h, w["gate"])) * functional.linear(h, w["up"])
    return x + functional.linear(h, w["down"])


def layer_weights(weights: Weights, layer: int) -> Weights:
    return {part: weights[f"layers.{layer}.{part}"] for part in PARTS}


def hidden(config: LlamaConfig, weights: Weights, tokens: torch.Tensor, layer_of: Callable = block) -> torch.Tensor:
    """What the head multiplies, [batch, T, dim], for tokens [batch, T]; `layer_of` is `block` or its compiled form."""
    cos, sin = angles(config, tokens.shape[1], tokens.device)
    x = functional.embedding(tokens, weights["embed"]).float()
    for layer in range(config.layers):
        x = layer_of(layer_weights(weights, layer), x, cos, sin, config.norm_eps)
    return final_norm(config, weights, x)


def final_norm(config: LlamaConfig, weights: Weights, x: torch.Tensor) -> torch.Tensor:
    return rms_norm(x, weights["norm"], config.norm_eps).to(weights["embed"].dtype)


def head(weights: Weights) -> torch.Tensor:
    return weights.get("head", weights["embed"])
