from hw.spgemm.tally import Tally
from tests.hw.runner import run_cocotb
from tests.hw.spgemm.cocotb_tally import COUNTERS, WIDTH


def test_tally():
    run_cocotb(Tally(COUNTERS, WIDTH), top="tally", test_module="tests.hw.spgemm.cocotb_tally", parameters={})
