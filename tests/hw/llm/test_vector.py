import functools

import pytest

from golden.params import LlmParams
from hw.fabric.ram import RAM
from tests.hw.llm.vector_bench import VectorBench
from tests.hw.runner import run_cocotb, to_verilog

TOP = "vector_bench"


@functools.cache
def unit(params):
    """Verilog."""
    return to_verilog(VectorBench(params), TOP)


@pytest.mark.parametrize(("lanes", "module"), [
    (4, "cocotb_vector"), (4, "cocotb_noted"), (16, "cocotb_vector"),
    *(pytest.param(*case, marks=pytest.mark.slow) for case in (
        (8, "cocotb_vector"), (8, "cocotb_noted"), (16, "cocotb_noted"))),
])  # fmt: skip
def test_vector_unit(lanes, module):
    params = {"sfu_lanes": lanes, "vmem_rows": 512, "axi_bits": 512, "channels": 16, "mpu_vpus": 8, "acc_depth": 8}
    run_cocotb(
        unit(LlmParams(**params)),
        top=TOP,
        test_module=f"tests.hw.llm.{module}",
        parameters={"params": params},
        extra_sources=[RAM],
    )
