from hw.shell.report import Report
from tests.hw.runner import run_cocotb

WORDS, PATIENCE_LOG2 = 9, 8


def test_report():
    run_cocotb(Report(WORDS, patience_log2=PATIENCE_LOG2), top="report", test_module="tests.hw.shell.cocotb_report",
               parameters={"words": WORDS, "patience": 1 << PATIENCE_LOG2})  # fmt: skip
