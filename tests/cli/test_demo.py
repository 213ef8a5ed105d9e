"""`demo llm` with the tiny model, from file to report on the real RTL; what it says when there is no model."""

import json
from pathlib import Path

import pytest

from cli import demo_llm as demo_verb
from compiler.models import smollm2
from compiler.packages import INSTALL
from golden.isa.llm import QUEUES
from sim import beside
from sim.device import CLOCK_MHZ


@pytest.fixture
def demo(lacuna, tmp_path):
    """`demo(*argv)` -> (exit code, stdout, report)."""

    def run(*argv):
        folder = tmp_path / "run"
        code, stdout, _ = lacuna("demo", "llm", "--model", "tiny", "--max-new-tokens", "2", "-o", folder, *argv)
        return code, stdout, json.loads((folder / "report.json").read_text())

    return run


@pytest.fixture
def programs(monkeypatch, tmp_path):
    """An empty cache of programs."""
    monkeypatch.setattr(demo_verb, "PROGRAMS", tmp_path / "programs")
    return tmp_path / "programs"


def test_the_second_run_takes_the_program_from_the_cache(demo, programs):
    code, stdout, first = demo()
    assert code == 0
    assert stdout.startswith("ROMEO:\n")
    assert "2, equal to golden" in stdout
    assert first["matches_golden"] is True
    assert first["macs"] > 0
    assert first["tokens_per_s"] == pytest.approx(CLOCK_MHZ * 1e6 / first["cycles_per_token"][0])
    assert {"load", "compile", "program", "simulate", "total"} <= first["seconds"].keys()
    assert not first["program_cached"]
    events = json.loads(Path(first["trace"]).read_text())["traceEvents"]
    assert [event["args"]["name"] for event in events if event["ph"] == "M"] == list(QUEUES[:-1])
    bars = [event for event in events if event["ph"] == "X"]
    assert {event["tid"] for event in bars} == set(range(len(QUEUES) - 1))
    assert all(0 <= event["args"]["cycle"] < event["args"]["cycle"] + event["args"]["cycles"] for event in bars)
    assert max(event["args"]["cycle"] for event in bars) < first["cycles_per_token"][-1]
    _, _, second = demo()
    assert second["program_cached"]
    assert "compile" not in second["seconds"]
    assert second["tokens"] == first["tokens"]
    assert [folder.name for folder in programs.iterdir()] == [programs.joinpath(first["program"]).name]


def test_other_tokens_than_golden_are_exit_code_1(demo, programs, monkeypatch):
    right = beside.Beside.result

    def wrong(self):
        tokens, report = right(self)
        return [tokens[0] + 1, *tokens[1:]], report

    monkeypatch.setattr(beside.Beside, "result", wrong)
    code, stdout, report = demo()
    assert code == 1
    assert "DIFFERENT" in stdout
    assert report["matches_golden"] is False


def test_without_the_model_it_says_how_to_get_it(lacuna_json, monkeypatch):
    monkeypatch.setattr(smollm2, "PACKAGE", "no_such_package")
    code, record = lacuna_json("demo", "llm")
    assert (code, record["error"]["kind"]) == (5, "MissingPackageError")
    assert INSTALL in record["error"]["message"]


def test_a_changed_model_file_is_exit_code_2(lacuna_json, monkeypatch, tmp_path):
    package = tmp_path / "other_smollm2"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / smollm2.FILE).write_bytes(b"GGUF")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(smollm2, "PACKAGE", package.name)
    code, record = lacuna_json("demo", "llm")
    assert (code, record["error"]["kind"]) == (2, "BadPackageFileError")
    assert smollm2.SHA256 in record["error"]["message"]


def test_a_prompt_longer_than_the_context_is_exit_code_2(lacuna_json, programs):
    code, record = lacuna_json("demo", "llm", "--model", "tiny", "--prompt", "word " * 100)
    assert (code, record["error"]["kind"]) == (2, "UsageError")
