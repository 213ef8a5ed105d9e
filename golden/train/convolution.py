"""A convolution's three products in the order of the STCE: forward, input gradient, weight gradient.

Tensors are NHWC, bit patterns of 16-bit numbers, channels filled up to a multiple of 16 with zeros. k ascends over
taps, line by line, then channels (weight gradient: over images, lines, pixels of dY). A linear layer is a convolution
whose kernel is the image. docs/units/train.md, "Layers"; products: `golden.train.product`; groups: sat.md, section 2.2.
"""

from typing import NamedTuple

import numpy as np

from golden.float16 import Half
from golden.floats import BINARY32

from .params import GROUP
from .product import sums_of_products
from .prune import expand, mask, prune

__all__ = ["Columns", "Geometry", "backward_columns", "forward_columns", "forward_mask", "input_gradient", "multiplied",
           "pruned_gradient", "weight_gradient"]

AT_ONCE = 1 << 22
"""Numbers that are gathered at a time."""


class Geometry(NamedTuple):
    """How taps lie.

    Attributes:
        stride: pixels from one output to the next. padding: lines and columns of zeros around an image.
    """

    stride: int = 1
    padding: int = 0


class Columns(NamedTuple):
    """Compact columns of a product, tap by tap.

    Attributes:
        values: uint16 [lines, columns of taps, groups, slots, columns], bit patterns. index: uint8, the same: which
            number of the group.
    """

    values: np.ndarray
    index: np.ndarray


def forward_columns(weight: np.ndarray, n: int, m: int) -> Columns:
    """Columns are output channels, groups lie along input channels.

    Args:
        weight: uint16 [lines, columns of taps, input, output channels]. n, m: 16, 16 is dense.
    """
    return _columns(weight.swapaxes(2, 3), n, m)


def backward_columns(weight: np.ndarray, n: int, m: int) -> Columns:
    """Columns are input channels, groups lie along output channels; arguments as `forward_columns`."""
    return _columns(weight, n, m)


def forward_mask(weight: np.ndarray, n: int, m: int) -> np.ndarray:
    """bool [lines, columns of taps, input, output channels]: weights that `forward_columns` keeps."""
    return mask(weight.swapaxes(2, 3), n, m).swapaxes(2, 3)


def pruned_gradient(dy: np.ndarray, n: int, m: int) -> np.ndarray:
    """dY, uint16 [images, lines, pixels, channels], of which N of M consecutive channels stay and others are +0."""
    return expand(*prune(dy, n, m))


def multiplied(x: np.ndarray, columns: Columns, geometry: Geometry, half: Half) -> np.ndarray:
    """Forward pass: uint16 [images, lines, pixels, output channels] of x, uint16 [images, lines, pixels, channels]."""
    stride, padding = geometry
    taps = columns.values.shape[:2]
    lines, line = ((size + 2 * padding - tap) // stride + 1 for size, tap in zip(x.shape[1:3], taps, strict=True))
    corners = [(i, j) for i in range(taps[0]) for j in range(taps[1])]
    return _gathered_product(x, padding, corners, stride, (lines, line), columns, half)


def input_gradient(dy: np.ndarray, columns: Columns, geometry: Geometry, shape: tuple[int, ...],
                   half: Half) -> np.ndarray:
    """Backward pass: dX, uint16 [images, lines, pixels, input channels].

    Lines and pixels of dX that are equal modulo the stride are a convolution of stride 1 over dY, with those taps that
    meet them, in ascending order.

    Args:
        dy: uint16 [images, lines, pixels, output channels]. columns: `backward_columns`. shape: lines, pixels of a line
            of dX.
    """
    stride, padding = geometry
    values, index = columns
    dx = np.zeros((len(dy), *shape, values.shape[-1]), np.uint16)
    border = max(values.shape[:2])
    for y in range(min(stride, shape[0])):
        for x in range(min(stride, shape[1])):
            lines, line = ([tap for tap in range(taps) if (place + padding - tap) % stride == 0]
                           for taps, place in zip(values.shape[:2], (y, x), strict=True))
            if not lines or not line:
                continue
            corners = [(border + (y + padding - i) // stride, border + (x + padding - j) // stride)
                       for i in lines for j in line]
            chosen = Columns(*(part[lines][:, line] for part in (values, index)))
            of_class = tuple(-(-(size - place) // stride) for size, place in zip(shape, (y, x), strict=True))
            dx[:, y::stride, x::stride] = _gathered_product(dy, border, corners, 1, of_class, chosen, half)
    return dx


def weight_gradient(x: np.ndarray, dy: np.ndarray, taps: tuple[int, int], geometry: Geometry, half: Half,
                    part_images: int | None = None) -> np.ndarray:
    """dW: float32 [lines, columns of taps, input, output channels] of x and dY.

    Args:
        part_images: consecutive images whose products are one sum, fewer in the last part; None: all. Parts are added
            up, one after the other, from +0.
    """
    at_once = part_images or len(x)
    total = np.zeros((*taps, x.shape[-1], dy.shape[-1]), np.float32)
    for first in range(0, len(x), at_once):
        some = slice(first, first + at_once)
        total = BINARY32.add(total, _gradient_of_part(x[some], dy[some], taps, geometry, half))
    return total


def _gradient_of_part(x, dy, taps, geometry, half):
    """One sum over all images and pixels."""
    stride, padding = geometry
    lines, line, columns = dy.shape[1:]
    sums = np.zeros((columns, taps[0] * taps[1] * x.shape[-1]), np.float32)
    at_once = max(1, AT_ONCE // (lines * line * sums.shape[1]))
    for first in range(0, len(x), at_once):
        image = half.widen(_bordered(x[first : first + at_once], padding))
        gradient = half.widen(dy[first : first + at_once]).reshape(-1, columns)
        numbers = np.concatenate([
            image[:, i : i + stride * lines : stride, j : j + stride * line : stride].reshape(len(gradient), -1)
            for i in range(taps[0]) for j in range(taps[1])
        ], axis=1)
        sums = sums_of_products(numbers, gradient, None, half, sums)
    return np.ascontiguousarray(sums.T).reshape(*taps, -1, columns)


def _columns(weight: np.ndarray, n: int, m: int) -> Columns:
    """`weight`: groups lie along the last axis, the one before is the columns'."""
    values, index = prune(weight, n, m)
    return Columns(*(np.moveaxis(part, 2, -1) for part in (values, index)))


def _bordered(x: np.ndarray, border: int) -> np.ndarray:
    return np.pad(x, ((0, 0), (border, border), (border, border), (0, 0))) if border else x


def _gathered_product(x, border, corners, step, shape, columns, half):
    """16-bit sums for `shape` pixels `step` apart; tap t of pixel 0 is at `corners[t]` of the image with its border."""
    values = columns.values.reshape(-1, *columns.values.shape[2:])
    groups, count = values.shape[1:3]
    weights = half.widen(values).reshape(-1, values.shape[-1])
    k = None
    if count < GROUP:
        base = GROUP * np.arange(len(values) * groups).reshape(len(values), groups, 1, 1)
        k = (columns.index.reshape(values.shape) + base).reshape(weights.shape)
    lines, line = shape
    out = np.empty((len(x), lines, line, values.shape[-1]), np.uint16)
    of_image = lines * line * len(values) * groups * GROUP
    at_once = max(1, AT_ONCE // of_image)
    for first in range(0, len(x), at_once):
        some = half.widen(_bordered(x[first : first + at_once], border).transpose(3, 0, 1, 2))
        numbers = np.concatenate([
            some[:, :, i : i + step * lines : step, j : j + step * line : step].reshape(len(some), -1)
            for i, j in corners
        ])
        sums = sums_of_products(numbers, weights, k, half)
        out[first : first + at_once] = half.narrow(sums.T).reshape(-1, *out.shape[1:])
    return out
