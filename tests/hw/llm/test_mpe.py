import pytest

from golden.params import LlmParams
from hw.fabric.dsp import TWIN
from hw.fabric.ram import RAM
from hw.llm.mpe import MPU_MODULE, Mpe
from hw.llm.mpu import Mpu
from tests.hw.runner import run_cocotb, to_verilog

TOP = "mpe"
SHAPES = {
    "two columns": {"channels": 1, "axi_bits": 256, "planes": 1, "ksplit": 2, "mpu_vpus": 2, "acc_depth": 16,
                    "sfu_lanes": 4, "vmem_rows": 1024, "xbuf_blocks": 64},
    "one column, four lanes an MPU": {"channels": 2, "axi_bits": 256, "planes": 2, "ksplit": 1, "mpu_vpus": 4,
                                      "acc_depth": 8, "sfu_lanes": 4, "vmem_rows": 1024, "xbuf_blocks": 64},
    "four planes, a row block of one beat": {"channels": 2, "axi_bits": 256, "planes": 4, "ksplit": 1, "mpu_vpus": 2,
                                             "acc_depth": 4, "sfu_lanes": 4, "vmem_rows": 1024, "xbuf_blocks": 64},
}  # fmt: skip


@pytest.mark.parametrize("shape", [
    pytest.param(shape, marks=pytest.mark.slow if shape.startswith("one column") else []) for shape in SHAPES
])  # fmt: skip
def test_mpe(shape):
    params = LlmParams(**SHAPES[shape])
    sources = [to_verilog(Mpu(params), MPU_MODULE), to_verilog(Mpe(params), TOP)]
    run_cocotb(
        "\n".join(sources),
        top=TOP,
        test_module="tests.hw.llm.cocotb_mpe",
        parameters={"params": SHAPES[shape]},
        extra_sources=[TWIN, RAM],
        blocks=[MPU_MODULE],
    )
