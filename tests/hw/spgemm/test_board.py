import pytest

from hw.spgemm.board import EndBoard
from tests.hw.spgemm.bench import SHAPES, run_unit


@pytest.mark.parametrize("shape", SHAPES)
def test_board(shape):
    run_unit(EndBoard, "board", shape, 0.0)
