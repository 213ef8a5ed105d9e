from golden.params import LlmParams
from hw.llm.engine import LlmEngine
from tests.hw.shell.axi_top import run_top

PARAMS = {
    "channels": 1, "axi_bits": 256, "planes": 2, "ksplit": 1, "mpu_vpus": 2, "acc_depth": 8, "sfu_lanes": 4,
    "vmem_rows": 128, "xbuf_blocks": 8, "imem_words": 64, "queue_depth": 4, "fifo_depth": 32, "burst_beats": 8,
    "outstanding": 2,
}  # fmt: skip


def test_top():
    run_top(LlmEngine, LlmParams(**PARAMS), "tests.hw.shell.cocotb_top", parameters={})
