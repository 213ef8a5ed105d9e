"""High-precision forward pass of a `Model`, to measure approximations against; not bit-exact to anything.

    h = x + Wo attention(rope(Wq n(x)), rope(Wk n(x)), Wv n(x))
    x' = h + Wdown (f(Wgate n(h)) * Wup n(h))

with `n` RMSNorm or LayerNorm, `f` SiLU or GELU, causal attention scaled by 1 / sqrt(head_dim), and RoPE on adjacent
pairs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from compiler.frontend.model import LlamaConfig, Model

    Observer = Callable[[str, np.ndarray], None]
    """Told the name of a product, `qkv`, `o`, `gate_up`, `down` or `head`, and its input [T, K] before it is made."""


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
    x = embedding(model, tokens, dtype)
    for i in range(model.config.layers):
        x = decoder_layer(model, i, x)
    return output(model, x)


def embedding(model: Model, tokens: Sequence[int], dtype: type[np.floating] = np.float64) -> np.ndarray:
    """The residual stream before the first layer: [T, dim] of `dtype`; arguments and errors as in `logits`."""
    config = model.config
    ids = np.asarray(tokens, dtype=np.int64)
    if not 1 <= len(ids) <= config.context:
        raise ValueError(f"tokens must be 1 to {config.context} (the context), got {len(ids)}")
    if ids.min() < 0 or ids.max() >= config.vocab:
        raise ValueError(f"tokens must be below {config.vocab}, got {int(ids.min())} to {int(ids.max())}")
    return model.tensors["embed"].take_rows(ids).dense().astype(dtype, copy=False)


def decoder_layer(model: Model, index: int, x: np.ndarray, observe: Observer | None = None) -> np.ndarray:
    """The residual stream after layer `index`, of the same shape and type as `x` [T, dim], positions 0 .. T - 1."""
    config = model.config

    def weight(name: str) -> np.ndarray:
        return model.tensors[f"layers.{index}.{name}"].dense().astype(x.dtype, copy=False)

    def seen(name: str, values: np.ndarray) -> np.ndarray:
        if observe is not None:
            observe(name, values)
        return values

    h = seen("qkv", normalised(config, x, weight("attn_norm")))
    q = rope((h @ weight("q").T).reshape(len(x), config.heads, -1), config.rope_theta)
    k = rope((h @ weight("k").T).reshape(len(x), config.kv_heads, -1), config.rope_theta)
    v = (h @ weight("v").T).reshape(len(x), config.kv_heads, -1)
    x = x + seen("o", attention(q, k, v)) @ weight("o").T
    h = seen("gate_up", normalised(config, x, weight("ffn_norm")))
    activation = silu if config.activation == "silu" else gelu
    h = seen("down", activation(h @ weight("gate").T) * (h @ weight("up").T))
    return x + h @ weight("down").T


def output(model: Model, x: np.ndarray, observe: Observer | None = None) -> np.ndarray:
    """Logits [T, vocab] from the residual stream [T, dim] after the last layer."""
    x = normalised(model.config, x, model.tensors["norm"].dense().astype(x.dtype, copy=False))
    if observe is not None:
        observe("head", x)
    return x @ model.head.dense().astype(x.dtype, copy=False).T


def normalised(config: LlamaConfig, x: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """The model's norm over the last axis; LayerNorm is RMSNorm of what deviates from the mean."""
    if config.norm == "layer":
        x = x - np.mean(x, axis=-1, keepdims=True)
    return rms_norm(x, gain, config.norm_eps)


def rms_norm(x: np.ndarray, gain: np.ndarray, eps: float) -> np.ndarray:
    """`gain * x / sqrt(mean(x^2) + eps)` over the last axis."""
    return x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + x.dtype.type(eps)) * gain


def silu(x: np.ndarray) -> np.ndarray:
    """`x / (1 + exp(-x))`, without overflow at large negative x."""
    small = np.exp(-np.abs(x))
    return x * np.where(x >= 0, 1, small) / (1 + small)


def gelu(x: np.ndarray) -> np.ndarray:
    """`x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2`."""
    return x * (1 + np.tanh(x.dtype.type(np.sqrt(2 / np.pi)) * (x + x.dtype.type(0.044715) * x**3))) / 2


def rope(x: np.ndarray, theta: float, start: int = 0) -> np.ndarray:
    """Rotate pair `(2i, 2i + 1)` of every head at position t by `t * theta ** (-2i / head_dim)` rad.

    Args:
        x: [T, heads, head_dim].
        theta: base of the angles.
        start: position of the first row.
    """
    length, _, width = x.shape
    angle = np.arange(start, start + length)[:, None] * theta ** (-np.arange(0, width, 2) / width)
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
