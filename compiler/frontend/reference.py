"""High-precision forward pass of a `Model`, to measure approximations against; not bit-exact to anything.

    h = x + Wo attention(rope(Wq n(x)), rope(Wk n(x)), Wv n(x))
    x' = h + Wdown (silu(Wgate n(h)) * Wup n(h))

with `n` the RMSNorm, causal attention scaled by 1 / sqrt(head_dim), and RoPE on adjacent pairs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from compiler.frontend.model import Model


def logits(model: Model, tokens: Sequence[int], dtype: type[np.floating] = np.float64) -> np.ndarray:
    """Logits of every position, computed over the whole sequence at once.

    Args:
        model: the network.
        tokens: ids, T of them, at positions 0 .. T - 1.
        dtype: float64, or float32 for long texts.

    Returns:
        Array [T, vocab] of `dtype`; row t predicts token t + 1.

    Raises:
        ValueError: no tokens, more than the context, or a token outside the vocabulary.
    """
    config = model.config
    ids = np.asarray(tokens, dtype=np.int64)
    if not 1 <= len(ids) <= config.context:
        raise ValueError(f"tokens must be 1 to {config.context} (the context), got {len(ids)}")
    if ids.min() < 0 or ids.max() >= config.vocab:
        raise ValueError(f"tokens must be below {config.vocab}, got {int(ids.min())} to {int(ids.max())}")

    def weight(name: str) -> np.ndarray:
        return model.tensors[name].dense().astype(dtype, copy=False)

    embed = weight("embed")
    x = embed[ids]
    for i in range(config.layers):
        layer = f"layers.{i}."
        h = rms_norm(x, weight(layer + "attn_norm"), config.norm_eps)
        q = rope((h @ weight(layer + "q").T).reshape(len(ids), config.heads, -1), config.rope_theta)
        k = rope((h @ weight(layer + "k").T).reshape(len(ids), config.kv_heads, -1), config.rope_theta)
        v = (h @ weight(layer + "v").T).reshape(len(ids), config.kv_heads, -1)
        x = x + attention(q, k, v) @ weight(layer + "o").T
        h = rms_norm(x, weight(layer + "ffn_norm"), config.norm_eps)
        gate = h @ weight(layer + "gate").T
        x = x + (silu(gate) * (h @ weight(layer + "up").T)) @ weight(layer + "down").T
    x = rms_norm(x, weight("norm"), config.norm_eps)
    return x @ (embed if config.tied_head else weight("head")).T


def rms_norm(x: np.ndarray, gain: np.ndarray, eps: float) -> np.ndarray:
    """`gain * x / sqrt(mean(x^2) + eps)` over the last axis."""
    return x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + x.dtype.type(eps)) * gain


def silu(x: np.ndarray) -> np.ndarray:
    """`x / (1 + exp(-x))`, without overflow at large negative x."""
    small = np.exp(-np.abs(x))
    return x * np.where(x >= 0, 1, small) / (1 + small)


def rope(x: np.ndarray, theta: float) -> np.ndarray:
    """Rotate pair `(2i, 2i + 1)` of every head at position t by `t * theta ** (-2i / head_dim)` rad.

    Args:
        x: [T, heads, head_dim].
        theta: base of the angles.
    """
    length, _, width = x.shape
    angle = np.arange(length)[:, None] * theta ** (-np.arange(0, width, 2) / width)
    cos, sin = (f(angle)[:, None, :].astype(x.dtype) for f in (np.cos, np.sin))
    even, odd = x[..., 0::2], x[..., 1::2]
    result = np.empty_like(x)
    result[..., 0::2] = even * cos - odd * sin
    result[..., 1::2] = even * sin + odd * cos
    return result


def attention(q: np.ndarray, k: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Causal grouped-query attention.

    Args:
        q: [T, heads, head_dim]; head h reads key/value head `h // (heads // kv_heads)`.
        k: [T, kv_heads, head_dim].
        v: [T, kv_heads, head_dim].

    Returns:
        Array [T, heads * head_dim].
    """
    length, heads, width = q.shape
    shared = heads // k.shape[1]
    future = np.triu(np.ones((length, length), dtype=bool), 1)
    result = np.empty_like(q)
    for h in range(heads):
        scores = q[:, h] @ k[:, h // shared].T / q.dtype.type(np.sqrt(width))
        scores[future] = -np.inf
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        result[:, h] = scores @ v[:, h // shared] / scores.sum(axis=-1, keepdims=True)
    return result.reshape(length, heads * width)


def mean_loss(model: Model, tokens: Sequence[int], window: int, dtype: type[np.floating] = np.float32) -> float:
    """Mean cross-entropy in nats per predicted token; `exp` of it is the perplexity.

    Args:
        model: the network.
        tokens: the text; whole windows of it are used, each with an empty context before it.
        window: tokens per window, of which `window - 1` are predicted; at least 2.
        dtype: of the forward pass; the sum is float64.

    Raises:
        ValueError: not one whole window.
    """
    count = len(tokens) // window
    if window < 2 or count < 1:
        raise ValueError(f"window must be 2 to {len(tokens)} (the tokens given), got {window!r}")
    total = 0.0
    for i in range(count):
        ids = list(tokens[i * window : (i + 1) * window])
        scores = logits(model, ids, dtype)[:-1].astype(np.float64)
        scores -= scores.max(axis=-1, keepdims=True)
        total += float(np.sum(np.log(np.exp(scores).sum(axis=-1)) - scores[np.arange(window - 1), ids[1:]]))
    return total / (count * (window - 1))
