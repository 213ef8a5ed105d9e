import pytest

from golden.params import LlmParams
from hw.llm.engine import LlmEngine
from hw.shell.kernel import generate_kernel
from tests.hw.shell.axi_top import run_top
from tests.hw.shell.test_top import PARAMS


@pytest.mark.parametrize("slices", [pytest.param(0, marks=pytest.mark.slow), 2])
def test_kernel(slices):
    """Programs and registers of the top's test, through the kernel."""
    run_top(LlmEngine, LlmParams(**PARAMS), "tests.hw.shell.cocotb_top", parameters={}, slices=slices,
            testcase=["program_leaves_memory_as_golden_does", "registers", "handshake_and_interrupt"])  # fmt: skip


def test_slices_are_not_negative():
    with pytest.raises(ValueError, match="slices = -1"):
        generate_kernel(LlmEngine, LlmParams(**PARAMS), -1)
