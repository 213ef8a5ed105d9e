import pytest

from hw.fabric.register_slice import RegisterSlice
from tests.hw.runner import run_cocotb


@pytest.mark.parametrize("stall", [0.0, 0.5])
def test_register_slice(stall):
    run_cocotb(RegisterSlice(12), top="register_slice", test_module="tests.hw.fabric.cocotb_register_slice",
               parameters={"count": 300, "stall": stall, "seed": 5})  # fmt: skip
