"""A small OLMo with random weights: LayerNorm and GELU, from file to tokens on the RTL."""

import numpy as np
import pytest

from compiler.frontend import load_model
from compiler.frontend.reference import logits
from compiler.llm import compile_model
from golden.isa.llm import ISA
from golden.llm.score import Scorer
from golden.params import LlmParams
from sim.verify import verify
from tests.compiler.models import random_weights, small_config, write_olmo

PARAMS = LlmParams()
PROMPT = [5, 17, 250, 3, 3, 99, 42]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("olmo")
    config = small_config(ffn_dim=100)
    write_olmo(folder, config, random_weights(config))
    return load_model(folder)


def test_rtl_equals_golden(model):
    """Also the one whole model here with dense matrices, all but those of 100 inputs."""
    program = compile_model(model, PARAMS)
    assert {"MV", "MM"} <= {fmt.name for fmt, v in map(ISA.decode, program.instructions) if v.get("dense")}
    result = verify(program, PROMPT, 4, memory="random")
    assert result["matches"], result["difference"]


def test_logits_follow_the_floating_point_model(model):
    """INT8 activations and weights: 4 % of the logits' spread; SiLU for GELU would be 12 %, RMSNorm 31 %."""
    program = compile_model(model, PARAMS)
    found, expected = Scorer(PARAMS, program.manifest, program.images).logits(PROMPT), logits(model, PROMPT)
    error = np.sqrt(np.mean((found - expected) ** 2)) / expected.std()
    print(f"{error:.4f} of the standard deviation")
    assert error < 0.04
