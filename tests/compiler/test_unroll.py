"""Straight-line code is counted as the golden executor runs it."""

import numpy as np
import pytest

from compiler.frontend import load_model
from compiler.llm import compile_model
from compiler.llm.prompt import PromptPlan
from compiler.llm.registers import DECODE
from compiler.llm.unroll import expand, unrolled
from compiler.models import TINY
from golden.isa.llm import ISA
from golden.llm.effects import Written, written
from golden.llm.executor import Executor
from golden.params import LlmParams
from sim.session import prompt_run

SHAPES = {
    "default": {},
    "four-channels": {"channels": 4, "planes": 1, "ksplit": 4, "acc_depth": 8, "sfu_lanes": 8, "mpu_vpus": 2},
}
TOP_K = {"default": 1, "four-channels": 3}
CONTEXT = 150
"""At the second shape keys have several tiles, of which short contexts leave some empty."""
POSITIONS = (0, 1, 31, 63, 64, 120, CONTEXT - 1)
PROMPTS = (1, 2, 3, 21, 70)


@pytest.fixture(scope="module", params=SHAPES)
def program(request):
    params = LlmParams(**SHAPES[request.param], vmem_rows=4096)
    return compile_model(load_model(TINY), params, context=CONTEXT, top_k=TOP_K[request.param])


def executed(program, arguments):
    """Instructions that golden executes, those that straight-line code has, and those with one a channel."""
    images = {port: image.copy() for port, image in program.images.items()}
    params = LlmParams.from_dict(program.manifest["params"])
    executor, merged, split = Executor(params, program.instructions, images), 1, 1

    def count(_pc, name, v):
        nonlocal merged, split
        effect = written(params, name, v)
        if effect != Written() or (name == "LDW" and v["n"]):
            channels = {port for port, _ in effect.memory} or {"one"}
            merged, split = merged + 1, split + (params.channels if name == "LDW" else len(channels))

    executor.observe = count
    executor.run(arguments)
    return executor.trace.instructions, merged, split


def test_expansion_is_what_the_executor_does(program):
    runs = [(1, position, DECODE) for position in POSITIONS] + [prompt_run(program, [1] * n)[1] for n in PROMPTS]
    found = expand(LlmParams.from_dict(program.manifest["params"]), program.instructions, np.array(runs))
    for i, arguments in enumerate(runs):
        assert (found.executed[i], found.merged[i], found.split[i]) == executed(program, arguments), arguments


def test_buckets_take_the_program_of_their_longest_length(program):
    params, words = LlmParams.from_dict(program.manifest["params"]), program.instructions
    sizes = unrolled(params, words, CONTEXT, PromptPlan.of(program.manifest))
    decode = [(1, min(end, CONTEXT) - 1, DECODE) for end in range(16, CONTEXT + 16, 16)]
    prefill = [prompt_run(program, [1] * end)[1] for end in (128, CONTEXT)]
    found = expand(params, words, np.array(decode + prefill))
    assert sizes["bucketed"]["instructions"] == found.split.sum()
    assert sizes["bucketed_merged"] == {"instructions": found.merged.sum(), "bytes": found.merged.sum() * ISA.bits // 8}
    every = [(1, n, DECODE) for n in range(CONTEXT)] + [prompt_run(program, [1] * n)[1] for n in range(1, CONTEXT + 1)]
    assert sizes["per_length"]["instructions"] == expand(params, words, np.array(every)).split.sum()
