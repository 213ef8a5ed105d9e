import pytest

from hw.fabric.read_join import ReadJoin
from tests.hw.runner import run_cocotb


@pytest.mark.parametrize(("masters", "depth"), [(2, 8), (3, 32)])
def test_read_join(masters, depth):
    run_cocotb(
        ReadJoin(64, masters=masters, depth=depth), top="read_join", test_module="tests.hw.fabric.cocotb_read_join",
        parameters={"masters": masters, "depth": depth},
    )  # fmt: skip
