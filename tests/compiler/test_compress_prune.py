"""N:16 masks and the choice of N by block."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.compress.layout import BlockLayout, consecutive
from compiler.compress.prune import choose_kept, keep_mask, stored
from golden.llm.stream import KEPT
from golden.params import BLOCK

RAGGED = BlockLayout(np.arange(24) % 2, np.array([0] * 16 + [1] * 4 + [2] * 16 + [3] * 4))


def loss(saliency, kept, layout):
    return saliency[~keep_mask(saliency, kept, layout)].sum()


@pytest.mark.parametrize("kept", KEPT)
def test_every_row_of_every_block_keeps_its_n_largest(rng, kept):
    saliency = rng.random((32, 64))
    keep = keep_mask(saliency, kept, consecutive(32, 64)).reshape(32, 4, BLOCK)
    assert np.all(keep.sum(-1) == kept)
    grouped = saliency.reshape(keep.shape)
    assert np.all(np.where(keep, grouped, 2).min(-1) >= np.where(keep, -1, grouped).max(-1))


def test_of_equal_saliency_the_lower_inputs_stay():
    keep = keep_mask(np.ones((1, 32)), 4, consecutive(1, 32))
    assert np.flatnonzero(keep[0]).tolist() == [0, 1, 2, 3, 16, 17, 18, 19]


def test_a_short_block_column_loses_only_what_exceeds_n(rng):
    keep = keep_mask(rng.random((24, 40)), 8, RAGGED)
    assert np.all(keep[:, :16].sum(1) == 8)
    assert np.all(keep[:, 16:20])
    assert keep.sum() == stored(8, RAGGED)


def test_n_follows_the_layout_of_the_rows(rng):
    layout = BlockLayout(np.arange(32) % 2, np.arange(32) // BLOCK)
    keep = keep_mask(rng.random((32, 32)), np.array([[1, 2], [12, 16]]), layout).reshape(32, 2, BLOCK)
    assert np.all(keep[0::2].sum(-1) == [1, 2])
    assert np.all(keep[1::2].sum(-1) == [12, 16])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.01, 1.0), st.sampled_from([(16, 64), (40, 48), (24, 40)]))
def test_no_block_row_exceeds_the_density_and_none_is_a_block_below_it(seed, density, shape):
    layout = RAGGED if shape == (24, 40) else consecutive(*shape)
    saliency = np.random.default_rng(seed).lognormal(0, 2, shape)
    kept = choose_kept(saliency, density, layout)
    assert np.isin(kept, KEPT).all()
    keep = keep_mask(saliency, kept, layout)
    assert keep.sum() == stored(kept, layout)
    for block_row, rows in enumerate(np.bincount(layout.rows)):
        limit = density * rows * shape[1]
        found = keep[layout.rows == block_row].sum()
        assert limit - 4 * BLOCK * rows / BLOCK < found <= limit + 1e-6


def test_equal_blocks_meet_the_density_exactly():
    kept = choose_kept(np.ones((16, 64)), 0.75, consecutive(16, 64))
    assert stored(kept, consecutive(16, 64)) == 0.75 * 16 * 64


def test_weights_go_where_they_cost_least(rng):
    layout = consecutive(16, 64)
    saliency = rng.random((16, 64)) * np.repeat([1.0, 1e-3, 1.0, 1e-3], BLOCK)
    kept = choose_kept(saliency, 0.75, layout)
    assert kept[0, 1] < 12 < kept[0, 0] == kept[0, 2] == 16
    assert loss(saliency, kept, layout) < loss(saliency, 12, layout) / 10


def test_the_choice_is_the_best_of_all_choices(rng):
    """Brute force over two blocks, at each density that a choice can meet exactly."""
    layout = consecutive(16, 32)
    saliency = rng.lognormal(0, 1, (16, 32))
    for density in (0.5, 0.625, 0.75, 0.875):
        chosen = choose_kept(saliency, density, layout)
        pairs = [np.array([[a, b]]) for a in KEPT for b in KEPT]
        same = [kept for kept in pairs if stored(kept, layout) == stored(chosen, layout)]
        assert loss(saliency, chosen, layout) <= min(loss(saliency, kept, layout) for kept in same) + 1e-9


@pytest.mark.parametrize(
    ("rows", "inputs", "message"),
    [
        ([0, 2], [0], "rows: every block must have 1 to 16 members, got 0"),
        ([0] * 17, [0], "rows: every block must have 1 to 16 members, got 17"),
        ([0], [1, 0], "inputs: block numbers must ascend"),
        ([-1], [0], "rows must be block numbers"),
        ([0], [], "inputs must be block numbers"),
    ],
)
def test_a_bad_layout_is_refused(rows, inputs, message):
    with pytest.raises(ValueError, match=message):
        BlockLayout(np.array(rows, int), np.array(inputs, int))


def test_blocked_and_flat_are_inverse(rng):
    values = rng.random((24, 40))
    blocked = RAGGED.blocked(values, np.nan)
    assert blocked.shape == (24, 4, BLOCK)
    assert np.isnan(blocked).sum() == 24 * 24
    np.testing.assert_array_equal(RAGGED.flat(blocked), values)
