import pytest

from hw.spgemm.write_back import WriteBack
from tests.hw.spgemm.bench import SHAPES, STALLS, run_unit


@pytest.mark.parametrize("stall", STALLS)
@pytest.mark.parametrize("shape", SHAPES)
def test_write_back(shape, stall):
    run_unit(WriteBack, "write_back", shape, stall)
