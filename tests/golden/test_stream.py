import numpy as np
import pytest

from golden.llm.decode import decode_lanes
from golden.llm.encode import encode_lane, encode_lanes
from golden.llm.stream import KEPT, WIDTHS, BlockFormat, kv_offsets
from golden.params import LlmParams
from tests.hw.llm.lanes import random_lane


@pytest.mark.parametrize("planes", [1, 2, 4])
@pytest.mark.parametrize("rows", [1, 3, 16, 37])
def test_round_trip_of_mixed_blocks(planes, rows):
    for seed in range(4):
        lane = random_lane(np.random.default_rng(seed), rows=rows, blocks=6, group=2)
        beats = encode_lane(lane, planes)
        result = decode_lanes(
            beats[None], rows=rows, blocks=6, group=2, scaled=True, minimum=True, raw=False
        )
        np.testing.assert_array_equal(result.q[0], np.where(lane.keep, lane.q, 0))
        np.testing.assert_array_equal(result.scale[0], lane.scale)
        np.testing.assert_array_equal(result.minimum[0], lane.minimum)
        assert result.header == lane.header
        assert result.used == len(beats)


@pytest.mark.parametrize(("kept", "width", "bits"), [(8, 4, 3.0), (16, 4, 4.0), (4, 4, 2.0), (12, 4, 4.0), (2, 4, 1.0)])
def test_bits_a_weight_without_scales(kept, width, bits):
    rng = np.random.default_rng(0)
    lane = random_lane(
        rng, rows=32, blocks=64, group=4, scaled=False, minimum=False, formats=BlockFormat(kept, width, True)
    )
    beats = encode_lane(lane, 2)
    overhead = 2
    assert (len(beats) - overhead) * 32 / lane.q.size == bits


def test_truncated_lane_is_an_error():
    lane = random_lane(np.random.default_rng(1), rows=5, blocks=2, group=1, formats=BlockFormat())
    beats = encode_lane(lane, 2)[None, :-1]
    with pytest.raises(ValueError, match="lane ends after"):
        decode_lanes(beats, rows=5, blocks=2, group=1, scaled=True, minimum=True, raw=False)


@pytest.mark.parametrize("kept", [3, 17])
def test_illegal_kept(kept):
    with pytest.raises(ValueError, match="kept"):
        BlockFormat(kept, WIDTHS[0])
    assert kept not in KEPT


@pytest.mark.parametrize("planes", [2, 4])
def test_lanes_of_different_structure_decode_together(planes):
    rng = np.random.default_rng(5)
    lanes = [random_lane(rng, rows=20, blocks=4, group=2) for _ in range(3)]
    packed = encode_lanes(lanes, planes)
    beats = np.zeros((3, max(map(len, packed)), planes), np.uint16)
    for row, lane in zip(beats, packed, strict=True):
        row[: len(lane)] = lane
    result = decode_lanes(beats, rows=20, blocks=4, group=2, scaled=True, minimum=True, raw=False)
    for got, lane in zip(result.q, lanes, strict=True):
        np.testing.assert_array_equal(got, np.where(lane.keep, lane.q, 0))
    assert result.used == beats.shape[1]


@pytest.mark.parametrize("by_column", [False, True])
@pytest.mark.parametrize("planes", [2, 4])
def test_kv_bytes_never_collide(planes, by_column):
    params = LlmParams(channels=2, ksplit=2, planes=planes)
    seen = set()
    for token in range(150):
        tile = {"rows": 4, "blocks": 8 if by_column else 1}
        fields = {"n": token, "repeat": 0, "count": 32, "value": int(by_column), **tile}
        seen |= {tuple(pair) for pair in kv_offsets(params, fields)[0].tolist()}
    assert len(seen) == 150 * 32
