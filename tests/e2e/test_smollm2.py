"""The first layers of SmolLM2-135M-Instruct, with its own embedding and head, on the demo's engine."""

from dataclasses import replace

import pytest

from cli.config import load_config
from compiler.frontend import load_model
from compiler.llm import compile_model
from compiler.models import smollm2
from compiler.packages import MissingPackageError
from sim.verify import verify

LAYERS = 2


@pytest.fixture(scope="module")
def model():
    try:
        path = smollm2.find()
    except MissingPackageError as error:
        pytest.skip(str(error))
    whole = load_model(path)
    return replace(whole, config=replace(whole.config, layers=LAYERS))


@pytest.mark.slow
@pytest.mark.parametrize("memory", ["ideal", "hbm2"])
def test_first_layers_equal_golden(model, memory):
    """Q4_1 weights as they are in the file, minima included; a prompt of more tokens than pass at once."""
    program = compile_model(model, load_config(smollm2.CONFIG), context=64)
    tokens = model.tokenizer.encode("The capital of France is a city of many rivers")
    assert len(tokens) > program.manifest["prefill"]["tokens"]
    result = verify(program, tokens, 2, memory=memory)
    assert result["matches"], result["difference"]
