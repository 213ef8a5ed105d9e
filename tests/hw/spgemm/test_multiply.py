import pytest

from hw.spgemm.multiply import Multiply
from tests.hw.spgemm.bench import NUMBER_SHAPES, STALLS, run_unit


@pytest.mark.parametrize("stall", STALLS)
@pytest.mark.parametrize("shape", NUMBER_SHAPES)
def test_multiply(shape, stall):
    run_unit(Multiply, "multiply", shape, stall)
