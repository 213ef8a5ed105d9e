"""golden.train.prune against sorting in plain Python, and statistics of its masks on Gaussian weights."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from golden.float16 import BFLOAT16, BINARY16
from golden.train.params import GROUP, PATTERNS, slots
from golden.train.prune import compact_block, expand, mask, pattern_logs, prune

DENSE = (16, 16)
ALL = [*PATTERNS, DENSE]
EACH = pytest.mark.parametrize(("n", "m"), ALL, ids=[f"{n}:{m}" for n, m in ALL])
CORNERS = [0x0000, 0x8000, 0x0001, 0x8001, 0x3C00, 0xBC00, 0x3C01, 0xBC01, 0x7BFF, 0xFBFF, BINARY16.infinity_bits,
           BINARY16.infinity_bits | 0x8000, BINARY16.nan_bits, 0xFFFF, BFLOAT16.infinity_bits, BFLOAT16.nan_bits]
NUMBERS = st.one_of(st.sampled_from(CORNERS), st.sampled_from([0, 0x8000, 0x3C00, 0xBC00]), st.integers(0, 0xFFFF))


def kept(group, n, m):
    """Indices that stay of 16 numbers, by sorting."""
    indices = []
    for start in range(0, GROUP, m):
        order = sorted(range(start, start + m), key=lambda at: (-(group[at] & 0x7FFF), at))
        indices += sorted(order[:n])
    return indices


@EACH
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_sorting(n, m, data):
    rows = data.draw(st.lists(st.lists(NUMBERS, min_size=32, max_size=32), min_size=1, max_size=3))
    bits = np.array(rows, np.uint16)
    values, index = prune(bits, n, m)
    assert values.dtype == np.uint16
    assert index.dtype == np.uint8
    assert values.shape == index.shape == (len(rows), 2, slots(n, m))
    expected = [[kept(row[start : start + GROUP], n, m) for start in (0, GROUP)] for row in rows]
    assert index.tolist() == expected
    assert values.tolist() == [[[row[GROUP * group + at] for at in indices] for group, indices in enumerate(groups)]
                               for row, groups in zip(rows, expected, strict=True)]  # fmt: skip
    stays = [[at in groups[group] for group in (0, 1) for at in range(GROUP)] for groups in expected]
    assert mask(bits, n, m).tolist() == stays
    assert expand(values, index).tolist() == np.where(stays, bits, 0).tolist()


@EACH
def test_order_of_magnitudes(n, m):
    """NaN > infinity > finite > subnormal > zero, whatever the signs; all equal: the first ones."""
    falling = np.array([0xFFFF, 0x7E00, 0xFC00, 0x7BFF, 0xBC00, 0x3C00, 0x8001, 0x0001, *[0x8000, 0] * 4], np.uint16)
    assert prune(falling, n, m)[1][0].tolist() == [at for at in range(GROUP) if at % m < n]
    rising = falling[::-1]
    for number in (0, 0x8000, 0x3C00, 0x7C00, 0xFFFF):
        same = np.full(GROUP, number, np.uint16)
        same[::3] ^= 0x8000
        assert prune(same, n, m)[1][0].tolist() == [at for at in range(GROUP) if at % m < n]
    assert prune(rising, n, m)[1][0].tolist() == kept(rising.tolist(), n, m)


def test_dense_is_everything():
    bits = np.random.default_rng(1).integers(0, 1 << 16, (3, 48)).astype(np.uint16)
    values, index = prune(bits, *DENSE)
    assert np.array_equal(values.reshape(bits.shape), bits)
    assert np.array_equal(index, np.broadcast_to(np.arange(GROUP), index.shape))
    assert pattern_logs(*DENSE) == (0, 0)


@EACH
def test_pattern_logs(n, m):
    log_n, log_m = pattern_logs(n, m)
    assert GROUP << log_n >> log_m == slots(n, m)


@pytest.mark.parametrize("ff", [(2, 8), DENSE])
@pytest.mark.parametrize("bp", [(4, 8), (2, 16)])
def test_block(ff, bp):
    rng = np.random.default_rng(2)
    block = rng.choice(np.array([*CORNERS, *range(0x3C00, 0x3C10)], np.uint16), (GROUP, GROUP))
    for lanes, pattern, (values, index) in zip((block.T, block), (ff, bp), compact_block(block, ff, bp), strict=True):
        assert values.shape == index.shape == (slots(*pattern), GROUP)
        for lane, numbers in enumerate(lanes.tolist()):
            places = kept(numbers, *pattern)
            assert index[:, lane].tolist() == places
            assert values[:, lane].tolist() == [numbers[at] for at in places]


@pytest.mark.parametrize(("n", "m"), [(3, 4), (1, 16), (4, 4), (0, 8), (8, 16)])
def test_no_pattern(n, m):
    for function in (lambda: prune(np.zeros(16, np.uint16), n, m), lambda: pattern_logs(n, m)):
        with pytest.raises(ValueError, match=f"N:M = '{n}:{m}'"):
            function()


@pytest.mark.parametrize("shape", [(), (8,), (16, 24)])
def test_no_groups(shape):
    with pytest.raises(ValueError, match="multiple of 16"):
        prune(np.zeros(shape, np.uint16), 2, 8)


def test_no_block():
    with pytest.raises(ValueError, match="16 x 16"):
        compact_block(np.zeros((16, 32), np.uint16), (2, 8), (2, 8))


# Both masks of Gaussian weights: share that FF and BP keep; of FF's, share that BP keeps too; share that one of them
# keeps; kept energy; relative Frobenius error. For 1:M the first is 1 / (2 M - 1) exactly. From 2048 x 2048.
STATISTICS = {
    (1, 2): (0.333, 0.667, 0.667, 0.818, 0.426),
    (2, 4): (0.372, 0.743, 0.629, 0.868, 0.364),
    (1, 4): (0.143, 0.571, 0.357, 0.618, 0.618),
    (2, 8): (0.169, 0.677, 0.331, 0.665, 0.579),
    (4, 8): (0.405, 0.810, 0.595, 0.897, 0.321),
    (1, 8): (0.067, 0.533, 0.183, 0.433, 0.753),
    (2, 16): (0.081, 0.650, 0.169, 0.464, 0.732),
}
SAMPLING = 0.004
"""Of 1024 x 1024 weights: three standard deviations of the second share under 1:8, the widest, of 131,072 kept ones
(sqrt(0.25 / 131072) = 0.0014). With this seed the largest difference is 0.002."""


@pytest.fixture(scope="module")
def gaussian():
    return BINARY16.narrow(np.random.default_rng(0).standard_normal((1024, 1024)).astype(np.float32))


@pytest.mark.parametrize(("n", "m"), PATTERNS, ids=[f"{n}:{m}" for n, m in PATTERNS])
def test_statistics(n, m, gaussian):
    ff, bp = mask(gaussian, n, m), mask(gaussian.T, n, m).T
    energy = BINARY16.widen(gaussian).astype(np.float64) ** 2
    share = energy[ff].sum() / energy.sum()
    found = (ff & bp).mean(), bp[ff].mean(), (ff | bp).mean(), share, np.sqrt(1 - share)
    assert ff.mean() == bp.mean() == n / m
    assert found == pytest.approx(STATISTICS[n, m], abs=SAMPLING)
