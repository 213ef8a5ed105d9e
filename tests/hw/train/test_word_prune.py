import pytest

from golden.train.params import TrainParams
from hw.train.word_prune import WordPrune
from tests.hw.runner import run_cocotb


@pytest.mark.parametrize("axi_bits", [256, 512])
def test_word_prune(axi_bits):
    params = TrainParams(rows=32, columns=4, axi_bits=axi_bits)
    run_cocotb(WordPrune(params), top="word_prune", test_module="tests.hw.train.cocotb_word_prune",
               parameters={"axi_bits": axi_bits})  # fmt: skip
