import pytest

from tests.hw.llm.unit_bench import SHAPES, run_units


@pytest.mark.parametrize("shape", SHAPES)
def test_store(shape):
    run_units(shape, "tests.hw.llm.cocotb_store")
