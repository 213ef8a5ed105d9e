import pytest

from hw.spgemm.row_walk import RowWalk
from tests.hw.spgemm.spgemm_bench import SHAPES, run_unit


@pytest.mark.parametrize("shape", SHAPES)
def test_row_walk(shape):
    run_unit(RowWalk, shape, top="row_walk", test_module="tests.hw.spgemm.cocotb_row_walk")
