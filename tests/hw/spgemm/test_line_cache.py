import pytest

from hw.spgemm.line_cache import LineCache
from tests.hw.spgemm.spgemm_bench import SHAPES, run_unit


@pytest.mark.parametrize("shape", SHAPES)
def test_line_cache(shape):
    run_unit(LineCache, shape, top="line_cache", test_module="tests.hw.spgemm.cocotb_line_cache")
