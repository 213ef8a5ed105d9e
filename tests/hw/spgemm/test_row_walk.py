import pytest

from hw.spgemm.row_walk import RowWalk
from tests.hw.spgemm.bench import FRONT_SHAPES, run_unit


@pytest.mark.parametrize("shape", FRONT_SHAPES)
def test_row_walk(shape):
    run_unit(RowWalk, "row_walk", shape)
