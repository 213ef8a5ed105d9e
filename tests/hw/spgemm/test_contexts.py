import pytest

from hw.spgemm.contexts import ContextRing
from tests.hw.spgemm.bench import SHAPES, run_unit


@pytest.mark.parametrize("shape", SHAPES)
def test_contexts(shape):
    run_unit(ContextRing, "contexts", shape, first_serial=65400)
