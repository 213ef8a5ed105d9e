from pathlib import Path

import pytest

from golden.params import LlmParams
from hw.llm.vpu import Vpu
from tests.hw.runner import run_cocotb

TWIN = Path(__file__).parents[3] / "hw/fabric/dsp48e2.v"


@pytest.mark.parametrize("params", [{"planes": 2}, {"planes": 1, "axi_bits": 256}])
def test_vpu(params):
    run_cocotb(
        Vpu(LlmParams(**params)),
        top="vpu",
        test_module="tests.hw.llm.cocotb_vpu",
        parameters={"params": params},
        extra_sources=[TWIN],
    )
