"""SmoothQuant (arXiv 2211.10438, section 4): input channels with large activations hand their size to the weights.

Channel j of a matrix's input is divided by s[j] = peak[j]^alpha / top[j]^(1 - alpha), with top[j] the largest magnitude
of the weights it meets, and these weights are multiplied by s[j]: the same function. The division costs nothing where
what comes before makes it:

    qkv, gate_up    the gain of the norm
    o               the rows of v; query heads that read the same value head have s in common
    down            the rows of up, since activation(gate) * up is linear in up
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from compiler.compress.calibrate import Stream
from compiler.frontend.model import Model, Tensor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from compiler.frontend.model import LlamaConfig

__all__ = ["smooth", "smooth_layer", "smoothing_scale"]


def smoothing_scale(peak: np.ndarray, top: np.ndarray, alpha: float) -> np.ndarray:
    """s of every input channel, float32 [K], with a geometric mean of 1; 1 for channels without input or weights.

    Args:
        peak: [K], largest |x|. top: [K], largest |weight|. alpha: 0 to 1; 0 evens out the weights, 1 the inputs.
    """
    used = (peak > 0) & (top > 0)
    log = np.zeros(len(peak))
    log[used] = alpha * np.log(peak[used]) - (1 - alpha) * np.log(top[used])
    log[used] -= log[used].mean() if used.any() else 0
    return np.exp(log).astype(np.float32)


def smooth_layer(
    weights: dict[str, np.ndarray], peaks: dict[str, np.ndarray], config: LlamaConfig, alpha: float
) -> dict[str, np.ndarray]:
    """A layer's tensors (by last part of the name, float32), rescaled.

    Args:
        peaks: largest |x| of the inputs of `qkv`, `o`, `gate_up` and `down`.
    """
    w = dict(weights)

    def top(*names: str) -> np.ndarray:
        return np.max([np.abs(w[name]).max(0) for name in names], 0)

    for norm, matrix, parts in (("attn_norm", "qkv", ("q", "k", "v")), ("ffn_norm", "gate_up", ("gate", "up"))):
        s = smoothing_scale(peaks[matrix], top(*parts), alpha)
        w[norm] = w[norm] / s
        w |= {part: w[part] * s for part in parts}
    heads = (config.kv_heads, config.heads // config.kv_heads, config.head_dim)
    peak, most = (x.reshape(heads).max(1).reshape(-1) for x in (peaks["o"], top("o")))
    s = smoothing_scale(peak, most, alpha)
    w["v"] = w["v"] / s[:, None]
    w["o"] = w["o"] * np.repeat(s.reshape(heads[0], 1, heads[2]), heads[1], 1).reshape(-1)
    s = smoothing_scale(peaks["down"], top("down"), alpha)
    w["up"] = w["up"] / s[:, None]
    w["down"] = w["down"] * s
    return w


def smooth(model: Model, alpha: float, sequences: Sequence[Sequence[int]]) -> Model:
    """The same function in float, with the tensors of all layers as float32 and rescaled.

    Args:
        sequences: token ids of the calibration text.
    """
    stream, tensors = Stream.start(model, sequences), dict(model.tensors)
    for layer in range(model.config.layers):
        prefix = f"layers.{layer}."
        peaks = {name: moments.peak for name, moments in stream.observe(model, layer, gram=False).items()}
        stream.advance(model, layer)
        weights = {name.removeprefix(prefix): t.dense() for name, t in tensors.items() if name.startswith(prefix)}
        smoothed = smooth_layer(weights, peaks, model.config, alpha)
        tensors |= {prefix + name: Tensor(values=values) for name, values in smoothed.items()}
    return replace(model, tensors=tensors)
