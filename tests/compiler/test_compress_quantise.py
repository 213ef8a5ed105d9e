"""Group quantisation and the choice of widths."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.compress.quantise import code_range, quantise
from compiler.compress.widths import assign_widths, width_errors
from compiler.llm.pack import fix, quantise_dense
from golden.llm.stream import WIDTHS


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(WIDTHS), st.sampled_from([16, 32, 64]))
def test_zeros_stay_zeros_and_codes_fit(seed, bits, group):
    rng = np.random.default_rng(seed)
    weights = (rng.standard_normal((4, 128)) * (rng.random((4, 128)) < 0.6)).astype(np.float32)
    weights[0, :64] = 0
    quant = quantise(weights, bits, group)
    low, high = code_range(bits)
    assert (quant.bits, quant.group, quant.signed, quant.minimum) == (bits, group, True, None)
    assert quant.q.min() >= low
    assert quant.q.max() <= high
    assert np.all(quant.dense()[weights == 0] == 0)
    assert np.all(quant.scale >= 0)
    fix(quant)


@pytest.mark.parametrize("bits", WIDTHS)
def test_the_searched_scale_is_no_worse_than_the_largest_magnitude(rng, bits):
    weights = rng.standard_normal((32, 128)).astype(np.float32)
    plain = quantise_dense(weights, bits).dense()
    assert np.sum((quantise(weights, bits, 32).dense() - weights) ** 2) <= np.sum((plain - weights) ** 2)


def test_importance_moves_the_error_to_unimportant_inputs(rng):
    weights = rng.standard_normal((64, 32)).astype(np.float32)
    importance = np.where(np.arange(32) < 4, 1000.0, 1.0)
    error = [((quantise(weights, 3, 32, i).dense() - weights) ** 2)[:, :4].sum() for i in (None, importance)]
    assert error[1] < error[0]


@pytest.mark.parametrize("bits", [2, 3, 4, 5])
def test_a_minimum_serves_groups_that_are_off_zero(rng, bits):
    weights = (rng.random((16, 64)) + 3).astype(np.float32)
    quant = quantise(weights, bits, 32, minimum=True)
    assert not quant.signed
    assert quant.minimum is not None
    assert quant.q.min() >= 0
    assert quant.q.max() <= (1 << bits) - 1
    error = np.abs(quant.dense() - weights).max()
    assert error < np.abs(quantise(weights, bits, 32).dense() - weights).max()
    assert error <= 1 / (1 << bits)


def test_a_constant_group_is_its_minimum():
    np.testing.assert_array_equal(quantise(np.full((1, 32), 2.5, np.float32), 4, 32, minimum=True).dense(), 2.5)


def test_errors_fall_with_the_width(rng):
    errors = width_errors(rng.standard_normal((32, 64)).astype(np.float32), rng.random(64), 32)
    assert tuple(errors) == WIDTHS
    assert list(errors.values()) == sorted(errors.values(), reverse=True)


ERRORS = {2: 16.0, 3: 4.0, 4: 1.0, 5: 0.25, 8: 0.0}


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 10**8), st.floats(1e-3, 1e3)), min_size=1, max_size=6), st.floats(2, 8))
def test_the_average_is_never_exceeded(matrices, average):
    sizes = {str(i): size for i, (size, _) in enumerate(matrices)}
    errors = {str(i): {b: e * weight for b, e in ERRORS.items()} for i, (_, weight) in enumerate(matrices)}
    widths = assign_widths(errors, sizes, average)
    assert set(widths.values()) <= set(WIDTHS)
    assert sum(sizes[name] * bits for name, bits in widths.items()) <= average * sum(sizes.values()) * (1 + 1e-9)


def test_the_sensitive_matrix_gets_the_bits():
    errors = {"dull": ERRORS, "keen": {b: 100 * e for b, e in ERRORS.items()}}
    assert assign_widths(errors, {"dull": 10, "keen": 10}, 4) == {"dull": 3, "keen": 5}
    assert assign_widths(errors, {"dull": 10, "keen": 10}, 8) == {"dull": 8, "keen": 8}
    assert assign_widths(errors, {"dull": 10, "keen": 10}, 2) == {"dull": 2, "keen": 2}
