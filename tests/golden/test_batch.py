"""Batched arithmetic against the specification, bit for bit, on ordinary and on hostile numbers."""

import numpy as np
import pytest

from golden import float32 as f32
from golden import functions
from golden.isa.llm import Reduce
from golden.llm import batch, numerics, vector

SPECIAL = [0x00000000, 0x00800000, 0x00FFFFFF, 0x3F800000, 0x42B17218, 0x42AEAC50, 0x7F000000, 0x7F7FFFFF, 0x7F800000]


def hostile(rng, shape):
    """Any bit patterns, small exponents, ordinary numbers and special ones, as the engine's operations leave them."""
    kind = rng.integers(0, 4, shape)
    any_bits = rng.integers(0, 1 << 32, shape)
    tiny = rng.integers(0, 1 << 28, shape) | rng.integers(0, 2, shape) << 31
    special = np.array(SPECIAL)[rng.integers(0, len(SPECIAL), shape)] | rng.integers(0, 2, shape) << 31
    ordinary = f32.to_bits(rng.normal(0, 20, shape).astype(np.float32))
    return f32.canonical(f32.from_bits(np.choose(kind, [any_bits, tiny, special, ordinary])))


def ordinary(rng, shape):
    """Without infinities and NaN, so that no operation falls back to the specification."""
    return rng.normal(0, 8, shape).astype(np.float32) * np.float32(2.0) ** rng.integers(-60, 20, shape)


@pytest.fixture(params=[hostile, ordinary])
def numbers(request):
    rng = np.random.default_rng(3)
    return lambda *shape: np.ascontiguousarray(request.param(rng, shape), np.float32)


def assert_same_bits(a, b):
    np.testing.assert_array_equal(f32.to_bits(a), f32.to_bits(b))


@pytest.mark.parametrize("name", ["add", "sub", "mul"])
def test_arithmetic(numbers, name):
    a, b = numbers(64, 500), numbers(64, 1)
    b[::2] = -a[::2, :1]
    assert_same_bits(getattr(batch, name)(a, b), getattr(f32, name)(a, b))


def test_subnormal_results_become_zeros_of_their_sign():
    a = np.array([3e-30, -3e-30, 2.0**-126, -(2.0**-120), 2.0**-125], np.float32)
    b = np.array([1e-12, 1e-12, 0.5, 2.0**-6, 0.5], np.float32)
    assert f32.to_bits(batch.mul(a, b)).tolist() == [0, 1 << 31, 0, 0x80800000, 0x00800000]
    assert_same_bits(batch.mul(a, b), f32.mul(a, b))


@pytest.mark.parametrize("name", ["exp", "recip"])
def test_functions(numbers, name):
    x = numbers(1000, 200)
    assert_same_bits(getattr(batch, name)(x), getattr(functions, name)(x))


def test_exp_around_its_limits():
    edges = np.array([-89, -88, -87.33655, -87.3, 0.0, 88.722, 88.73, 89, 128, -128], np.float32)
    x = (edges.view(np.int32)[:, None] + np.arange(-2000, 2000, dtype=np.int32)).view(np.float32)
    x = f32.canonical(x)
    assert_same_bits(batch.exp(x), functions.exp(x))


def test_maximum_and_sum(numbers):
    x = numbers(77, 300)
    x[:, 0], x[3, 0] = -0.0, 0.0
    x[:, 1] = -0.0
    for i in range(x.shape[1]):
        assert_same_bits(batch.maximum(x)[i], vector.reduce(Reduce.MAX, x[:, i], 8))
    sums = vector.reduce_sum(x, 8, batch.add)
    for i in range(x.shape[1]):
        assert_same_bits(sums[i], vector.reduce(Reduce.SUM, x[:, i], 8))


@pytest.mark.parametrize("exponent", [-651, -180, -172, -149, -40, 0, 81, 100, 627])
def test_convert(exponent):
    rng = np.random.default_rng(5)
    acc = rng.integers(-(1 << 47), 1 << 47, 20_000) >> rng.integers(0, 47, 20_000)
    acc[:4] = 0, 1, -1, (1 << 47) - 1
    exact = acc.astype(np.float64) * 2.0**exponent
    exact[0] = -0.0
    assert_same_bits(batch.convert(exact), numerics.convert(acc, exponent))


@pytest.mark.parametrize("flat", [False, True])
def test_quantise(numbers, flat):
    spread = np.repeat(np.random.default_rng(1).integers(-9, 3, (4, 2, 300)), 16, 0)
    x = f32.mul(numbers(64, 2, 300), np.ldexp(np.float32(1), spread))
    x = np.concatenate([x, np.zeros((16, 2, 300), np.float32)])
    x[:, 0, 0] = 0
    x[:, 0, 1] = np.float32(2.0**-126)
    x[:, 0, 2] = np.arange(80) / 2
    result = batch.quantise(x, flat)
    for at in np.ndindex(x.shape[1:]):
        expected = numerics.quantise(x[:, *at], flat)
        np.testing.assert_array_equal(result.q[:, *at], expected.q)
        np.testing.assert_array_equal(result.shift[:, *at], expected.shift)
        assert result.exponent[at] == expected.exponent
        np.testing.assert_array_equal(result.values()[:, *at], expected.integers() * 2.0**expected.exponent)
