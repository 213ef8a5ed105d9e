from pathlib import Path

import pytest

from golden.params import LlmParams
from hw.llm.mpu import Mpu
from tests.hw.runner import run_cocotb

TWIN = Path(__file__).parents[3] / "hw/fabric/dsp48e2.v"


@pytest.mark.parametrize("params", [
    {"planes": 2},
    pytest.param({"planes": 1, "ksplit": 1, "mpu_vpus": 2, "acc_depth": 32}, marks=pytest.mark.slow),
    pytest.param({"planes": 2, "axi_bits": 512, "ksplit": 1, "mpu_vpus": 4, "acc_depth": 16}, marks=pytest.mark.slow),
    {"planes": 4, "axi_bits": 512, "ksplit": 2},
    pytest.param({"planes": 4, "axi_bits": 512, "ksplit": 1, "channels": 2, "mpu_vpus": 4, "acc_depth": 16},
                 marks=pytest.mark.slow),
])
def test_mpu(params):
    run_cocotb(
        Mpu(LlmParams(**params)),
        top="mpu",
        test_module="tests.hw.llm.cocotb_mpu",
        parameters={"params": params},
        extra_sources=[TWIN],
    )
