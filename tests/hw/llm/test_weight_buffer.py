"""A buffer of a weight channel."""

import pytest

from golden.params import LlmParams
from hw.fabric.ram import RAM
from hw.llm.weight_buffer import WeightBuffer
from tests.hw.runner import run_cocotb


@pytest.mark.parametrize(("depth", "together"), [(16, 1), (64, 1), (32, 2)])
def test_weight_buffer(depth, together):
    params = LlmParams(buffer_words=depth, lane_words=together)
    assert run_cocotb(WeightBuffer(params), top="weight_buffer", test_module="tests.hw.llm.cocotb_weight_buffer",
                      parameters={"seed": depth, "depth": depth, "together": together}, extra_sources=[RAM]) == 2
