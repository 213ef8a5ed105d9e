import pytest

from hw.spgemm.number_words import NumberWords
from tests.hw.spgemm.bench import SHAPES, STALLS, run_unit


@pytest.mark.parametrize("stall", STALLS)
@pytest.mark.parametrize("shape", SHAPES)
def test_number_words(shape, stall):
    run_unit(NumberWords, "number_words", shape, stall)
