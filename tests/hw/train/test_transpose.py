import pytest

from tests.hw.train.prune_bench import run


@pytest.mark.parametrize("stall", [0.0, 0.4])
def test_transpose(stall):
    run("tests.hw.train.cocotb_transpose", stall)
