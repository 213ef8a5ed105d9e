import pytest

from hw.spgemm.phases import Phases
from tests.hw.spgemm.bench import SHAPES, run_unit


@pytest.mark.parametrize("shape", SHAPES)
def test_phases(shape):
    run_unit(Phases, "phases", shape)
