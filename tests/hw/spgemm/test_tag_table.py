import pytest

from hw.spgemm.tag_table import TagTable
from tests.hw.spgemm.bench import SHAPES, STALLS, run_unit


@pytest.mark.parametrize("stall", STALLS)
@pytest.mark.parametrize("shape", SHAPES)
def test_tag_table(shape, stall):
    run_unit(TagTable, "tag_table", shape, stall)
