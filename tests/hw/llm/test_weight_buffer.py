"""A buffer of a weight channel."""

import pytest

from golden.params import LlmParams
from hw.fabric.ram import RAM
from hw.llm.weight_buffer import WeightBuffer
from tests.hw.runner import run_cocotb


@pytest.mark.parametrize("depth", [16, 64])
def test_weight_buffer(depth):
    params = LlmParams(buffer_words=depth)
    assert run_cocotb(WeightBuffer(params), top="weight_buffer", test_module="tests.hw.llm.cocotb_weight_buffer",
                      parameters={"seed": depth, "depth": depth}, extra_sources=[RAM]) == 2
