import pytest

from hw.spgemm.line_queue import LineQueue
from tests.hw.spgemm.bench import SHAPES, STALLS, run_unit


@pytest.mark.parametrize("stall", STALLS)
@pytest.mark.parametrize("shape", SHAPES)
def test_line_queue(shape, stall):
    run_unit(LineQueue, "line_queue", shape, stall)
