import pytest

from hw.spgemm.write_back import WriteBack
from tests.hw.spgemm.bench import SHAPES, STALLS, run_unit


@pytest.mark.parametrize(("shape", "stall"), [
    pytest.param(shape, stall, marks=[pytest.mark.slow] if stall == STALLS[number % 2] else [])
    for number, shape in enumerate(SHAPES) for stall in STALLS
])  # fmt: skip
def test_write_back(shape, stall):
    run_unit(WriteBack, "write_back", shape, stall)
