"""SparseGPT: better than masks alone on correlated inputs, exactly N:16, codes and scales that belong together."""

import numpy as np
import pytest

from compiler.compress.layout import BlockLayout, consecutive
from compiler.compress.prune import choose_kept, keep_mask
from compiler.compress.quantise import quantise
from compiler.compress.sparsegpt import inverse_factor, reconstruct, surgeon_saliency
from compiler.frontend.model import GroupQuant
from golden.params import BLOCK

ROWS, INPUTS = 64, 192


@pytest.fixture
def problem(rng):
    """Weights [ROWS, INPUTS] and correlated inputs of unequal strength."""
    mixing = rng.standard_normal((INPUTS, INPUTS)) * np.exp(rng.standard_normal(INPUTS))
    x = (rng.standard_normal((1500, INPUTS)) @ mixing).astype(np.float32)
    return rng.standard_normal((ROWS, INPUTS)).astype(np.float32), x


def error(x, weights, changed):
    return float(np.sum((x @ (changed - weights).T) ** 2) / np.sum((x @ weights.T) ** 2))


def test_inverse_factor_is_the_cholesky_factor_of_the_damped_inverse(problem):
    gram = problem[1].T @ problem[1]
    gram[5], gram[:, 5] = 0, 0
    factor = inverse_factor(gram, 0.1).astype(np.float64)
    damped = gram + np.diag(0.1 * np.diagonal(gram))
    damped[5, 5] = np.diagonal(gram).mean()
    np.testing.assert_array_equal(factor, np.triu(factor))
    np.testing.assert_allclose(factor.T @ factor @ damped, np.eye(INPUTS), atol=1e-3)


@pytest.mark.parametrize("kept", [4, 8, 12])
def test_error_is_below_wanda_and_that_below_magnitude(problem, kept):
    weights, x = problem
    layout, gram = consecutive(ROWS, INPUTS), x.T @ x
    magnitude = np.where(keep_mask(weights**2, kept, layout), weights, 0)
    wanda = np.where(keep_mask(weights**2 * np.diagonal(gram), kept, layout), weights, 0)
    surgeon = reconstruct(weights, inverse_factor(gram, 0.01), kept, layout)
    assert error(x, weights, surgeon) < error(x, weights, wanda) < error(x, weights, magnitude)
    assert np.all(np.count_nonzero(surgeon.reshape(ROWS, -1, BLOCK), axis=-1) == kept)


@pytest.mark.parametrize("bits", [4, 5, 8])
def test_quantising_along_the_way_beats_rounding_afterwards(problem, bits):
    weights, x = problem
    gram = x.T @ x
    quant = reconstruct(weights, inverse_factor(gram, 0.01), BLOCK, consecutive(ROWS, INPUTS), bits, 32)
    assert isinstance(quant, GroupQuant)
    assert (quant.bits, quant.group, quant.signed) == (bits, 32, True)
    rounded = quantise(weights, bits, 32, np.diagonal(gram)).dense()
    assert error(x, weights, quant.dense()) < error(x, weights, rounded)


@pytest.mark.parametrize("bits", [None, 4])
def test_n_is_kept_block_by_block(problem, bits):
    weights, x = problem
    layout = BlockLayout(np.arange(ROWS) % 4, np.arange(INPUTS) // BLOCK)
    factor = inverse_factor(x.T @ x, 0.01)
    kept = choose_kept(surgeon_saliency(weights, factor), 0.6, layout)
    result = reconstruct(weights, factor, kept, layout, bits, 64)
    dense = result.dense() if isinstance(result, GroupQuant) else result
    assert len(np.unique(kept)) > 1
    count = np.count_nonzero(layout.blocked(dense, 0), axis=-1)
    assert np.all(count <= kept[layout.rows])
    if bits is None:
        assert np.all(count == kept[layout.rows])


def test_ragged_blocks_and_units_longer_than_a_span(rng):
    """Blocks of 10 inputs and groups of 64 meet only every 320 inputs."""
    inputs = 640
    weights = rng.standard_normal((20, inputs)).astype(np.float32)
    x = rng.standard_normal((900, inputs)).astype(np.float32)
    layout = BlockLayout(np.arange(20) // BLOCK, np.arange(inputs) // 10)
    quant = reconstruct(weights, inverse_factor(x.T @ x, 0.01), 4, layout, 8, 64)
    assert np.all(np.count_nonzero(layout.blocked(quant.dense(), 0), axis=-1) == 4)
    wanda = np.where(keep_mask(weights**2, 4, layout), weights, 0)
    assert error(x, weights, quant.dense()) < error(x, weights, wanda)


def test_uncorrelated_inputs_and_all_kept_change_nothing(rng):
    weights = rng.standard_normal((16, 32)).astype(np.float32)
    result = reconstruct(weights, inverse_factor(np.eye(32), 0.01), BLOCK, consecutive(16, 32))
    np.testing.assert_array_equal(result, weights)


def test_without_correlations_it_is_wanda(rng):
    weights = rng.standard_normal((16, 64)).astype(np.float32)
    squares = rng.random(64) + 0.1
    layout = consecutive(16, 64)
    result = reconstruct(weights, inverse_factor(np.diag(squares), 0.01), 8, layout)
    np.testing.assert_array_equal(result, np.where(keep_mask(weights**2 * squares, 8, layout), weights, 0))
