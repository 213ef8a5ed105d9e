"""golden.train.vector against an element at a time, and against the formulas that it is for in float64."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from golden.float16 import BFLOAT16, BINARY16, HALVES
from golden.floats import BINARY32
from golden.train.params import PIXEL_BITS
from golden.train.vector import CONSTANTS, VectorMode, vector_pass

BOTH = pytest.mark.parametrize("half", [BINARY16, BFLOAT16], ids=list(HALVES))
EPSILON = 2.0**-24
SPECIAL = np.array([0, 1, 2, 0x7F, 0x80, 0x3FF, 0x400, 0x7BFF, 0x7C00, 0x7C01, 0x7E00, 0x3C00, 0x3F80, 0x7F7F, 0x7F80,
                    0x7F81, 0x7FC0, 0x7FFF], np.uint16)  # fmt: skip
SPECIAL = np.concatenate([SPECIAL, SPECIAL | 0x8000])
CONSTANT = np.array([0.0, -0.0, 1.0, -1.0, 1e-38, -1e-38, 2.0**-140, 3e38, -3e38, np.inf, -np.inf, np.nan], np.float32)


def slowly(mode, half, a, b, constants):
    """(out, s0, s1) as the module's docstring has it, an element at a time."""
    add, mul = BINARY32.add, BINARY32.mul
    zero = np.float32(0)
    pixels, channels = a.shape
    out = np.zeros(a.shape, np.uint16)
    s0, s1 = [np.zeros((pixels // mode.segment, channels), np.float32) for _ in range(2)]
    for segment in range(len(s0)):
        for channel in range(channels):
            c0, c1, c2, c3, c4 = constants[:, channel]
            partials = [[zero, zero] for _ in range(8)]
            for i in range(mode.segment):
                place = segment * mode.segment + i, channel
                z = half.widen(a[place])
                x = z if mode.b_is_a else zero if mode.b_none else half.widen(b[place])
                if mode.gate and not add(mul(x, c0), c1) > 0:
                    z = zero
                y = add(add(mul(z, c2), mul(x, c3)), c4)
                if mode.relu and not (y > 0 or np.isnan(y)):
                    y = zero
                out[place] = half.narrow(y)
                partials[i % 8] = [add(partials[i % 8][0], z), add(partials[i % 8][1], mul(z, x))]
            for sums, p in zip((s0, s1), zip(*partials, strict=True), strict=True):
                sums[segment, channel] = add(add(add(p[0], p[1]), add(p[2], p[3])),
                                             add(add(p[4], p[5]), add(p[6], p[7])))  # fmt: skip
    return out, s0, s1


def same(found, expected, mode):
    for name, is_there, got, wanted in zip(("out", "s0", "s1"), (mode.outputs, mode.sums, mode.sums), found, expected,
                                           strict=True):  # fmt: skip
        if not is_there:
            assert got is None
        elif name == "out":
            assert got.dtype == np.uint16
            assert np.array_equal(got, wanted)
        else:
            assert np.array_equal(BINARY32.to_bits(got), BINARY32.to_bits(wanted)), name


def bits_of(rng, half, shape, wild):
    """Normally distributed numbers, and of `wild` of them any bits, of some others special ones."""
    bits = half.narrow(rng.standard_normal(shape).astype(np.float32))
    bits = np.where(rng.random(shape) < wild, rng.integers(0, 1 << 16, shape, dtype=np.uint16), bits)
    return np.where(rng.random(shape) < wild / 2, rng.choice(SPECIAL, shape), bits)


def constants_of(rng, channels, wild):
    numbers = rng.standard_normal((CONSTANTS, channels)).astype(np.float32)
    return np.where(rng.random(numbers.shape) < wild, rng.choice(CONSTANT, numbers.shape), numbers)


@st.composite
def passes(draw):
    segment, segments = draw(st.integers(1, 20)), draw(st.integers(1, 4))
    outputs = draw(st.booleans())
    b = draw(st.sampled_from(["a", "none", "stream"]))
    return segments * segment, VectorMode(
        segment=segment, gate=draw(st.booleans()), relu=draw(st.booleans()), outputs=outputs,
        sums=not outputs or draw(st.booleans()), b_is_a=b == "a", b_none=b == "none")


@given(passes(), st.integers(1, 4), st.sampled_from([BINARY16, BFLOAT16]), st.sampled_from([0.0, 0.1, 1.0]),
       st.integers(0, 1 << 32))  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_an_element_at_a_time(a_pass, channels, half, wild, seed):
    pixels, mode = a_pass
    rng = np.random.default_rng(seed)
    a, b = (bits_of(rng, half, (pixels, channels), wild) for _ in range(2))
    b = b if mode.reads_b else None
    constants = constants_of(rng, channels, wild)
    same(vector_pass(mode, half, a, b, constants), slowly(mode, half, a, b, constants), mode)


@BOTH
@pytest.mark.parametrize("segments", [1, 5])
def test_blocks_do_not_show(half, segments, monkeypatch):
    """Blocks of 8 pixels, of several segments, with a remainder."""
    rng = np.random.default_rng(11)
    mode = VectorMode(segment=39, gate=True, relu=True, sums=True)
    a, b = (bits_of(rng, half, (39 * segments, 3), 0.02) for _ in range(2))
    constants = constants_of(rng, 3, 0)
    expected = slowly(mode, half, a, b, constants)
    for block in (1, 60, 300, 1 << 20):
        monkeypatch.setattr("golden.train.vector.BLOCK", block)
        same(vector_pass(mode, half, a, b, constants), expected, mode)


@BOTH
def test_sums_of_tiny_numbers_are_flushed(half):
    """x, and then -x of the next larger: in bfloat16 the difference is subnormal."""
    rng = np.random.default_rng(12)
    a = rng.integers(0x80, 0x100, (64, 5), dtype=np.uint16) | rng.integers(0, 2, (64, 5), dtype=np.uint16) << 15
    mode = VectorMode(segment=64, outputs=False, sums=True, b_is_a=True)
    constants = np.zeros((CONSTANTS, 5), np.float32)
    found = vector_pass(mode, half, a, None, constants)
    same(found, slowly(mode, half, a, None, constants), mode)


def test_gate_and_relu_at_zero_and_nan():
    a = BINARY16.narrow(np.full((1, 5), 3, np.float32))
    b = BINARY16.narrow(np.array([[0.0, -0.0, np.nan, 2.0**-24, -1]], np.float32))
    constants = np.zeros((CONSTANTS, 5), np.float32)
    constants[0], constants[2] = 1, 1
    gated = vector_pass(VectorMode(segment=1, gate=True), BINARY16, a, b, constants)
    # b * c3 is NaN where b is, whatever the gate does
    assert gated.out is not None
    assert BINARY16.widen(gated.out)[0].tolist()[:2] == [0, 0]
    assert BINARY16.widen(gated.out)[0].tolist()[3:] == [3, 0]
    sums = vector_pass(VectorMode(segment=1, gate=True, outputs=False, sums=True), BINARY16, a, b, constants)
    assert sums.s0 is not None
    assert sums.s0.tolist() == [[0, 0, 0, 3, 0]]
    relu = vector_pass(VectorMode(segment=1, relu=True, b_none=True), BINARY16, b, None, constants)
    assert relu.out is not None
    assert relu.out.tolist() == [[0, 0, 0x7E00, 1, 0]]


def test_partial_sums_are_those_of_the_contract():
    """2^24 + 1 is 2^24; the 1's meet it last, after they have met each other."""
    x = np.zeros((16, 1), np.float32)
    x[0], x[8] = 2.0**12, 2.0**12  # b = a: the squares sum up to 2^25
    x[1], x[9] = 1, 1
    mode = VectorMode(segment=16, outputs=False, sums=True, b_is_a=True)
    zeros = np.zeros((CONSTANTS, 1), np.float32)
    assert vector_pass(mode, BINARY16, BINARY16.narrow(x), None, zeros).s1 == 2.0**25
    x[4], x[5], x[6] = 1, 1, 1
    assert vector_pass(mode, BINARY16, BINARY16.narrow(x), None, zeros).s1 == 2.0**25 + 4  # 2^25, and then 3


@pytest.mark.parametrize(("mode", "message"), [
    ({"segment": 0}, "segment = 0"), ({"segment": 1 << PIXEL_BITS}, "segment"),
    ({"segment": 1, "outputs": False}, "outputs, sums"), ({"segment": 1, "b_is_a": True, "b_none": True}, "b_is_a"),
])  # fmt: skip
def test_modes_are_refused(mode, message):
    with pytest.raises(ValueError, match=message):
        VectorMode(**mode)


def test_shapes_are_refused():
    a, constants = np.zeros((6, 2), np.uint16), np.zeros((CONSTANTS, 2), np.float32)
    for segment, b, of_constants, message in (
        (4, a, constants, "pixels = 6"), (3, None, constants, "b = None"), (3, a[:3], constants, "b ="),
        (3, a, constants[:4], "constants ="),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            vector_pass(VectorMode(segment=segment), BINARY16, a, b, of_constants)
    with pytest.raises(ValueError, match="b ="):
        vector_pass(VectorMode(segment=3, b_none=True), BINARY16, a, a, constants)


class TestBatchNorm:
    """The constants of each pass, and its results against float64."""

    PIXELS, CHANNELS, SMALLEST = 500, 6, 1e-5

    def layer(self, half):
        rng = np.random.default_rng(13)
        shape = self.PIXELS, self.CHANNELS
        x = half.narrow((2 * rng.standard_normal(shape) + rng.standard_normal(shape[1])).astype(np.float32))
        dy = half.narrow(rng.standard_normal(shape).astype(np.float32))
        gamma, beta = rng.uniform(0.5, 2, shape[1]), rng.standard_normal(shape[1])
        return x, dy, gamma, beta

    def statistics(self, half, x):
        mode = VectorMode(segment=self.PIXELS, outputs=False, sums=True, b_is_a=True)
        _, s0, s1 = vector_pass(mode, half, x, None, np.zeros((CONSTANTS, self.CHANNELS), np.float32))
        mean = s0[0].astype(np.float64) / self.PIXELS
        return mean, s1[0].astype(np.float64) / self.PIXELS - mean**2

    @staticmethod
    def constants(*rows):
        return np.stack(np.broadcast_arrays(*rows)).astype(np.float32)

    @BOTH
    def test_statistics(self, half):
        x, *_ = self.layer(half)
        mean, variance = self.statistics(half, x)
        exact = half.widen(x).astype(np.float64)
        roundings = self.PIXELS / 8 + 3
        assert np.all(abs(mean - exact.mean(0)) <= roundings * EPSILON * abs(exact).mean(0))
        assert np.allclose(variance, exact.var(0), rtol=3 * roundings * EPSILON)

    @BOTH
    def test_forward(self, half):
        """c2 = gamma / deviation, c4 = beta - mean c2."""
        x, _, gamma, beta = self.layer(half)
        mean, variance = self.statistics(half, x)
        scale = gamma / np.sqrt(variance + self.SMALLEST)
        mode = VectorMode(segment=self.PIXELS, relu=True, b_none=True)
        out = vector_pass(mode, half, x, None, self.constants(0 * scale, 0, scale, 0, beta - mean * scale)).out
        exact = half.widen(x).astype(np.float64)
        exact = np.maximum(0, (exact - exact.mean(0)) / np.sqrt(exact.var(0) + self.SMALLEST) * gamma + beta)
        assert out is not None
        assert np.all(abs(half.widen(out) - exact) <= 2.0**(-half.fraction - 1) * 1.01 * abs(exact) + 1e-4)

    @BOTH
    def test_backward(self, half):
        """Of ReLU and batch norm. dz is the gradient behind the ReLU, xhat = (x - mean) / deviation:

            dbeta = sum dz = s0, dgamma = sum dz xhat = (s1 - mean s0) / deviation
            dx = gamma / deviation (dz - dbeta / n - xhat dgamma / n)

        which is linear in dz and x, so c2 = gamma / deviation, c3 = -c2 dgamma / (n deviation),
        c4 = -c2 dbeta / n - c3 mean; the gate's c0 and c1 are scale and shift of the forward pass.
        """
        x, dy, gamma, beta = self.layer(half)
        mean, variance = self.statistics(half, x)
        deviation = np.sqrt(variance + self.SMALLEST)
        scale, shift = gamma / deviation, beta - mean * gamma / deviation
        sums = VectorMode(segment=self.PIXELS, gate=True, outputs=False, sums=True)
        _, s0, s1 = vector_pass(sums, half, dy, x, self.constants(scale, shift, 0, 0, 0))
        assert s0 is not None
        assert s1 is not None
        dbeta, dgamma = s0[0], (s1[0] - mean * s0[0]) / deviation
        c3 = -scale * dgamma / (self.PIXELS * deviation)
        apply = VectorMode(segment=self.PIXELS, gate=True)
        c4 = -scale * dbeta / self.PIXELS - c3 * mean
        dx = vector_pass(apply, half, dy, x, self.constants(scale, shift, scale, c3, c4)).out

        exact, dz = half.widen(x).astype(np.float64), half.widen(dy).astype(np.float64)
        xhat = (exact - exact.mean(0)) / np.sqrt(exact.var(0) + self.SMALLEST)
        dz = np.where(xhat * gamma + beta > 0, dz, 0)
        assert np.allclose(dbeta, dz.sum(0), atol=1e-3)
        assert np.allclose(dgamma, (dz * xhat).sum(0), atol=1e-3)
        exact = gamma / np.sqrt(exact.var(0) + self.SMALLEST) * (dz - dz.mean(0) - xhat * (dz * xhat).mean(0))
        assert dx is not None
        assert np.all(abs(half.widen(dx) - exact) <= 2.0**(-half.fraction - 1) * 1.01 * abs(exact) + 1e-5)


@BOTH
def test_other_uses(half):
    """Residual, backward ReLU, bias and its gradient, global average pooling."""
    rng = np.random.default_rng(14)
    a, b = (half.narrow(rng.integers(-64, 64, (24, 3)).astype(np.float32)) for _ in range(2))
    x, y = half.widen(a), half.widen(b)
    row = np.ones(3, np.float32)
    zero = 0 * row

    def made(mode, *constants, second=None):
        found = vector_pass(mode, half, a, second, np.stack(constants))
        return (found.s0, found.s1) if found.out is None else half.widen(found.out)

    assert np.array_equal(made(VectorMode(segment=24), zero, zero, row, row, zero, second=b), x + y)
    gated = made(VectorMode(segment=24, gate=True), row, zero, row, zero, zero, second=b)
    assert np.array_equal(gated, np.where(y > 0, x, 0))
    assert np.array_equal(made(VectorMode(segment=24, b_none=True), zero, zero, row, zero, row), x + 1)
    s0, _ = made(VectorMode(segment=24, outputs=False, sums=True, b_none=True), *[zero] * 5)
    assert np.array_equal(s0, x.sum(0)[None])
    s0, _ = made(VectorMode(segment=4, outputs=False, sums=True, b_none=True), *[zero] * 5)
    assert np.array_equal(s0 / 4, x.reshape(6, 4, 3).mean(1))
