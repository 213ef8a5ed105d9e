# amaranth: UnusedElaboratable=no
import pytest

from hw.fabric.sure_fifo import SureFIFO
from tests.hw.runner import run_cocotb


@pytest.mark.parametrize(("width", "depth", "margin"), [(1, 2, 2), (20, 8, 3), (3, 4, 1)])
def test_sure_fifo(width, depth, margin):
    run_cocotb(SureFIFO(width=width, depth=depth, margin=margin), top="sure_fifo",
               test_module="tests.hw.fabric.cocotb_sure_fifo",
               parameters={"width": width, "depth": depth, "margin": margin})  # fmt: skip


@pytest.mark.parametrize("depth", [0, 1, 12])
def test_depth_is_a_power_of_two(depth):
    with pytest.raises(ValueError, match=f"depth = {depth}"):
        SureFIFO(width=8, depth=depth)


@pytest.mark.parametrize("margin", [0, 9])
def test_margin_fits(margin):
    with pytest.raises(ValueError, match=f"margin = {margin}"):
        SureFIFO(width=8, depth=8, margin=margin)
