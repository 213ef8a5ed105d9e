"""A folder that is written holds the model that was read."""

import sys

import numpy as np
import pytest

from bench import huggingface_folder
from bench.huggingface_folder import write_folder
from compiler.frontend import load_model
from compiler.frontend.model import UnsupportedModelError
from tests.compiler.models import random_weights, small_config, write_llama2c, write_llama2c_tokenizer


def test_folder_holds_the_same_model(small, tmp_path):
    model = load_model(small)
    write_folder(model, tmp_path / "folder")
    again = load_model(tmp_path / "folder")
    assert again.config == model.config
    assert again.tokenizer.encode("the cat <|im_end|>") == model.tokenizer.encode("the cat <|im_end|>")
    assert (again.tokenizer.bos_id, again.tokenizer.eos_id) == (1, 2)
    for name, tensor in model.tensors.items():
        np.testing.assert_array_equal(again.tensors[name].dense(), tensor.dense().astype(np.float16))


def test_pruned_on_the_way(small, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["x", str(small), "-o", str(tmp_path / "pruned"), "--sparsity", "8:16"])
    huggingface_folder.main()
    down = load_model(tmp_path / "pruned").tensors["layers.1.down"].dense()
    assert ((down.reshape(-1, 16) != 0).sum(-1) == 8).all()


def test_tokenizer_without_json_is_refused(tmp_path):
    config = small_config()
    write_llama2c(tmp_path / "model.bin", config, random_weights(config))
    write_llama2c_tokenizer(tmp_path / "tokenizer.bin")
    model = load_model(tmp_path / "model.bin", tmp_path / "tokenizer.bin")
    with pytest.raises(UnsupportedModelError, match=r"tokenizer\.json"):
        write_folder(model, tmp_path / "folder")
