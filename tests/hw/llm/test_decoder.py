import pytest

from golden.params import LlmParams
from hw.llm.decoder import LaneDecoder
from tests.hw.runner import run_cocotb


@pytest.mark.parametrize("planes", [1, 2, 4])
def test_decoder(planes):
    params = {"axi_bits": 512, "planes": planes}
    run_cocotb(
        LaneDecoder(LlmParams(**params)),
        top="decoder",
        test_module="tests.hw.llm.cocotb_decoder",
        parameters={"params": params},
    )
