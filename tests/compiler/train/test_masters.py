import numpy as np
import pytest

from compiler.train.masters import from_blocks, to_blocks
from golden.train.params import TrainParams

SHAPES = {"16 columns": TrainParams(rows=16, columns=2), "32 columns": TrainParams(rows=16, columns=4)}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("taps", "inputs", "outputs"), [(1, 16, 32), (9, 48, 64), (4, 32, 96)])
def test_there_and_back(shape, taps, inputs, outputs):
    weights = np.arange(taps * inputs * outputs, dtype=np.float32).reshape(taps, inputs, outputs)
    numbers = to_blocks(weights, SHAPES[shape])
    assert np.array_equal(from_blocks(numbers, taps, inputs, outputs, SHAPES[shape]), weights)


@pytest.mark.parametrize("shape", SHAPES)
def test_where_a_weight_lies(shape):
    columns = SHAPES[shape].tile_columns
    weights = np.arange(9 * 32 * 64, dtype=np.float32).reshape(9, 32, 64)
    numbers = to_blocks(weights, SHAPES[shape]).reshape(-1, 9, 2, columns // 16, 16, 16)
    for tap, k, output in [(0, 0, 0), (8, 31, 63), (3, 17, 40), (5, 2, 16)]:
        tile, column = divmod(output, columns)
        assert numbers[tile, tap, k // 16, column // 16, k % 16, column % 16] == weights[tap, k, output]


@pytest.mark.parametrize(("shape", "name"), [((1, 24, 32), "inputs"), ((1, 16, 48), "outputs")])
def test_channels_that_fill_nothing(shape, name):
    with pytest.raises(ValueError, match=name):
        to_blocks(np.zeros(shape, np.float32), SHAPES["32 columns"])
    with pytest.raises(ValueError, match=name):
        from_blocks(np.zeros(np.prod(shape), np.float32), *shape, SHAPES["32 columns"])


def test_too_few_numbers():
    with pytest.raises(ValueError, match="numbers"):
        from_blocks(np.zeros(31 * 16, np.float32), 1, 16, 32, SHAPES["32 columns"])
