import pytest

from tests.hw.train.prune_bench import run


@pytest.mark.parametrize("stall", [0.0, 0.4])
def test_pregenerate(stall):
    run("tests.hw.train.cocotb_pregenerate", stall)
