"""Batch norm in the engine's arithmetic: vector passes over the tensor, and a sequence of binary32 operations on the
channels in between. docs/units/train.md, "Layers", has the sequence as a table.
"""

from typing import NamedTuple

import numpy as np

from golden.float16 import Half
from golden.float32 import maximum
from golden.floats import BINARY32
from golden.functions import rsqrt

from .vector import CONSTANTS, Passed, VectorMode, vector_pass

__all__ = ["Gradients", "Scaling", "Statistics", "backward", "normalise", "running", "scaling",
           "statistics"]

add, mul = BINARY32.add, BINARY32.mul


class Statistics(NamedTuple):
    """Of each channel, float32 [channels].

    Attributes:
        mean, variance: of a batch, the variance over n.
    """

    mean: np.ndarray
    variance: np.ndarray


class Scaling(NamedTuple):
    """x * scale + shift is the result; float32 [channels].

    Attributes:
        inverse: 1 / deviation.
    """

    scale: np.ndarray
    shift: np.ndarray
    inverse: np.ndarray


class Gradients(NamedTuple):
    """Attributes: dx: uint16 [pixels, channels]. gamma, beta: float32 [channels]."""

    dx: np.ndarray
    gamma: np.ndarray
    beta: np.ndarray


def statistics(half: Half, x: np.ndarray) -> Statistics:
    """Mean and variance of x, uint16 [pixels, channels]."""
    mode = VectorMode(segment=len(x), outputs=False, sums=True, b_is_a=True)
    s0, s1 = _sums(vector_pass(mode, half, x, None, _zeros(x.shape[1])))
    share = np.float32(1 / len(x))
    mean = mul(s0, share)
    return Statistics(mean, maximum(add(mul(s1, share), -mul(mean, mean)), np.float32(0)))


def running(kept: Statistics, batch: Statistics, momentum: float, count: int) -> Statistics:
    """Statistics for use after training.

    Args:
        kept: so far. momentum: share of the batch. count: pixels of the batch; its variance is made one over n - 1.
    """
    rest, share = np.float32(1 - momentum), np.float32(momentum)
    unbiased = np.float32(momentum * count / max(count - 1, 1))
    return Statistics(add(mul(rest, kept.mean), mul(share, batch.mean)),
                      add(mul(rest, kept.variance), mul(unbiased, batch.variance)))


def scaling(found: Statistics, gamma: np.ndarray, beta: np.ndarray, epsilon: float) -> Scaling:
    """What makes the mean beta and the deviation gamma."""
    inverse = rsqrt(add(found.variance, np.float32(epsilon)))
    scale = mul(gamma, inverse)
    return Scaling(scale, add(beta, -mul(found.mean, scale)), inverse)


def normalise(half: Half, x: np.ndarray, made: Scaling, relu: bool) -> np.ndarray:
    """uint16 [pixels, channels], with ReLU in the same pass or without."""
    c = _zeros(x.shape[1])
    c[2], c[4] = made.scale, made.shift
    out = vector_pass(VectorMode(segment=len(x), relu=relu, b_none=True), half, x, None, c).out
    assert out is not None
    return out


def backward(half: Half, dy: np.ndarray, x: np.ndarray, mean: np.ndarray, made: Scaling, relu: bool) -> Gradients:
    """Gradients of x, gamma and beta.

    Args:
        dy, x: uint16 [pixels, channels]; with `relu` only those of dy count whose x * scale + shift, in binary32, is
            above 0. mean: of x.
    """
    scale, shift, inverse = made
    share = np.float32(1 / len(x))
    c = _zeros(len(scale))
    c[0], c[1] = scale, shift
    summing = VectorMode(segment=len(x), gate=relu, outputs=False, sums=True)
    beta, s1 = _sums(vector_pass(summing, half, dy, x, c))
    gamma = mul(add(s1, -mul(mean, beta)), inverse)
    c[2] = scale
    c[3] = -mul(scale, mul(mul(gamma, inverse), share))
    c[4] = add(-mul(scale, mul(beta, share)), -mul(c[3], mean))
    dx = vector_pass(VectorMode(segment=len(x), gate=relu), half, dy, x, c).out
    assert dx is not None
    return Gradients(dx, gamma, beta)


def _sums(passed: Passed) -> tuple[np.ndarray, np.ndarray]:
    """s0 and s1 of a pass that has one segment."""
    assert passed.s0 is not None
    assert passed.s1 is not None
    return passed.s0[0], passed.s1[0]


def _zeros(channels: int) -> np.ndarray:
    return np.zeros((CONSTANTS, channels), np.float32)
