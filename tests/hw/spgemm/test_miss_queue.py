import pytest

from hw.spgemm.miss_queue import MissQueue
from tests.hw.spgemm.spgemm_bench import SHAPES, run_unit


@pytest.mark.parametrize("shape", SHAPES)
def test_miss_queue(shape):
    run_unit(MissQueue, shape, top="miss_queue", test_module="tests.hw.spgemm.cocotb_miss_queue")
