"""golden.train.update against float64, and where binary32 is exact or special."""

import numpy as np
import pytest

from golden.float16 import BFLOAT16, BINARY16, HALVES
from golden.floats import BINARY32
from golden.train.update import Sgd

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
    assert made.w.shape == made.v.shape == made.half.shape == shape
    assert (made.w.dtype, made.v.dtype, made.half.dtype) == (np.float32, np.float32, np.uint16)
    assert np.all(abs(made.v - v) <= (3 + 1e-6) * EPSILON * v_size)
    assert np.all(abs(made.w - w) <= (5 + 1e-6) * EPSILON * w_size)
    assert np.array_equal(made.half, half.narrow(made.w))


@BOTH
def test_powers_of_two_are_exact(half):
    sgd = Sgd(rate=0.5, momentum=0.25, decay=0.125, unscale=2.0**-8, regulariser=0.0625)
    w, v, gradient = (np.float32(x) for x in ([4, 4, -2, 0], [8, 8, 0.5, -16], [256, 256, -512, 1024]))
    made = sgd.update(half, w=w, v=v, gradient=gradient, pruned=[False, True, True, True])
    # v: momentum v + unscale gradient + (decay + regulariser) w
    assert made.v.tolist() == [2 + 1 + 0.5, 2 + 1 + 0.5 + 0.25, 0.125 - 2 - 0.25 - 0.125, -4 + 4]
    assert made.w.tolist() == [4 - 1.75, 4 - 1.875, -2 + 1.125, 0]
    assert half.widen(made.half).tolist() == made.w.tolist()


def test_without_mask_nothing_is_pruned():
    values = operands(np.random.default_rng(4), (100,))
    none = SETTING.update(BINARY16, **values | {"pruned": None})
    false = SETTING.update(BINARY16, **values | {"pruned": np.zeros(100, bool)})
    some = SETTING.update(BINARY16, **values)
    assert all(np.array_equal(a, b) for a, b in zip(none, false, strict=True))
    changed = none.v != some.v
    assert not changed[~values["pruned"]].any()
    assert changed.sum() > values["pruned"].sum() / 2


def test_order_is_that_of_the_contract():
    """1 + 2^-24 twice is 1, but 1 + 2^-23 is not: decay and regulariser become one number, the gradient meets it before
    momentum."""
    tiny = np.float32(2.0**-24)
    made = Sgd(rate=0, decay=1, regulariser=1).update(
        BINARY16, w=tiny, v=np.float32(0), gradient=np.float32(1), pruned=True)
    assert made.v == 1 + 2.0**-23
    assert Sgd(rate=0, decay=1, regulariser=float(tiny)).pruned_decay == 1
    made = Sgd(rate=0, momentum=1, decay=1).update(BINARY16, w=tiny, v=np.float32(1), gradient=tiny)
    assert made.v == 1 + 2.0**-23


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
    assert made.v == -np.inf
    # w - rate v: -inf + inf where w itself is infinite
    assert np.isnan(made.w) if name == "w" else made.w == np.inf
    assert made.half == (half.nan_bits if name == "w" else half.infinity_bits)


def test_zero_times_infinity_is_nan_even_with_decay_off():
    made = Sgd(rate=0.5).update(BINARY16, w=np.float32(1), v=np.float32(np.inf), gradient=np.float32(0))
    assert np.isnan(made.v)
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
    assert np.signbit(made.v)
    assert not np.signbit(made.w)  # -0 + -(-0)
    assert made.half == 0
    made = Sgd(rate=1.0).update(BINARY16, w=-zero, v=-zero, gradient=zero)
    assert not np.signbit(made.v)
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
