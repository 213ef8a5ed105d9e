import pytest

from hw.spgemm.miss_queue import MissQueue
from tests.hw.spgemm.bench import SHAPES, run_unit


@pytest.mark.parametrize("shape", SHAPES)
def test_miss_queue(shape):
    run_unit(MissQueue, "miss_queue", shape)
