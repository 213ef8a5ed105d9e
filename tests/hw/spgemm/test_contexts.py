import pytest

from hw.spgemm.contexts import ContextRing
from tests.hw.spgemm.spgemm_bench import SHAPES, run_unit


@pytest.mark.parametrize("shape", SHAPES)
def test_contexts(shape):
    run_unit(ContextRing, shape, top="contexts", test_module="tests.hw.spgemm.cocotb_contexts", first_serial=65400)
