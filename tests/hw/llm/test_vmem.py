"""The global buffer."""

import pytest

from golden.params import LlmParams
from hw.fabric.ram import RAM
from hw.llm.vmem import GlobalBuffer
from tests.hw.runner import run_cocotb


@pytest.mark.parametrize("writers", [1, 3])
def test_global_buffer(writers):
    params = LlmParams(vmem_rows=32)
    assert run_cocotb(GlobalBuffer(params, writers), top="global_buffer", test_module="tests.hw.llm.cocotb_vmem",
                      parameters={"writers": writers}, extra_sources=[RAM]) == 2
