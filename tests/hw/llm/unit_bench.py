"""Units of the engine around the array, in one design for each parameter set."""

from functools import cache

from golden.params import LlmParams
from hw.fabric.ram import RAM
from hw.llm.feeder import ColumnFeeder
from hw.llm.load import LoadUnit
from hw.llm.readout import ReadOut
from hw.llm.sequencer import Sequencer
from hw.llm.store import StoreUnit
from tests.hw.runner import run_cocotb, to_verilog
from tests.hw.side_by_side import SideBySide

__all__ = ["SHAPES", "run_units"]

TOP = "unit_bench"
SHAPES = {
    "two channels, two words, two columns, pairs": {
        "channels": 2, "axi_bits": 256, "lane_words": 2, "planes": 1, "ksplit": 2, "mpu_vpus": 2, "acc_depth": 32,
        "sfu_lanes": 8, "vmem_rows": 256, "xbuf_blocks": 32, "imem_words": 64,
    },
    "one channel, one column": {
        "channels": 1, "axi_bits": 512, "planes": 2, "ksplit": 1, "mpu_vpus": 1, "acc_depth": 64, "sfu_lanes": 4,
        "vmem_rows": 512, "xbuf_blocks": 64, "imem_words": 128,
    },
    "one channel, two columns, four planes": {
        "channels": 1, "axi_bits": 512, "planes": 4, "ksplit": 2, "mpu_vpus": 1, "acc_depth": 32, "sfu_lanes": 4,
        "vmem_rows": 256, "xbuf_blocks": 64, "imem_words": 64,
    },
}  # fmt: skip


def run_units(shape, test_module):
    run_cocotb(
        _verilog(shape), top=TOP, test_module=test_module, parameters={"params": SHAPES[shape]}, extra_sources=[RAM]
    )


@cache
def _verilog(shape):
    params = LlmParams(**SHAPES[shape])
    units = {"feeder": ColumnFeeder, "readout": ReadOut, "sequencer": Sequencer, "load": LoadUnit, "store": StoreUnit}
    return to_verilog(SideBySide(**{name: unit(params) for name, unit in units.items()}), TOP)
