"""Pooling, batch norm's statistics and the loss, in exact numbers and in order; descriptions of networks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from golden.float16 import BFLOAT16, BINARY16
from golden.floats import BINARY32
from golden.functions import exp, recip
from golden.train import normalisation, pooling
from golden.train.layers import MeanPooling
from golden.train.loss import softmax_cross_entropy
from golden.train.network import (
    AvgPool,
    BatchNorm,
    Conv2d,
    GlobalAvgPool,
    Linear,
    MaxPool,
    Network,
    ReLU,
    Residual,
)
from tests.golden.train.networks import SMALL

HALVES = st.sampled_from([BINARY16, BFLOAT16])


def whole(rng, shape):
    return rng.integers(-4, 5, shape).astype(np.float32)


@given(kernel=st.integers(1, 3), step=st.integers(1, 3), lines=st.integers(3, 7), line=st.integers(3, 6), half=HALVES,
       seed=st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_pooling(kernel, step, lines, line, half, seed):
    rng = np.random.default_rng(seed)
    shape = (2, lines, line, 16)
    x = whole(rng, shape)
    bits = half.narrow(x)
    best, where = pooling.largest(half, bits, kernel, step)
    mean, mean_gradient = averages(half, kernel, step, bits)
    g = whole(rng, best.shape)
    largest_dx, mean_dx = np.zeros(shape), np.zeros(shape)
    share = half.widen(half.narrow(np.float32(1 / kernel**2)))
    for i in range(best.shape[1]):
        for j in range(best.shape[2]):
            place = (slice(None), slice(i * step, i * step + kernel), slice(j * step, j * step + kernel))
            seen = x[place].reshape(2, -1, 16)
            first = seen.argmax(1)
            assert np.array_equal(half.widen(best[:, i, j]), seen.max(1))
            assert np.array_equal(where[:, i, j], first)
            total = np.float32(0)
            for tap in range(kernel**2):
                total = BINARY32.add(total, seen[:, tap] * share)
            assert np.array_equal(mean[:, i, j], half.narrow(total))
            chosen = np.where(np.arange(kernel**2)[:, None] == first[:, None], g[:, i, j][:, None], 0)
            largest_dx[place] += chosen.reshape(2, kernel, kernel, 16)
            mean_dx[place] += (g[:, i, j] * share)[:, None, None]
    found = pooling.largest_gradient(half, half.narrow(g), where, shape, kernel, step)
    assert np.array_equal(half.widen(found), largest_dx)
    found = half.widen(mean_gradient(half.narrow(g)))
    assert np.abs(found - mean_dx).max() <= 2.0**-half.fraction * np.abs(mean_dx).max()


def averages(half, kernel, step, bits):
    """Means of the windows of bits, and what makes a gradient of theirs one of bits."""
    layers = (AvgPool(kernel=kernel, stride=step), GlobalAvgPool())
    pool = MeanPooling(Network(shape=bits.shape[1:], layers=layers).placed[0], half)
    return pool.forward(bits, True), lambda dy: pool.backward(dy, True)


def test_largest_of_special_numbers():
    x = np.array([np.nan, 1, np.inf, -np.inf], np.float32)[[[0, 1, 2, 3], [3, 2, 1, 0], [1, 1, 3, 3], [1, 0, 0, 2]]]
    bits = BINARY16.narrow(x).reshape(4, 2, 2, 1)
    best, where = pooling.largest(BINARY16, bits, 2, 2)
    assert where.ravel().tolist() == [0, 3, 0, 1]
    np.testing.assert_array_equal(BINARY16.widen(best).ravel(), np.float32([np.nan, np.nan, 1, np.nan]))


def test_global_average():
    rng = np.random.default_rng(7)
    x = whole(rng, (3, 4, 2, 16))
    assert np.array_equal(BINARY16.widen(pooling.global_average(BINARY16, BINARY16.narrow(x)))[:, 0, 0], x.mean((1, 2)))
    found = pooling.global_average_gradient(BINARY16, BINARY16.narrow(x[:, :1, :1]), x.shape)
    assert np.array_equal(BINARY16.widen(found), np.broadcast_to(x[:, :1, :1] / 8, x.shape))


def test_statistics_of_batch_norm():
    """mean, variance and running statistics to 2^-18 of float64; equal numbers have variance 0, not below."""
    rng = np.random.default_rng(8)
    x = BINARY16.widen(BINARY16.narrow(2 + rng.standard_normal((300, 16), np.float32))).astype(np.float64)
    found = normalisation.statistics(BINARY16, BINARY16.narrow(x))
    np.testing.assert_allclose(found.mean, x.mean(0), rtol=2.0**-18)
    np.testing.assert_allclose(found.variance, x.var(0), rtol=2.0**-17 * 5)
    kept = normalisation.Statistics(np.ones(16, np.float32), np.full(16, 2, np.float32))
    kept = normalisation.running(kept, found, 0.25, len(x))
    np.testing.assert_allclose(kept.mean, 0.75 + 0.25 * x.mean(0), rtol=2.0**-18)
    np.testing.assert_allclose(kept.variance, 1.5 + 0.25 * x.var(0, ddof=1), rtol=2.0**-18)
    equal = normalisation.statistics(BINARY16, BINARY16.narrow(np.full((77, 16), 0.1)))
    assert (equal.variance >= 0).all()
    assert equal.variance.max() < 1e-8


@pytest.mark.parametrize("half", [BINARY16, BFLOAT16])
def test_loss_one_by_one(half):
    rng = np.random.default_rng(9)
    logits, labels = half.narrow(3 * rng.standard_normal((5, 16), np.float32)), rng.integers(0, 11, 5)
    found = softmax_cross_entropy(half, logits, labels, 11, 512)
    for row in range(5):
        z = half.widen(logits[row, :11])
        e = [exp(BINARY32.add(number, -z.max())) for number in z]
        s = np.float32(0)
        for number in e:
            s = BINARY32.add(s, number)
        for column in range(11):
            p = BINARY32.mul(e[column], recip(s))
            p = BINARY32.add(p, -1) if column == labels[row] else p
            assert found.gradient[row, column] == half.narrow(BINARY32.mul(p, 512 / 5))
    assert not found.gradient[:, 11:].any()
    z = half.widen(logits[:, :11]).astype(np.float64)
    exact = np.mean(np.log(np.exp(z).sum(1)) - z[np.arange(5), labels])
    assert abs(found.value - exact) < 1e-5


def test_shapes_and_names():
    assert [(placed.name, placed.after) for placed in SMALL.placed][-4:] == [
        ("7", (3, 3, 32)), ("8", (2, 2, 32)), ("9", (1, 1, 32)), ("10", (1, 1, 3))]
    assert [placed.name for placed in SMALL.walk()][6:11] == ["6.body.0", "6.body.1", "6.body.2", "6.skip.0", "6"]
    assert SMALL.to_dict()["layers"][6]["skip"] == [
        {"type": "conv2d", "channels": 32, "kernel": 1, "stride": 1, "padding": 0, "bias": False, "sparse": None}]


@pytest.mark.parametrize(("make", "message"), [
    (lambda: Conv2d(channels=0, kernel=3), "channels = 0: must be an integer, 1 or more"),
    (lambda: Conv2d(channels=8, kernel=3, padding=3), "padding = 3: must be below kernel, 3"),
    (lambda: Conv2d(channels=8, kernel=16), "kernel = 16: must be at most 15"),
    (lambda: MaxPool(kernel=2, stride=0), "stride = 0: must be an integer, 1 or more"),
    (lambda: BatchNorm(epsilon=0), "epsilon = 0: must be positive"),
    (lambda: Residual(body=()), "body = .*: must have layers"),
    (lambda: Network(shape=(8, 8), layers=(Linear(features=2),)), "shape = .*three positive integers"),
    (lambda: Network(shape=(8, 8, 1), layers=(ReLU(), Conv2d(channels=2, kernel=9))),
     r"layer 1 \(Conv2d\): kernel = 9: must fit the padded image, 8 x 8"),
    (lambda: Network(shape=(16, 1, 1), layers=(Linear(features=2),)), r"layer 0 \(Linear\): input.*at most 15 x 15"),
    (lambda: Network(shape=(8, 8, 4), layers=(Residual(body=(Conv2d(channels=5, kernel=1),)), GlobalAvgPool())),
     r"layer 0 \(Residual\): shape = \(8, 8, 5\): must be that of the skip, \(8, 8, 4\)"),
    (lambda: Network(shape=(8, 8, 4), layers=(MaxPool(kernel=2),)), r"layer 0 \(MaxPool\), the last one: output"),
])
def test_what_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
