"""Parameter sets of the SpGEMM units' tests."""

from golden.spgemm.params import SpgemmParams
from hw.fabric.ram import RAM
from tests.hw.runner import run_cocotb

__all__ = ["SHAPES", "run_unit"]

SHAPES = {
    "512 bits, 8 contexts": {
        "axi_bits": 512, "contexts": 8, "slots": 64, "probe_limit": 8, "cache_lines": 64, "window": 64,
        "ring": 64, "burst_beats": 8, "miss_queues": 4, "miss_bit": 7,
    },
    "256 bits, 4 contexts": {
        "axi_bits": 256, "contexts": 4, "slots": 32, "probe_limit": 8, "cache_lines": 16, "cache_ways": 2, "window": 8,
        "ring": 32, "burst_beats": 8, "outstanding": 4, "miss_queues": 1,
    },
    "128 bits, 16 contexts": {
        "axi_bits": 128, "contexts": 16, "slots": 64, "probe_limit": 8, "cache_lines": 16,
        "cache_ways": 8, "window": 16, "ring": 16, "burst_beats": 8, "outstanding": 8,
    },
}  # fmt: skip


def run_unit(unit, shape, *, top, test_module, **arguments):
    """`unit(params, **arguments)` of parameter set `shape`, in `test_module`, which gets both."""
    run_cocotb(
        unit(SpgemmParams(**SHAPES[shape]), **arguments), top=top, test_module=test_module, extra_sources=[RAM],
        parameters={"params": SHAPES[shape], **arguments},
    )  # fmt: skip
