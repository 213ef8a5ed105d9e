import numpy as np
import pytest

from tests.compiler.models import random_weights, small_config, write_gguf


@pytest.fixture
def rng():
    return np.random.default_rng(1)


@pytest.fixture
def small(tmp_path):
    """GGUF file of a model of two layers, vocabulary 300 and context 24."""
    config = small_config()
    write_gguf(tmp_path / "small.gguf", config, random_weights(config))
    return tmp_path / "small.gguf"
