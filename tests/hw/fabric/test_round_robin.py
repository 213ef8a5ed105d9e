import pytest

from hw.fabric.round_robin import RoundRobin
from tests.hw.runner import run_cocotb


@pytest.mark.parametrize("count", [1, 3, 8])
def test_round_robin(count):
    run_cocotb(RoundRobin(count), top="round_robin", test_module="tests.hw.fabric.cocotb_round_robin",
               parameters={"count": count})  # fmt: skip
