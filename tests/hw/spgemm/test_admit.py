import pytest

from hw.spgemm.admit import Admit
from tests.hw.spgemm.bench import SHAPES, STALLS, run_unit


@pytest.mark.parametrize("stall", STALLS)
@pytest.mark.parametrize("shape", SHAPES)
def test_admit(shape, stall):
    run_unit(Admit, "admit", shape, stall, first_serial=65500)
