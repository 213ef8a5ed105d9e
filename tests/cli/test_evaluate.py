"""`eval` on the tiny model: its numbers, and what it says to texts and windows that cannot be."""

import math

import pytest

from cli.evaluate import weight_count
from compiler.frontend import load_model
from compiler.frontend.reference import mean_loss
from compiler.llm import compile_model
from compiler.models import TINY
from golden.params import LlmParams

TEXT = "ROMEO:\nI would I were thy bird.\n\nJULIET:\nSweet, so would I: yet I should kill thee with much cherishing.\n"
CONTEXT = 24


@pytest.fixture(scope="module")
def model():
    return load_model(TINY)


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("eval")
    compile_model(model, LlmParams(), context=CONTEXT).save(folder / "prog")
    (folder / "text").write_text(TEXT, encoding="utf-8")
    (folder / "short").write_text("I", encoding="utf-8")
    (folder / "latin-1").write_bytes("déjà vu".encode("latin-1"))
    return folder


def test_perplexity_is_near_that_of_the_floating_point_model(folder, model, lacuna_json):
    code, record = lacuna_json("eval", folder / "prog", "--text", folder / "text")
    assert code == 0
    tokens = model.tokenizer.encode(TEXT)
    assert record["tokens"] == len(tokens) // CONTEXT * (CONTEXT - 1)
    assert record["window"] == CONTEXT
    assert record["nats_per_token"] == pytest.approx(mean_loss(model, tokens, CONTEXT), abs=0.1)
    assert record["perplexity"] == math.exp(record["nats_per_token"])
    assert (record["model"], record["program"]) == ("tiny", str(folder / "prog"))
    assert record["wall_s"] > 0
    assert record["bits_per_weight"] == 8 * record["weight_bytes"] / record["weights"]


def test_text_output(folder, lacuna):
    code, stdout, _ = lacuna("eval", folder / "prog", "--text", folder / "text", "--window", 10, "--tokens", 12)
    assert code == 0
    assert "over 12 tokens, windows of 10" in stdout
    assert "bits per weight" in stdout


def test_weights_are_those_of_the_matrices(model):
    layers = sum(
        tensor.dense().size
        for name, tensor in model.tensors.items()
        if name.split(".")[-1] in ("q", "k", "v", "o", "gate", "up", "down")
    )
    config = {
        name: getattr(model.config, name)
        for name in ("dim", "ffn_dim", "layers", "heads", "kv_heads", "head_dim", "vocab")
    }
    assert weight_count(config) == layers + model.head.dense().size


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--text", "text", "--window", "25"), "context of 24"),
        (("--text", "text", "--window", "1"), "window must be 2 to"),
        (("--text", "text", "--tokens", "1000"), "1000 tokens cannot be predicted"),
        (("--text", "text", "--tokens", "0"), "at least 1"),
        (("--text", "short"), "window must be 2 to"),
        (("--text", "latin-1"), "not UTF-8"),
        (("--text", "absent"), "absent: No such file"),
        (("--text", "."), "Is a directory"),
        ((), "--text"),
    ],
)
def test_what_cannot_be_evaluated_is_exit_code_2(folder, lacuna, monkeypatch, options, message):
    monkeypatch.chdir(folder)
    code, stdout, stderr = lacuna("eval", "prog", *options)
    assert (code, stdout) == (2, "")
    assert message in stderr
