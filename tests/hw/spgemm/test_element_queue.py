import pytest

from hw.spgemm.element_queue import ElementQueue
from tests.hw.spgemm.bench import SHAPES, STALLS, run_unit


@pytest.mark.parametrize("stall", STALLS)
@pytest.mark.parametrize("shape", SHAPES)
def test_element_queue(shape, stall):
    run_unit(ElementQueue, "element_queue", shape, stall)
