"""`top_k`: the list that a run leaves in memory, on golden; what it costs the program; nothing at all where K is 1."""

import numpy as np
import pytest

from compiler.capacity import DoesNotFitError
from compiler.frontend import load_model
from compiler.llm import compile_model
from compiler.models import TINY
from golden.isa.llm import ISA
from golden.llm.score import Scorer
from golden.params import LlmParams
from sim.session import LlmSession

SHAPES = [{}, {"channels": 2, "planes": 1, "mpu_vpus": 2, "acc_depth": 32, "sfu_lanes": 8, "fifo_depth": 64}]
NEW = 3


@pytest.fixture(scope="module")
def model():
    return load_model(TINY)


def compiled(model, top_k, **shape):
    return compile_model(model, LlmParams(**shape), context=32, top_k=top_k)


def counts(program):
    """Instructions by name, those that only a list needs apart."""
    found = {}
    for name, v in ((fmt.name, values) for fmt, values in map(ISA.decode, program.instructions)):
        of_list = {"AMX": v.get("keep"), "PUT": v.get("source") or v.get("at_best")}.get(name)
        key = f"{name} of a list" if of_list else name
        found[key] = found.get(key, 0) + 1
    return found


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("top_k", [2, 5, 64])
def test_the_list_holds_the_largest_logits_in_order(model, shape, top_k):
    program = compiled(model, top_k, **shape)
    session, prompt = LlmSession(program, "golden"), model.tokenizer.encode("ROMEO:", bos=True)
    steps = list(session.generate(prompt, NEW))
    scorer = Scorer(LlmParams(**shape), program.manifest, program.images)
    for step, logits in zip(steps, scorer.logits(prompt + session.tokens[:-1])[-NEW:], strict=True):
        order = np.argsort(-logits, kind="stable")[:top_k]
        assert [one["token"] for one in step.top] == order.tolist()
        assert [one["logit"] for one in step.top] == logits[order].tolist()
        assert [int(one["raw"], 16) for one in step.top] == logits[order].view(np.uint32).tolist()
        assert step.token == order[0]


def test_with_1_neither_words_nor_memory_know_of_a_list(model):
    program = compiled(model, 1)
    assert program.instructions == compile_model(model, LlmParams(), context=32).instructions
    assert not [name for name in counts(program) if name.endswith("of a list")]
    assert "top" not in program.manifest["vectors"]
    assert len(compiled(model, 2).images["v"]) > len(program.images["v"])
    (step,) = LlmSession(program, "golden").generate([1], 1)
    assert step.top == []


def test_the_program_is_as_long_for_every_other_number(model):
    alone, few, many = (counts(compiled(model, top_k)) for top_k in (1, 2, 64))
    assert few == many
    more = {name: few[name] - alone.get(name, 0) for name in few if few[name] != alone.get(name, 0)}
    assert more == {name: 2 * n for name, n in {
        "PUT of a list": 5, "AMX of a list": 1, "STV": 1, "ALU": 3, "DBNZ": 1}.items()}  # fmt: skip


def test_too_many_are_refused(model):
    with pytest.raises(DoesNotFitError, match="top_k: 65 needed, 64 available; list fewer logits"):
        compiled(model, 65)
