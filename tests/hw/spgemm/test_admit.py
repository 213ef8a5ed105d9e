import pytest

from hw.spgemm.admit import Admit
from tests.hw.spgemm.bench import FRONT_SHAPES, STALLS, run_unit


@pytest.mark.parametrize("stall", STALLS)
@pytest.mark.parametrize("shape", FRONT_SHAPES)
def test_admit(shape, stall):
    run_unit(Admit, "admit", shape, stall, first_serial=65500)
