import pytest

from hw.spgemm.results import Results
from tests.hw.spgemm.bench import SHAPES, STALLS, run_unit


@pytest.mark.parametrize("stall", STALLS)
@pytest.mark.parametrize("shape", SHAPES)
def test_results(shape, stall):
    run_unit(Results, "results", shape, stall)
