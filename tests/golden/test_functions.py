"""golden.functions against float64 mathematics: relative error, float16 error, special values."""

from math import erf

import numpy as np
import pytest

from golden import float32, functions

INF = np.float32(np.inf)


def every_float16():
    return np.arange(1 << 16, dtype=np.uint16).view(np.float16)


def ulp_float16(x):
    """Distance of neighbouring float16 numbers at x (2^-24 in the subnormal range)."""
    exponent = np.floor(np.log2(np.maximum(np.abs(x), 2.0 ** -14)))
    return 2.0 ** (np.minimum(exponent, 15) - 10)


def true_silu(x):
    return x / (1 + np.exp(-x))


def true_gelu(x):
    return x / (1 + np.exp(-2 * np.sqrt(2 / np.pi) * (x + 0.044715 * x ** 3)))


REFERENCES = {"exp": np.exp, "exp2": np.exp2, "recip": lambda x: 1 / x, "rsqrt": lambda x: 1 / np.sqrt(x),
              "sigmoid": lambda x: 1 / (1 + np.exp(-x)), "silu": true_silu, "gelu": true_gelu}


@pytest.mark.parametrize("name", list(REFERENCES))
def test_every_float16_within_two_ulp(name):
    x = every_float16()
    with np.errstate(all="ignore"):
        true = REFERENCES[name](x.astype(np.float64))
        rounded = getattr(functions, name)(x.astype(np.float32)).astype(np.float16).astype(np.float64)
    if name in ("silu", "gelu"):
        true[x == -np.inf] = np.nan  # documented: -inf * 0
        true[(x < -1e4) & np.isfinite(x)] = 0
    with np.errstate(all="ignore"):
        expected = true.astype(np.float16).astype(np.float64)
        error = np.where(rounded == expected, 0, np.abs(rounded - true) / ulp_float16(true))
    assert np.array_equal(np.isnan(rounded), np.isnan(true))
    assert np.nanmax(error) <= 2
    print(f"{name}: {np.nanmax(error):.3f} ulp")


def relative_error(result, true):
    return np.max(np.abs(result.astype(np.float64) / true - 1))


@pytest.mark.parametrize(("name", "low", "high", "bound"), [
    ("recip", 1, 2, -17.9), ("rsqrt", 1, 4, -17.3), ("exp2", -125.9, 127.9, -18), ("exp", -87.3, 88.7, -18)])
def test_relative_error(name, low, high, bound):
    x = np.linspace(low, high, (1 << 22) + 1, endpoint=False).astype(np.float32)
    error = relative_error(getattr(functions, name)(x), REFERENCES[name](x.astype(np.float64)))
    print(f"{name}: 2^{np.log2(error):.2f}")
    assert error <= 2.0 ** bound


@pytest.mark.parametrize("name", ["recip", "rsqrt"])
def test_relative_error_over_all_exponents(name):
    bits = np.random.default_rng(4).integers(1 << 23, 253 << 23, 500_000)
    x = float32.from_bits(bits)
    assert relative_error(getattr(functions, name)(x), REFERENCES[name](x.astype(np.float64))) <= 2.0 ** -17.3


@pytest.mark.parametrize("name", ["recip", "rsqrt", "exp"])
def test_monotonic(name):
    x = np.sort(float32.from_bits(np.random.default_rng(5).integers(1 << 23, 1118 << 20, 400_000)))
    steps = np.diff(getattr(functions, name)(x)[np.isfinite(getattr(functions, name)(x))])
    assert np.all(steps >= 0) if name == "exp" else np.all(steps <= 0)


def test_powers_of_two_are_exact():
    k = np.arange(-126, 127)
    powers = np.exp2(k.astype(np.float64)).astype(np.float32)
    assert np.array_equal(functions.recip(powers), (1 / powers.astype(np.float64)).astype(np.float32))
    assert np.array_equal(functions.exp2(k), powers)
    assert np.array_equal(functions.rsqrt(powers[k % 2 == 0]), 2.0 ** (-k[k % 2 == 0] / 2))


def bits_of(function, *values):
    return [int(b) for b in float32.to_bits(function(np.array(values, dtype=np.float32)))]


def test_special_values():
    nan, inf, minus = float32.NAN_BITS, float32.INFINITY_BITS, float32.SIGN_BIT
    subnormal = float32.from_bits(1)
    assert bits_of(functions.recip, 0, -0.0, INF, -INF, np.nan) == [inf, inf | minus, 0, minus, nan]
    assert bits_of(functions.recip, subnormal, -subnormal, 3e38, -3e38) == [inf, inf | minus, 0, minus]
    assert bits_of(functions.rsqrt, 0, -0.0, INF, -INF, np.nan, -1, -subnormal) == [
        inf, inf | minus, 0, nan, nan, nan, inf | minus]
    one = 0x3F800000
    assert bits_of(functions.exp, 0, -0.0, INF, -INF, np.nan, subnormal) == [one, one, inf, 0, nan, one]
    assert bits_of(functions.exp, 88.8, -87.4, 128, -128, 1e30, -1e30) == [inf, 0, inf, 0, inf, 0]
    assert bits_of(functions.exp2, 128, 127, -126, -126.5) == [inf, 0x7F000000, 0x00800000, 0]
    assert bits_of(functions.sigmoid, INF, -INF, np.nan) == [one, 0, nan]
    assert bits_of(functions.silu, INF, -INF, np.nan) == [inf, nan, nan]


def test_softmax_and_rms_norm_within_two_ulp_of_float16():
    """Built from the functions and float32 add, mul: sums in index order."""
    x = np.random.default_rng(6).normal(0, 4, (64, 128)).astype(np.float16).astype(np.float32)
    e = functions.exp(float32.sub(x, x.max(axis=1, keepdims=True)))
    total = square = np.float32(0)
    for k in range(x.shape[1]):
        total = float32.add(total, e[:, k])
        square = float32.add(square, float32.mul(x[:, k], x[:, k]))
    softmax = float32.mul(e, functions.recip(total)[:, None])
    norm = float32.mul(x, functions.rsqrt(float32.add(float32.mul(square, np.float32(1 / 128)), 1e-5))[:, None])
    x = x.astype(np.float64)
    true = np.exp(x - x.max(axis=1, keepdims=True))
    true /= true.sum(axis=1, keepdims=True)
    assert np.max(np.abs(softmax.astype(np.float16) - true) / ulp_float16(true)) <= 2
    true = x / np.sqrt((x ** 2).mean(axis=1, keepdims=True) + 1e-5)
    assert np.max(np.abs(norm.astype(np.float16) - true) / ulp_float16(true)) <= 2


def test_gelu_form_is_close_to_the_exact_one():
    x = np.linspace(-5, 5, 1001).astype(np.float32)
    exact = np.array([v * (1 + erf(v / 2 ** 0.5)) / 2 for v in x.astype(float)])
    assert np.max(np.abs(functions.gelu(x) - exact)) < 1e-3  # the tanh form's own error


def test_table_fits_its_widths():
    assert len(functions.TABLE) == 3 * functions.SEGMENTS
    for base, step in functions.TABLE:
        assert 0 <= base < 1 << functions.BASE_WIDTH
        assert 0 <= step < 1 << functions.STEP_WIDTH
    assert functions.LOG2E < 1 << functions.SCALE_WIDTH
