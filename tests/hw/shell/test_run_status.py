from hw.shell.run_status import RunStatus
from tests.hw.runner import run_cocotb

ERRORS = ("illegal", "axi_read", "overflow")


def test_run_status():
    run_cocotb(RunStatus(ERRORS, watchdog_log2=5), top="run_status", test_module="tests.hw.shell.cocotb_run_status",
               parameters={"errors": ERRORS, "still": 32})  # fmt: skip
