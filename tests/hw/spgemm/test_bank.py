import pytest

from hw.spgemm.bank import Bank
from tests.hw.spgemm.bench import SHAPES, STALLS, run_unit


@pytest.mark.parametrize("stall", STALLS)
@pytest.mark.parametrize("shape", SHAPES)
def test_bank(shape, stall):
    run_unit(Bank, "bank", shape, stall)
