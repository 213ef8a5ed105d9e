import pytest

from hw.spgemm.values import Values
from tests.hw.spgemm.bench import NUMBER_SHAPES, STALLS, run_unit


@pytest.mark.parametrize("stall", STALLS)
@pytest.mark.parametrize("shape", NUMBER_SHAPES)
def test_values(shape, stall):
    run_unit(Values, "values", shape, stall)
