"""golden.train.convolution: by definition, with whole numbers whose sums are exact; and the order of the sums."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from golden.float16 import BFLOAT16, BINARY16
from golden.train import convolution
from golden.train.convolution import (
    Geometry,
    backward_columns,
    forward_columns,
    forward_mask,
    input_gradient,
    multiplied,
    pruned_gradient,
    weight_gradient,
)
from golden.train.network import padded_channels
from golden.train.params import GROUP, PATTERNS
from golden.train.product import dense_columns, product
from golden.train.prune import mask
from tests.golden.train.reference import convolved

HALVES = st.sampled_from([BINARY16, BFLOAT16])
PATTERN = st.sampled_from([(GROUP, GROUP), *PATTERNS])


@st.composite
def shapes(draw):
    """(images, lines, pixels, input, output channels, kernel, geometry)."""
    kernel = draw(st.sampled_from([1, 2, 3, 5]))
    geometry = Geometry(draw(st.integers(1, 3)), draw(st.integers(0, kernel - 1)))
    least = max(1, kernel - 2 * geometry.padding)
    lines, line = (draw(st.integers(least, least + 5)) for _ in range(2))
    return draw(st.integers(1, 3)), lines, line, draw(st.integers(1, 34)), draw(st.integers(1, 20)), kernel, geometry


def padded(numbers, axes):
    """Channels of some axes filled up with zeros."""
    return np.pad(numbers, [(0, padded_channels(size) - size if axis % numbers.ndim in axes else 0)
                            for axis, size in enumerate(numbers.shape)])


def whole(rng, shape, channels):
    """float32, whole; the axes `channels` are filled up with zeros."""
    return padded(rng.integers(-3, 4, shape).astype(np.float32), channels)


def transposed(dy, weight, geometry, shape):
    """dX by its definition; weight [co, ci, kh, kw]."""
    stride, padding = geometry
    dx = np.zeros((len(dy), shape[0] + 2 * padding, shape[1] + 2 * padding, weight.shape[1]))
    for y in range(dy.shape[1]):
        for x in range(dy.shape[2]):
            for i in range(weight.shape[2]):
                for j in range(weight.shape[3]):
                    dx[:, y * stride + i, x * stride + j] += dy[:, y, x] @ weight[:, :, i, j]
    return dx[:, padding : padding + shape[0], padding : padding + shape[1]]


@given(shape=shapes(), pattern=PATTERN, half=HALVES, seed=st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_three_products(shape, pattern, half, seed):
    images, lines, line, inputs, outputs, kernel, geometry = shape
    rng = np.random.default_rng(seed)
    x = whole(rng, (images, lines, line, inputs), {3})
    weight = whole(rng, (kernel, kernel, inputs, outputs), {2, 3})
    bits, forward, backward = half.narrow(weight), weight, weight
    if pattern[0] < GROUP:
        kept = mask(bits.swapaxes(2, 3), *pattern).swapaxes(2, 3)
        assert np.array_equal(forward_mask(bits, *pattern), kept)
        forward, backward = np.where(kept, weight, 0), np.where(mask(bits, *pattern), weight, 0)

    y = multiplied(half.narrow(x), forward_columns(bits, *pattern), geometry, half)
    exact = convolved(x, forward.transpose(3, 2, 0, 1), *geometry)
    assert np.array_equal(half.widen(y), half.widen(half.narrow(exact.astype(np.float32))))
    dy = whole(rng, (*y.shape[:3], outputs), {3})
    dx = input_gradient(half.narrow(dy), backward_columns(bits, *pattern), geometry, (lines, line), half)
    exact = transposed(dy, backward.transpose(3, 2, 0, 1), geometry, (lines, line))
    assert np.array_equal(half.widen(dx), half.widen(half.narrow(exact.astype(np.float32))))
    dw = weight_gradient(half.narrow(x), half.narrow(dy), (kernel, kernel), geometry, half)
    ahead = np.pad(x, ((0, 0), *[(geometry.padding, geometry.padding + geometry.stride)] * 2, (0, 0)))
    for i in range(kernel):
        for j in range(kernel):
            seen = ahead[:, i :: geometry.stride, j :: geometry.stride][:, : y.shape[1], : y.shape[2]]
            assert np.array_equal(dw[i, j], np.einsum("nhwc,nhwo->co", seen, dy))


@pytest.mark.parametrize("at_once", [1, convolution.AT_ONCE])
def test_order(at_once, monkeypatch):
    """k ascends over taps, then channels; over images, lines and pixels in the weight gradient, however many images
    are gathered at once."""
    monkeypatch.setattr(convolution, "AT_ONCE", at_once)
    rng = np.random.default_rng(5)
    half, stride, padding = BINARY16, 2, 1
    x = half.narrow(rng.standard_normal((2, 5, 4, 32), np.float32))
    weight = half.narrow(rng.standard_normal((3, 3, 32, 16), np.float32))
    ahead = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    places = [(n, 2 * i, 2 * j) for n in range(2) for i in range(3) for j in range(2)]
    rows = np.stack([ahead[n, i : i + 3, j : j + 3].reshape(-1) for n, i, j in places])
    sums = product(rows, *dense_columns(weight.reshape(-1, 16)), half)
    y = multiplied(x, forward_columns(weight, GROUP, GROUP), Geometry(stride, padding), half)
    assert np.array_equal(y.reshape(-1, 16), half.narrow(sums))

    dy = half.narrow(rng.standard_normal(y.shape, np.float32))
    filled = np.zeros((GROUP, rows.shape[1]), np.uint16), np.zeros((GROUP, 16), np.uint16)
    filled[0][:12], filled[1][:12] = rows, dy.reshape(-1, 16)
    sums = product(np.ascontiguousarray(filled[0].T), *dense_columns(filled[1]), half)
    dw = weight_gradient(x, dy, (3, 3), Geometry(stride, padding), half)
    assert np.array_equal(dw.reshape(-1, 16), sums)

    dx = input_gradient(dy, backward_columns(weight, GROUP, GROUP), Geometry(stride, padding), (5, 4), half)
    for line, pixel in ((1, 1), (2, 3), (0, 0), (3, 2)):
        k = [(i, j, (line + 1 - i) // 2, (pixel + 1 - j) // 2) for i in range(3) for j in range(3)
             if not ((line + 1 - i) % 2 or (pixel + 1 - j) % 2)]
        inside = [(i, j, a, b) for i, j, a, b in k if 0 <= a < 3 and 0 <= b < 2]
        columns = dense_columns(np.concatenate([weight[i, j].T for i, j, _, _ in inside]))
        sums = product(np.concatenate([dy[:, a, b] for _, _, a, b in inside], axis=1), *columns, half)
        assert np.array_equal(dx[:, line, pixel], half.narrow(sums))


def test_parts_of_a_weight_gradient():
    """Sums of consecutive images' products, added one after the other."""
    rng, taps, geometry = np.random.default_rng(7), (3, 3), Geometry(1, 1)
    x, dy = (BINARY16.narrow(rng.standard_normal((5, 4, 4, channels), np.float32)) for channels in (32, 16))
    parts = [weight_gradient(x[some], dy[some], taps, geometry, BINARY16)
             for some in (slice(0, 2), slice(2, 4), slice(4, 5))]  # fmt: skip
    found = weight_gradient(x, dy, taps, geometry, BINARY16, 2)
    assert np.array_equal(found, (parts[0] + parts[1]) + parts[2])
    whole = weight_gradient(x, dy, taps, geometry, BINARY16)
    assert not np.array_equal(found, whole)
    assert np.array_equal(weight_gradient(x, dy, taps, geometry, BINARY16, 5), whole)


def test_pruned_gradient():
    dy = BINARY16.narrow(np.random.default_rng(6).standard_normal((2, 3, 3, 32), np.float32))
    found = pruned_gradient(dy, 2, 8)
    assert np.array_equal(found, np.where(mask(dy, 2, 8), dy, 0))
    assert ((found.reshape(-1, 8) != 0).sum(1) == 2).all()
