"""golden.train.update against float64 and the published Adam, and where binary32 is exact or special."""

from dataclasses import replace

import numpy as np
import pytest

from golden.float16 import BFLOAT16, BINARY16, HALVES
from golden.floats import BINARY32
from golden.functions import rsqrt
from golden.train.update import Adam, Sgd

BOTH = pytest.mark.parametrize("half", [BINARY16, BFLOAT16], ids=list(HALVES))
SETTING = Sgd(rate=0.1, momentum=0.9, decay=5e-4, unscale=2.0**-10, regulariser=2e-4)
EPSILON = 2.0**-24
"""Largest relative error of a rounding."""


def operands(rng, shape):
    w, v, gradient = (scale * rng.standard_normal(shape).astype(np.float32) for scale in (0.1, 0.01, 10))
    return {"w": w, "v": v, "gradient": gradient, "pruned": rng.random(shape) < 0.75}


def reference(sgd, w, v, gradient, pruned):
    """(w, v) in float64, and the sums of the magnitudes that each is made of."""
    rate, momentum, decay, unscale, pruned_decay = (
        float(np.float32(x)) for x in (sgd.rate, sgd.momentum, sgd.decay, sgd.unscale, sgd.pruned_decay)
    )
    w, v, gradient = (x.astype(np.float64) for x in (w, v, gradient))
    terms = [momentum * v, gradient * unscale, np.where(pruned, pruned_decay, decay) * w]
    new_v, v_size = sum(terms), sum(map(abs, terms))
    return w - rate * new_v, new_v, abs(w) + rate * v_size, v_size


@BOTH
@pytest.mark.parametrize("shape", [(4000,), (3, 16, 40)])
def test_update_is_near_float64(half, shape):
    """At most 3 roundings lie between a term and v, 5 between it and w, each of at most 2^-24 of what is summed."""
    values = operands(np.random.default_rng(3), shape)
    w, v, w_size, v_size = reference(SETTING, **values)
    made = SETTING.update(half, **values)
    assert made.w.shape == made.states["v"].shape == made.half.shape == shape
    assert (made.w.dtype, made.states["v"].dtype, made.half.dtype) == (np.float32, np.float32, np.uint16)
    assert np.all(abs(made.states["v"] - v) <= (3 + 1e-6) * EPSILON * v_size)
    assert np.all(abs(made.w - w) <= (5 + 1e-6) * EPSILON * w_size)
    assert np.array_equal(made.half, half.narrow(made.w))


@BOTH
def test_powers_of_two_are_exact(half):
    sgd = Sgd(rate=0.5, momentum=0.25, decay=0.125, unscale=2.0**-8, regulariser=0.0625)
    w, v, gradient = (np.float32(x) for x in ([4, 4, -2, 0], [8, 8, 0.5, -16], [256, 256, -512, 1024]))
    made = sgd.update(half, w=w, v=v, gradient=gradient, pruned=[False, True, True, True])
    # v: momentum v + unscale gradient + (decay + regulariser) w
    assert made.states["v"].tolist() == [2 + 1 + 0.5, 2 + 1 + 0.5 + 0.25, 0.125 - 2 - 0.25 - 0.125, -4 + 4]
    assert made.w.tolist() == [4 - 1.75, 4 - 1.875, -2 + 1.125, 0]
    assert half.widen(made.half).tolist() == made.w.tolist()


def arrays(made):
    return made.w, *made.states.values(), made.half


def test_without_mask_nothing_is_pruned():
    values = operands(np.random.default_rng(4), (100,))
    none = SETTING.update(BINARY16, **values | {"pruned": None})
    false = SETTING.update(BINARY16, **values | {"pruned": np.zeros(100, bool)})
    some = SETTING.update(BINARY16, **values)
    assert all(np.array_equal(a, b) for a, b in zip(arrays(none), arrays(false), strict=True))
    changed = none.states["v"] != some.states["v"]
    assert not changed[~values["pruned"]].any()
    assert changed.sum() > values["pruned"].sum() / 2


def test_order_is_that_of_the_contract():
    """1 + 2^-24 twice is 1, but 1 + 2^-23 is not: decay and regulariser become one number, the gradient meets it before
    momentum."""
    tiny = np.float32(2.0**-24)
    made = Sgd(rate=0, decay=1, regulariser=1).update(
        BINARY16, w=tiny, v=np.float32(0), gradient=np.float32(1), pruned=True)
    assert made.states["v"] == 1 + 2.0**-23
    assert Sgd(rate=0, decay=1, regulariser=float(tiny)).pruned_decay == 1
    made = Sgd(rate=0, momentum=1, decay=1).update(BINARY16, w=tiny, v=np.float32(1), gradient=tiny)
    assert made.states["v"] == 1 + 2.0**-23


@BOTH
@pytest.mark.parametrize("name", ["w", "v", "gradient"])
def test_nan_and_infinity_spread(half, name):
    sgd = Sgd(rate=0.5, momentum=0.5, decay=0.5)
    one = dict.fromkeys(("w", "v", "gradient"), np.ones(1, np.float32))
    for bits in (0x7F800001, 0xFFC00000):
        made = sgd.update(half, **one | {name: BINARY32.from_bits([bits])})
        assert made.half == half.nan_bits
        assert BINARY32.to_bits(made.w) == BINARY32.nan_bits
    made = sgd.update(half, **one | {name: np.array([-np.inf], np.float32)})
    assert made.states["v"] == -np.inf
    # w - rate v: -inf + inf where w itself is infinite
    assert np.isnan(made.w) if name == "w" else made.w == np.inf
    assert made.half == (half.nan_bits if name == "w" else half.infinity_bits)


def test_zero_times_infinity_is_nan_even_with_decay_off():
    made = Sgd(rate=0.5).update(BINARY16, w=np.float32(1), v=np.float32(np.inf), gradient=np.float32(0))
    assert np.isnan(made.states["v"])
    assert np.isnan(made.w)


def test_regulariser_is_not_read_where_not_pruned():
    made = Sgd(rate=1.0, regulariser=np.inf).update(
        BINARY16, w=np.zeros(2, np.float32), v=np.zeros(2, np.float32), gradient=np.ones(2, np.float32),
        pruned=[False, True])
    assert made.w[0] == -1
    assert np.isnan(made.w[1])


def test_zeros():
    """-0 stays where all that is added is -0."""
    zero = np.zeros(1, np.float32)
    made = Sgd(rate=1.0).update(BINARY16, w=-zero, v=-zero, gradient=-zero)
    assert np.signbit(made.states["v"])
    assert not np.signbit(made.w)  # -0 + -(-0)
    assert made.half == 0
    made = Sgd(rate=1.0).update(BINARY16, w=-zero, v=-zero, gradient=zero)
    assert not np.signbit(made.states["v"])
    assert np.signbit(made.w)  # -0 + -(+0)
    assert made.half == 0x8000


def test_subnormals_are_zero_in_binary32_only():
    sgd = Sgd(rate=1.0, unscale=2.0**-14)
    values = {"w": np.float32(0), "v": np.float32(2.0**-140)}
    made = sgd.update(BINARY16, **values, gradient=np.float32(2.0**-10))
    assert (made.w, made.half) == (-(2.0**-24), 0x8001)
    assert sgd.update(BINARY16, **values, gradient=np.float32(2.0**-113)).w == 0


def test_large_weights_overflow_in_binary16():
    made = Sgd(rate=1.0).update(BINARY16, w=np.float32(0), v=np.float32(0), gradient=np.float32(-65520))
    assert (made.w, made.half) == (65520, BINARY16.infinity_bits)


def test_registers():
    found = SETTING.registers()
    assert list(found) == ["rate", "momentum", "decay", "unscale", "pruned_decay"]
    assert (found["unscale"], found["rate"]) == (0x3A800000, 0x3DCCCCCD)


ADAM = Adam(rate=1e-3, decay=5e-4, unscale=2.0**-10, regulariser=2e-4, step=3)


def published(adam, gradients, w, epsilon_below=False):
    """Weights of Kingma and Ba's algorithm 1 in float64, with L2; epsilon behind the root, or its square below."""
    m, v = np.zeros_like(w), np.zeros_like(w)
    for step, gradient in enumerate(gradients, 1):
        g = gradient * adam.unscale + adam.decay * w
        m, v = adam.beta1 * m + (1 - adam.beta1) * g, adam.beta2 * v + (1 - adam.beta2) * g * g
        mean, square = m / (1 - adam.beta1**step), v / (1 - adam.beta2**step)
        root = np.sqrt(square + adam.epsilon**2) if epsilon_below else np.sqrt(square) + adam.epsilon
        w = w - adam.rate * mean / root
    return w


@pytest.mark.parametrize(("scale", "below", "tolerance"), [
    (10, False, 2.0**-15), (1e-5, True, 2.0**-15), (1e-5, False, 1.0),
], ids=["gradients far above epsilon", "epsilon below the root", "gradients about epsilon"])
def test_adam_is_the_published_one(scale, below, tolerance):
    """100 steps from no moments: where a weight has gone to differs by at most 2^-15 of 100 times the rate; where g is
    about epsilon, the published steps are shorter, by a factor of sqrt(2) at most."""
    rng = np.random.default_rng(8)
    first = 0.1 * rng.standard_normal(1000)
    gradients = scale * (rng.standard_normal(1000) + rng.standard_normal((100, 1000)))
    adam, w = replace(ADAM, decay=0.0 if scale < 1 else ADAM.decay), first.astype(np.float32)
    states = {"m": np.zeros_like(w), "v": np.zeros_like(w)}
    for step, gradient in enumerate(gradients, 1):
        w, states, _ = replace(adam, step=step).update(
            BINARY16, w=w, gradient=gradient.astype(np.float32), **states)
    expected = published(adam, gradients, first, below)
    size = 100 * adam.rate
    assert abs(expected - first).max() > 0.1 * size
    differs = abs(w - expected).max() / size
    assert differs < tolerance
    assert tolerance < 1 or differs > 0.01


@BOTH
def test_adam_is_near_float64(half):
    """v of 5 roundings at most between it and g^2; the move has those of m and v, and rsqrt's 2^-17.3."""
    rng = np.random.default_rng(5)
    values = operands(rng, (4000,)) | {"m": 0.1 * rng.standard_normal(4000).astype(np.float32)}
    values["v"] = abs(values["v"])
    registers = {name: float(BINARY32.from_bits(bits)) for name, bits in ADAM.registers().items()}
    w, m, v, gradient = (values[name].astype(np.float64) for name in ("w", "m", "v", "gradient"))
    decayed = np.where(values["pruned"], registers["pruned_decay"], registers["decay"]) * w
    g, g_size = gradient * registers["unscale"] + decayed, abs(gradient * registers["unscale"]) + abs(decayed)
    m_size = registers["momentum"] * abs(m) + g_size
    m, v = registers["momentum"] * m + g, registers["square_momentum"] * v + g * g
    size = registers["rate"] / np.sqrt(v + registers["epsilon"])
    made = ADAM.update(half, **values)
    assert np.all(abs(made.states["m"] - m) <= 4 * EPSILON * m_size)
    assert np.all(abs(made.states["v"] - v) <= 8 * EPSILON * (v + g_size**2))
    assert np.all(abs(made.w - (w - size * m)) <= EPSILON * abs(w) + 2.0**-17 * size * m_size)
    assert np.array_equal(made.half, half.narrow(made.w))


def test_order_of_adam_is_that_of_the_contract():
    rng = np.random.default_rng(6)
    w, m, v, gradient = (rng.standard_normal(50).astype(np.float32) for _ in range(4))
    adam = Adam(rate=0.25, beta1=0.5, beta2=0.75, epsilon=0.125)  # numbers of step 1 are rate / 2 / .. and the like
    assert adam.numbers() == {"rate": 0.25, "momentum": 0.5, "unscale": 1.0, "square_momentum": 0.75,
                              "epsilon": 2.0**-6, "decay": 0.0, "pruned_decay": 0.0}
    made = adam.update(BINARY16, w=w, m=m, v=abs(v), gradient=gradient)
    new_m, new_v = np.float32(0.5) * m + gradient, np.float32(0.75) * abs(v) + gradient * gradient
    assert np.array_equal(made.states["m"], new_m)
    assert np.array_equal(made.states["v"], new_v)
    assert np.array_equal(made.w, w - np.float32(0.25) * new_m * rsqrt(new_v + np.float32(2.0**-6)))


def test_numbers_of_later_steps():
    """Sums m and v of constant gradients: 1.5 g and 1.75 g^2 in step 2; a step is the rate whatever the gradient."""
    adam = Adam(rate=0.5, beta1=0.5, beta2=0.75, epsilon=2.0**-40, step=2)
    assert adam.numbers()["rate"] == pytest.approx(0.5 * np.sqrt(1.75) / 1.5)
    assert adam.numbers()["epsilon"] == 2.0**-80 * 1.75
    made = adam.update(BINARY16, w=np.float32([1, 1]), m=np.float32([3, -4]), v=np.float32([9, 16]),
                       gradient=np.float32([3, -4]))
    assert made.states["m"].tolist() == [4.5, -6]
    assert made.w == pytest.approx([0.5, 1.5], abs=2.0**-16)


@BOTH
@pytest.mark.parametrize(("values", "expected"), [
    ({"gradient": np.nan}, np.nan), ({"m": np.nan}, np.nan), ({"v": np.nan}, np.nan), ({"v": -1.0}, np.nan),
    ({"v": np.inf}, 1.0), ({"m": -np.inf}, np.inf), ({"gradient": np.inf}, np.nan), ({"gradient": 2e30}, 1.0),
    ({"m": 0.0, "v": 0.0, "gradient": 0.0}, 1.0),
])  # fmt: skip
def test_special_numbers_in_adam(half, values, expected):
    """Squares of gradients overflow where no weight moves then; without gradients none moves, as epsilon is not 0."""
    adam = Adam(rate=0.5, beta1=0.5, beta2=0.75)
    made = adam.update(half, **{name: np.float32([number]) for name, number in
                                ({"w": 1.0, "m": 0.25, "v": 4.0, "gradient": 0.5} | values).items()})
    assert np.array_equal(made.w, np.float32([expected]), equal_nan=True)
    assert np.array_equal(made.half, half.narrow(np.float32([expected])))


def test_registers_of_adam():
    assert list(ADAM.registers()) == ["rate", "momentum", "unscale", "square_momentum", "epsilon", "decay",
                                      "pruned_decay"]
    arguments = ADAM.arguments(share=0.5)
    assert arguments[2:6:3] == (0x3A800000, 0x3F000000)
    assert len(arguments) == 8
    assert SETTING.arguments(share=0.5) == (*SETTING.registers().values(), 0x3F000000)
