import pytest

from hw.spgemm.phases import Phases
from tests.hw.spgemm.spgemm_bench import SHAPES, run_unit


@pytest.mark.parametrize("shape", SHAPES)
def test_phases(shape):
    run_unit(Phases, shape, top="phases", test_module="tests.hw.spgemm.cocotb_phases")
