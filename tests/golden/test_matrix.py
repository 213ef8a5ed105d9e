"""Matrices out of the images against the model's weights."""

import numpy as np
import pytest

from compiler.frontend import load_model
from compiler.llm import compile_model
from compiler.llm.pack import quantise_dense
from compiler.models import TINY
from golden.llm.encode import encode_lanes
from golden.llm.matrix import read_matrix
from golden.llm.stream import BlockFormat, LaneMatrix, TileHeader
from golden.params import LlmParams

PARAMS = LlmParams()


def test_the_head_is_the_quantised_embedding():
    model = load_model(TINY)
    program = compile_model(model, PARAMS, context=16)
    matrix = read_matrix(PARAMS, program.images, program.manifest["matrices"]["head"])
    padded = np.zeros((len(matrix.q), matrix.inputs), np.float32)
    padded[: model.config.vocab, : model.config.dim] = model.head.dense()
    expected = quantise_dense(padded)
    np.testing.assert_array_equal(matrix.q, expected.q)
    np.testing.assert_allclose(matrix.dense(), expected.dense(), rtol=0, atol=np.abs(padded).max() * 2.0**-16)
    np.testing.assert_array_equal(matrix.dense(slice(30, 70)), matrix.dense()[30:70])


@pytest.mark.parametrize(("value", "fits"), [(1, True), (127, False)])
def test_weights_that_could_overflow_the_accumulator_are_refused(value, fits):
    rows, blocks, group = 1, 64, 1
    q = np.full((rows, blocks * 16), value, np.int16)
    formats = ((BlockFormat(),),) * blocks
    scale = np.full((rows, blocks), 0xFFFF, np.uint16)
    minimum = np.full((rows, blocks), 0x7FFF, np.int16) * int(not fits)
    lane = LaneMatrix(q, q != 0, formats, scale, minimum, group, TileHeader(-20, 7))
    beats = np.stack(encode_lanes([lane] * PARAMS.chains, PARAMS.planes), 1)
    images = {"w0": np.ascontiguousarray(beats, "<u2").view(np.uint8).reshape(-1)}
    place = {
        "stride": 0, "share": blocks, "group_blocks": group, "minimum": True,
        "tiles": [{"offset": 0, "beats": len(beats), "rows": rows}],
    }  # fmt: skip
    if fits:
        assert np.all(read_matrix(PARAMS, images, place).dense() == 0xFFFF * 2.0**-20)
    else:
        with pytest.raises(OverflowError, match="tile at 0x0"):
            read_matrix(PARAMS, images, place)
