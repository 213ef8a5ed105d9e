"""Samples among listed logits: their frequencies, and the same again for the same seed."""

import numpy as np
import pytest

from compiler.frontend import load_model
from compiler.llm import compile_model
from compiler.models import TINY
from golden.params import LlmParams
from sim.sampling import Sampler
from sim.session import LlmSession

TOP = [{"token": token, "logit": logit} for token, logit in ((7, 100.0), (3, 99.0), (9, 97.0))]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_frequencies_are_the_softmax(temperature):
    """Within five standard deviations."""
    sampler, count = Sampler(temperature, 1), 4000
    found = [sampler.choose(TOP) for _ in range(count)]
    expected = np.exp(np.array([0.0, -1.0, -3.0]) / temperature)
    expected /= expected.sum()
    for one, p in zip(TOP, expected, strict=True):
        assert abs(found.count(one["token"]) - count * p) < 5 * np.sqrt(count * p * (1 - p))


def test_a_seed_repeats_its_tokens():
    first, again, other = ([sampler.choose(TOP) for _ in range(50)] for sampler in map(Sampler, [2.0] * 3, [3, 3, 4]))
    assert first == again != other


def test_cold_samples_are_the_arg_max():
    sampler = Sampler(1e-3, 0)
    assert {sampler.choose(TOP) for _ in range(100)} == {7}


def test_a_session_goes_on_from_what_was_chosen():
    program = compile_model(load_model(TINY), LlmParams(), context=32, top_k=8)
    steps = list(LlmSession(program, "golden", sampler=Sampler(2.0, 1)).generate([1, 2], 8))
    again = Sampler(2.0, 1)
    assert [step.token for step in steps] == [again.choose(step.top) for step in steps]
    best = LlmSession(program, "golden")
    follow = [1, 2, *(step.token for step in steps)]
    for count, step in enumerate(steps, 2):
        (greedy,) = best.generate(follow[:count], 1)
        assert greedy.top == step.top
    assert any(step.token != step.top[0]["token"] for step in steps)
