"""Networks in float64, forward only and by their definition; gradients are finite differences of it."""

import numpy as np

from golden.train.network import (
    AvgPool,
    BatchNorm,
    Conv2d,
    GlobalAvgPool,
    Linear,
    MaxPool,
    ReLU,
    Residual,
)

STEP = 1e-6


def convolved(x, weight, stride=1, padding=0):
    """[n, h, w, ci], [co, ci, kh, kw] -> [n, oh, ow, co]."""
    x = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    taps = weight.shape[2:]
    lines, line = ((size - tap) // stride + 1 for size, tap in zip(x.shape[1:3], taps, strict=True))
    out = np.zeros((len(x), lines, line, len(weight)))
    for i in range(taps[0]):
        for j in range(taps[1]):
            seen = x[:, i : i + stride * lines : stride, j : j + stride * line : stride]
            out += np.einsum("nhwc,oc->nhwo", seen, weight[:, :, i, j])
    return out


def windows(x, kernel, step):
    """[n, oh, ow, taps, c]."""
    lines, line = ((size - kernel) // step + 1 for size in x.shape[1:3])
    return np.stack([x[:, i : i + step * lines : step, j : j + step * line : step]
                     for i in range(kernel) for j in range(kernel)], axis=3)


def forward(chain, state, x):
    """What a chain of placed layers makes of x, [n, h, w, c], in training."""
    for name, layer, _, _, body, skip in chain:
        if isinstance(layer, Conv2d | Linear):
            x = convolved(x, state[f"{name}.weight"], getattr(layer, "stride", 1), getattr(layer, "padding", 0))
            x = x + state.get(f"{name}.bias", 0)
        elif isinstance(layer, BatchNorm):
            normal = (x - x.mean((0, 1, 2))) / np.sqrt(x.var((0, 1, 2)) + layer.epsilon)
            x = normal * state[f"{name}.weight"] + state[f"{name}.bias"]
        elif isinstance(layer, ReLU):
            x = np.maximum(x, 0)
        elif isinstance(layer, MaxPool):
            x = windows(x, layer.kernel, layer.step).max(3)
        elif isinstance(layer, AvgPool):
            x = windows(x, layer.kernel, layer.step).mean(3)
        elif isinstance(layer, GlobalAvgPool):
            x = x.mean((1, 2), keepdims=True)
        else:
            assert isinstance(layer, Residual)
            x = forward(body, state, x) + forward(skip, state, x)
    return x


def cross_entropy(logits, labels):
    logits = logits - logits.max(1, keepdims=True)
    return float(np.mean(np.log(np.exp(logits).sum(1)) - logits[np.arange(len(labels)), labels]))


def differences(function, x, places):
    """Derivatives of function() along some flat places of an array, which is changed and restored."""
    flat, found = x.reshape(-1), []
    for place in places:
        kept = flat[place]
        flat[place] = kept + STEP
        above = function()
        flat[place] = kept - STEP
        found.append((above - function()) / (2 * STEP))
        flat[place] = kept
    return np.array(found)
