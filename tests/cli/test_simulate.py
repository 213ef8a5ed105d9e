"""`sim` and `verify`: what they do with a session's answers. The session here is played, so that it can
also answer wrongly; whole programs on the real one are tested in tests/e2e."""

import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from golden.params import LlmParams

REPORT = {
    "cycles": 300, "cycles_prefill": 100, "cycles_per_token": [90, 110], "macs": None, "bytes_read": 6,
    "bytes_written": 7, "bandwidth_share": 0.5, "mac_utilisation": None, "wall_s": 0.1, "engine": "llm",
}  # fmt: skip
REQUIRED = {*REPORT, "text", "tokens", "matches_golden", "level"}


class Letters:
    """A tokenizer of one token a byte."""

    bos_id = 0
    stop_ids = frozenset({0})

    def encode(self, text, bos=None):
        return [0] * bool(bos) + list(text.encode())

    def decode_token(self, token):
        return bytes([token])


@pytest.fixture
def answers(monkeypatch):
    """What the played session generates at each level; also `verify`'s result."""
    program = SimpleNamespace(tokenizer=Letters(), save=lambda _: None)
    program.manifest = {"params": {}, "model": {"context": 40}, "vectors": {}}
    right = list("ü!".encode())
    answers = {"golden": right, "rtl": right, "card": right, "verify": {"matches": True, "difference": None}, "top": {}}
    answers["xclbin"] = []
    answers["vectors"] = program.manifest["vectors"]

    class Session:
        def __init__(self, loaded, level, *, memory="ideal", watch=None, sampler=None, xclbin=None):
            assert loaded is program
            self.level, self.memory = level, memory
            answers["sampler"] = sampler
            answers["xclbin"].append(xclbin)

        def generate(self, prompt, count, stop_ids=()):
            answers["prompt"] = prompt
            assert stop_ids == (0,)
            for position, token in enumerate(answers[self.level][:count], len(prompt) - 1):
                yield SimpleNamespace(position=position, token=token, cycles=100)

        def report(self):
            listed = {"top": answers["top"][self.level]} if answers["top"] else {}
            return {**REPORT, "level": self.level, "macs": 9600 if self.level == "golden" else None, **listed}

    names = ("sim.session", "sim.verify", "compiler.program", "compiler.llm")
    session, verifier, container, compiler = modules = [ModuleType(name) for name in names]
    session.LlmSession, verifier.verify = Session, lambda *_: answers["verify"]
    container.Program = SimpleNamespace(load=lambda _: program)
    compiler.compile_model = lambda model, params, *, context, top_k: program
    for module in modules:
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return answers


@pytest.mark.parametrize("level", ["golden", "rtl"])
def test_sim_json_has_every_field(answers, lacuna_json, level):
    code, record = lacuna_json("sim", "prog", "--prompt", "ab", "--level", level)
    assert code == 0
    assert record.keys() >= REQUIRED
    assert (record["text"], record["tokens"]) == ("ü!", answers["golden"])
    assert record["matches_golden"] is (True if level == "rtl" else None)
    assert record["level"] == level
    assert answers["prompt"] == [97, 98]


def test_sim_streams_text_without_half_characters(answers, lacuna):
    code, stdout, _ = lacuna("sim", "prog", "--prompt", "ab")
    assert code == 0
    assert stdout.startswith("ü!\n")


def test_json_keeps_streamed_text_off_stdout(answers, lacuna):
    _, stdout, stderr = lacuna("sim", "prog", "--prompt", "ab", "--json")
    assert json.loads(stdout)
    assert "ü!" in stderr
    assert lacuna("sim", "prog", "--prompt", "ab", "--json", "-q")[2] == ""


def test_a_mismatch_is_exit_code_1(answers, lacuna_json):
    answers["rtl"] = [65, 66]
    code, record = lacuna_json("sim", "prog", "--prompt", "ab", "--level", "rtl")
    assert (code, record["matches_golden"]) == (1, False)


def test_a_listed_logit_that_differs_is_exit_code_1(answers, lacuna_json):
    answers["top"] = {level: [[{"token": 195, "logit": 1.5, "raw": "0x3fc00000"}]] for level in ("golden", "rtl")}
    code, record = lacuna_json("sim", "prog", "--prompt", "ab", "--level", "rtl")
    assert (code, record["matches_golden"], record["top"]) == (0, True, answers["top"]["rtl"])
    answers["top"]["golden"] = [[{"token": 195, "logit": 1.5, "raw": "0x3fc00001"}]]
    assert lacuna_json("sim", "prog", "--prompt", "ab", "--level", "rtl")[0] == 1


def test_samples_need_listed_logits_and_a_temperature(answers, lacuna):
    code, _, stderr = lacuna("sim", "prog", "--prompt", "ab", "--temperature", "0.8")
    assert code == 2
    assert "--temperature: the program lists no logits; compile it with --top-k" in stderr
    answers["vectors"]["top"] = {}
    assert lacuna("sim", "prog", "--prompt", "ab")[0] == 0
    assert answers["sampler"] is None
    assert lacuna("sim", "prog", "--prompt", "ab", "--temperature", "0.8", "--seed", "5")[0] == 0
    assert answers["sampler"].temperature == 0.8
    for wrong in ("0", "-1", "inf", "nan", "warm"):
        assert lacuna("sim", "prog", "--prompt", "ab", "--temperature", wrong)[0] == 2


@pytest.mark.parametrize("verb", [("sim",), ("sim", "--level", "rtl"), ("verify",)])
def test_a_prompt_that_does_not_fit_is_exit_code_2(answers, lacuna, verb):
    assert lacuna(*verb, "prog", "--prompt", "")[0] == 2
    assert lacuna(*verb, "prog", "--prompt", "a" * 10, "--max-new-tokens", "31")[0] == 0
    code, _, stderr = lacuna(*verb, "prog", "--prompt", "a" * 10, "--max-new-tokens", "32")
    assert code == 2
    assert "context of 40" in stderr


def test_products_are_counted_by_golden(answers, lacuna_json):
    record = lacuna_json("sim", "prog", "--prompt", "ab", "--level", "rtl")[1]
    assert record["macs"] == 9600
    assert record["mac_utilisation"] == 9600 / (300 * LlmParams().dsps)


def test_verify_names_the_difference(answers, lacuna, lacuna_json):
    assert lacuna("verify", "prog")[0] == 0
    golden, rtl = {"raw": "0x3fc00000", "real": 1.5}, {"raw": "0x7fc00000", "real": np.nan}
    difference = {"layer": 3, "golden": golden, "rtl": rtl}
    answers["verify"] = {"matches": False, "difference": difference}
    code, stdout, _ = lacuna("verify", "prog")
    assert code == 1
    assert "layer: 3" in stdout
    assert "golden: raw 0x3fc00000, real 1.5" in stdout
    assert lacuna_json("verify", "prog")[1]["difference"]["rtl"]["real"] == "nan"


def test_a_card_needs_an_xclbin_and_nothing_else_takes_one(answers, lacuna, lacuna_json):
    asked = ("sim", "prog", "--prompt", "x", "--max-new-tokens", 2, "--level")
    assert lacuna(*asked, "card")[0] == 2
    assert lacuna(*asked, "rtl", "--xclbin", "x.xclbin")[0] == 2
    code, record = lacuna_json(*asked, "card", "--xclbin", "x.xclbin")
    assert (code, record["level"], record["matches_golden"]) == (0, "card", True)
    assert answers["xclbin"] == [Path("x.xclbin"), None]
