import pytest

from hw.spgemm.line_cache import LineCache
from tests.hw.spgemm.bench import FRONT_SHAPES, run_unit


@pytest.mark.parametrize("shape", FRONT_SHAPES)
def test_line_cache(shape):
    run_unit(LineCache, "line_cache", shape)
