import pytest

from hw.spgemm.spread import Spread
from tests.hw.spgemm.bench import SHAPES, STALLS, run_unit


@pytest.mark.parametrize("stall", STALLS)
@pytest.mark.parametrize("shape", SHAPES)
def test_spread(shape, stall):
    run_unit(Spread, "spread", shape, stall)
