# amaranth: UnusedElaboratable=no
import pytest

from hw.fabric.sure_fifo import SureFIFO
from tests.hw.runner import run_cocotb


@pytest.mark.parametrize(("width", "depth"), [(1, 2), (20, 8)])
def test_sure_fifo(width, depth):
    run_cocotb(SureFIFO(width=width, depth=depth), top="sure_fifo", test_module="tests.hw.fabric.cocotb_sure_fifo",
               parameters={"width": width, "depth": depth})  # fmt: skip


@pytest.mark.parametrize("depth", [0, 1, 12])
def test_depth_is_a_power_of_two(depth):
    with pytest.raises(ValueError, match=f"depth = {depth}"):
        SureFIFO(width=8, depth=depth)
