"""Softmax cross entropy in the engine's arithmetic (docs/units/train.md, "Layers"), with its gradient."""

from typing import NamedTuple

import numpy as np

from golden.float16 import Half
from golden.floats import BINARY32
from golden.functions import exp, recip

__all__ = ["Loss", "softmax_cross_entropy"]


class Loss(NamedTuple):
    """Of a batch.

    Attributes:
        value: mean over the images. gradient: of the logits times the loss scale, uint16 [images, channels].
    """

    value: float
    gradient: np.ndarray


def softmax_cross_entropy(half: Half, logits: np.ndarray, labels: np.ndarray, classes: int, scale: float) -> Loss:
    """Order of operations (each one rounded to binary32, `golden.floats`), an image at a time:

        m = the largest logit, or NaN      d = z - m      e = exp(d)
        s = ((0 + e0) + e1) + ..           p = e * recip(s)
        g = narrow((p - (1 if the class is the label else 0)) * (scale / images))

    The value is the host's, in float64: mean of log(s) - d[label].

    Args:
        logits: uint16 [images, channels], bit patterns; `classes` of them count, the gradient of others is +0.
        labels: [images], below `classes`. scale: of the loss.
    """
    z = half.widen(logits[:, :classes])
    d = BINARY32.add(z, -z.max(axis=1, keepdims=True))
    e = exp(d)
    s = np.zeros(len(z), np.float32)
    for column in range(classes):
        s = BINARY32.add(s, e[:, column])
    rows = np.arange(len(z))
    with np.errstate(all="ignore"):
        value = float(np.mean(np.log(s.astype(np.float64)) - d[rows, labels]))
    p = BINARY32.mul(e, recip(s)[:, None])
    p[rows, labels] = BINARY32.add(p[rows, labels], np.float32(-1))
    gradient = np.zeros_like(logits)
    gradient[:, :classes] = half.narrow(BINARY32.mul(p, np.float32(scale / len(z))))
    return Loss(value, gradient)
