import pytest

from hw.spgemm.dispatcher import Dispatcher
from tests.hw.spgemm.bench import SHAPES, STALLS, run_unit


@pytest.mark.parametrize("stall", STALLS)
@pytest.mark.parametrize("shape", SHAPES)
def test_dispatcher(shape, stall):
    run_unit(Dispatcher, "dispatcher", shape, stall)
