import pytest

from hw.spgemm.fetch import EntryFetch
from tests.hw.spgemm.bench import SHAPES, STALLS, run_unit


@pytest.mark.parametrize("stall", STALLS)
@pytest.mark.parametrize("shape", SHAPES)
def test_fetch(shape, stall):
    run_unit(EntryFetch, "fetch", shape, stall)
