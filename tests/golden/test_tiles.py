"""Tiles that products take from the lanes' stream."""

import numpy as np
import pytest

from golden.llm.encode import encode_lane
from golden.llm.stream import BlockFormat
from golden.llm.tiles import LaneStream
from tests.hw.llm.lanes import random_lane


@pytest.mark.parametrize(("kept", "dense"), [(0, True), (8, False), (12, False), (16, True)])
def test_only_dense_tiles_may_be_called_dense(kept, dense):
    lane = random_lane(np.random.default_rng(kept), rows=5, blocks=3, group=1, formats=BlockFormat(kept, 4))
    beats = encode_lane(lane, 2)[:, None]
    fields = {"rows": 5, "blocks": 3, "group_log2": 0, "scaled": 1, "minimum": 1, "raw": 0, "beats": len(beats)}
    for said in (0, 1):
        stream = LaneStream(1)
        stream.append(0, beats)
        if said and not dense:
            with pytest.raises(ValueError, match="said to be dense"):
                stream.take({**fields, "dense": said})
        else:
            assert stream.take({**fields, "dense": said}).dense == dense


def test_nothing_loaded():
    with pytest.raises(ValueError, match="no loaded weights"):
        LaneStream(1).take({})
