"""Pooling in the engine's arithmetic; tensors are uint16 [images, lines, pixels, channels], bit patterns.

Taps of a window are taken line by line.
"""

from collections.abc import Iterator
from itertools import product

import numpy as np

from golden.float16 import Half
from golden.floats import BINARY32

from .vector import CONSTANTS, VectorMode, vector_pass

__all__ = ["AVERAGING", "averaging", "global_average", "global_average_gradient", "largest", "largest_gradient",
           "phases"]

AVERAGING = (2, 16)
"""N:M under which the weights of average pooling, one in 16, are compact: the fewest slots that there are."""


def largest(half: Half, x: np.ndarray, kernel: int, step: int) -> tuple[np.ndarray, np.ndarray]:
    """(largest number of each window, its tap, uint8): of equals the first; the first NaN, if there is one."""
    taps = _taps(x, kernel, step)
    best = next(taps)[1].copy()
    value, where = half.widen(best), np.zeros(best.shape, np.uint8)
    for tap, bits in taps:
        number = half.widen(bits)
        larger = (number > value) | (np.isnan(number) & ~np.isnan(value))
        best, value = np.where(larger, bits, best), np.where(larger, number, value)
        where[larger] = tap
    return best, where


def largest_gradient(half: Half, dy: np.ndarray, where: np.ndarray, shape: tuple[int, ...], kernel: int,
                     step: int) -> np.ndarray:
    """dX of `shape`: dY where a window's first largest is, 0 + dY in 16 bits, else +0. Where windows overlap, that of
    each set of `phases`, and their sum, each addition rounded to 16 bits."""
    numbers, total = half.narrow(BINARY32.add(0, half.widen(dy))), None
    for i, j, apart in phases(dy.shape[1:3], kernel, step):
        dx, some = np.zeros(shape, np.uint16), (slice(None), slice(i, None, apart), slice(j, None, apart))
        corner = dx[:, i * step :, j * step :]
        for tap, place in _places(corner.shape, kernel, apart * step):
            corner[place] = np.where(where[some] == tap, numbers[some], 0)
        total = dx if total is None else half.narrow(BINARY32.add(half.widen(total), half.widen(dx)))
    assert total is not None
    return total


def phases(windows: tuple[int, int], kernel: int, step: int) -> Iterator[tuple[int, int, int]]:
    """Sets of windows that do not overlap: (line and column of the first one, windows from one to the next); one set,
    if none overlap."""
    apart = -(-kernel // step)
    for i, j in product(range(min(apart, windows[0])), range(min(apart, windows[1]))):
        yield i, j, apart


def averaging(half: Half, channels: int, kernel: int) -> np.ndarray:
    """Weights, uint16 [kernel, kernel, channels, channels], of the convolution that average pooling is: a channel's own
    are 1 / count in 16 bits, others zero."""
    own = np.eye(channels, dtype=np.uint16) * half.narrow(np.float32(1 / kernel**2))
    return np.ascontiguousarray(np.broadcast_to(own, (kernel, kernel, channels, channels)))


def global_average(half: Half, x: np.ndarray) -> np.ndarray:
    """[images, 1, 1, channels]: s0 of a vector pass with a segment an image, times 1 / count."""
    images, lines, line, channels = x.shape
    mode = VectorMode(segment=lines * line, outputs=False, sums=True, b_none=True)
    zeros = np.zeros((CONSTANTS, channels), np.float32)
    s0 = vector_pass(mode, half, x.reshape(-1, channels), None, zeros).s0
    mean = BINARY32.mul(s0, np.float32(1 / (lines * line)))
    return half.narrow(mean).reshape(images, 1, 1, channels)


def global_average_gradient(half: Half, dy: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """dX of `shape`: 0 + dY, [images, 1, 1, channels], times 1 / count, the same for all pixels of an image."""
    share = BINARY32.mul(BINARY32.add(0, half.widen(dy)), np.float32(1 / (shape[1] * shape[2])))
    return np.ascontiguousarray(np.broadcast_to(half.narrow(share), shape))


def _places(shape: tuple[int, ...], kernel: int, step: int) -> Iterator[tuple[int, tuple[slice, ...]]]:
    """(tap, where its pixels lie in an image), window after window, of [images, lines, pixels, channels]."""
    lines, line = ((size - kernel) // step + 1 for size in shape[1:3])
    for tap in range(kernel**2):
        i, j = divmod(tap, kernel)
        yield tap, (slice(None), slice(i, i + step * (lines - 1) + 1, step), slice(j, j + step * (line - 1) + 1, step))


def _taps(x: np.ndarray, kernel: int, step: int) -> Iterator[tuple[int, np.ndarray]]:
    return ((tap, x[place]) for tap, place in _places(x.shape, kernel, step))
