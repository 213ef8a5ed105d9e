"""golden.train.product against one addition after the other."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from golden.float16 import BFLOAT16, BINARY16, HALVES
from golden.floats import BINARY32
from golden.train.params import GROUP, TrainParams, slots
from golden.train.product import dense_columns, product


def one_by_one(x, values, index, half):
    groups, count, columns = values.shape
    sums = np.zeros((len(x), columns), np.float32)
    for row in range(len(x)):
        for column in range(columns):
            total = np.float32(0)
            for group in range(groups):
                for slot in range(count):
                    number = x[row, GROUP * group + index[group, slot, column]]
                    total = BINARY32.add(total, half.mul(number, values[group, slot, column]))
            sums[row, column] = total
    return sums


def ascending(rng, groups, count, columns):
    """Random places, each slot's beyond the one before."""
    return np.sort(rng.permuted(np.tile(np.arange(GROUP, dtype=np.uint8), (groups, columns, 1)), axis=2)[..., :count],
                   axis=2).transpose(0, 2, 1)


@pytest.mark.parametrize("half", [BINARY16, BFLOAT16], ids=list(HALVES))
@given(seed=st.integers(0, 2**32 - 1), count=st.sampled_from([2, 4, 8, 16]), groups=st.integers(1, 3),
       narrow=st.booleans())
@settings(max_examples=15, deadline=None)
def test_as_one_by_one(half, seed, count, groups, narrow):
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 1 << 16, (3, 16 * groups), dtype=np.uint16)
    values = rng.integers(0, 1 << 16, (groups, count, 4), dtype=np.uint16)
    if narrow:  # of like size, so that sums are no infinities
        bits, values = half.narrow(rng.standard_normal(bits.shape)), half.narrow(rng.standard_normal(values.shape))
    index = ascending(rng, groups, count, 4)
    found, expected = product(bits, values, index, half), one_by_one(bits, values, index, half)
    assert np.array_equal(BINARY32.to_bits(found), BINARY32.to_bits(expected))


def test_small_sums_of_bfloat16_are_zero():
    """2**-126 (1 + 1/128) - 2**-126 is subnormal."""
    x = BFLOAT16.narrow(np.float32([[2.0**-60, 2.0**-60] + [0.0] * 14]))
    values, index = dense_columns(BFLOAT16.narrow(np.float32([[2.0**-66 * (1 + 2**-7)], [-(2.0**-66)]] + [[0.0]] * 14)))
    assert BINARY32.to_bits(product(x, values, index, BFLOAT16)).item() == 0


def test_shapes_that_do_not_match():
    values, index = dense_columns(np.zeros((32, 4), np.uint16))
    with pytest.raises(ValueError, match="do not match"):
        product(np.zeros((2, 16), np.uint16), values, index, BINARY16)
    with pytest.raises(ValueError, match="multiple of 16"):
        dense_columns(np.zeros((8, 4), np.uint16))


def test_slots():
    assert [slots(n, m) for n, m in ((1, 2), (2, 4), (1, 4), (2, 8), (4, 8), (1, 8), (2, 16), (16, 16))] == [
        8, 8, 4, 4, 8, 2, 2, 16]
    with pytest.raises(ValueError, match="3:8"):
        slots(3, 8)


@pytest.mark.parametrize(("name", "value"), [
    ("axi_bits", 128), ("rows", 24), ("rows", 8), ("rows", 256), ("columns", 1), ("columns", 32), ("number_format", 3),
    ("x_words", 128), ("w_steps", 1000), ("update_lanes", 32), ("channel_words", 48), ("channel_words", 1),
])  # fmt: skip
def test_parameters_are_refused(name, value):
    with pytest.raises(ValueError, match=f"{name} = {value}"):
        TrainParams(**{name: value})
