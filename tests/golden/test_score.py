"""The scorer against the executor, which runs the same program token by token: every bit of every logit."""

import numpy as np
import pytest
from gguf import GGMLQuantizationType

from compiler.frontend import load_model
from compiler.llm import compile_model
from compiler.llm.registers import DECODE
from compiler.models import TINY
from golden.llm import score
from golden.llm.effects import written
from golden.llm.executor import Executor
from golden.llm.score import QUERIES, Scorer
from golden.params import LlmParams
from tests.compiler.models import random_weights, small_config, write_gguf, write_olmo

SHAPES = {
    "two-columns": {"vmem_rows": 4096},
    "two-channels": {"channels": 2, "planes": 1, "ksplit": 4, "acc_depth": 32, "sfu_lanes": 8, "fifo_depth": 64},
}
CONTEXT = QUERIES + 16


@pytest.fixture(scope="module", params=[*SHAPES, "grouped-queries", "olmo"])
def program(request, tmp_path_factory):
    """The tiny model at two shapes, one with several KV heads, 4-bit weights with minima and a head of its own, and one
    with LayerNorm and GELU."""
    if request.param in SHAPES:
        return compile_model(load_model(TINY), LlmParams(**SHAPES[request.param]), context=CONTEXT)
    path = tmp_path_factory.mktemp("model") / "small.gguf"
    if request.param == "olmo":
        config = small_config(context=CONTEXT)
        write_olmo(path.parent, config, random_weights(config))
        return compile_model(load_model(path.parent), LlmParams())
    config = small_config(dim=128, head_dim=32, context=CONTEXT)
    types = dict.fromkeys(("q", "k", "v", "o", "gate", "up", "down"), GGMLQuantizationType.Q4_1)
    write_gguf(path, config, random_weights(config), types)
    return compile_model(load_model(path), LlmParams(planes=1, sfu_lanes=8))


@pytest.fixture(scope="module")
def scorer(program):
    return Scorer(LlmParams.from_dict(program.manifest["params"]), program.manifest, program.images)


def random_tokens(program, count):
    return np.random.default_rng(7).integers(0, program.manifest["model"]["vocab"], count).tolist()


def executed_logits(program, tokens):
    """float32 [T, vocab]: what the products of the head leave at every step, before the arg-max."""
    images = {port: image.copy() for port, image in program.images.items()}
    executor = Executor(LlmParams.from_dict(program.manifest["params"]), program.instructions, images)
    tiles = len(program.manifest["matrices"]["head"]["tiles"])
    rows, products = [], []

    def keep(_pc, name, v):
        if name == "MV":
            (first, count), = written(executor.params, name, v).vectors
            products.append(executor.vmem.reshape(-1)[first : first + count].copy())

    executor.observe = keep
    for position, token in enumerate(tokens):
        products.clear()
        executor.run((token, position, DECODE))
        rows.append(np.concatenate(products[-tiles:])[: program.manifest["model"]["vocab"]])
    return np.stack(rows)


def test_logits_are_the_executors_bit_for_bit(program, scorer):
    tokens = random_tokens(program, QUERIES + 7)
    expected = executed_logits(program, tokens)
    np.testing.assert_array_equal(scorer.logits(tokens).view(np.uint32), expected.view(np.uint32))


def test_loss_is_the_log_softmax_of_the_logits(program, scorer, monkeypatch):
    monkeypatch.setattr(score, "HEAD_ROWS", 100)
    tokens = random_tokens(program, 30)
    logits = scorer.logits(tokens[:-1]).astype(np.float64)
    expected = np.log(np.exp(logits).sum(1)) - logits[np.arange(29), tokens[1:]]
    assert scorer.loss(tokens) == pytest.approx(expected.sum(), rel=1e-12)


@pytest.mark.parametrize(
    ("tokens", "message"), [([], "1 to 80 "), ([0] * 81, "got 81"), ([3, -1], "got -1 to 3"), ([100_000], "got 100000")]
)
def test_illegal_tokens_are_named(scorer, tokens, message):
    with pytest.raises(ValueError, match=message):
        scorer.logits(tokens)


def test_one_token_predicts_nothing(scorer):
    with pytest.raises(ValueError, match="at least 2"):
        scorer.loss([1])
