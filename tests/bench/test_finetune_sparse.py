"""Texts that a model writes, and fine-tuning with them, at a tiny size; skipped without PyTorch."""

import sys

import numpy as np
import pytest

from bench.huggingface_folder import write_folder
from compiler.compress import Recipe, compress
from compiler.frontend import load_model
from compiler.frontend.model import Model, Tensor
from compiler.frontend.reference import logits

torch = pytest.importorskip("torch", reason="torch is an optional extra: pip install torch")
llama = pytest.importorskip("bench.torch_llama")
model_texts = pytest.importorskip("bench.model_texts")
finetune_sparse = pytest.importorskip("bench.finetune_sparse")

PARTS = ("q", "k", "v", "o", "gate", "up", "down")


@pytest.fixture
def model(small):
    return load_model(small)


@pytest.fixture
def weights(model):
    return llama.device_weights(model, torch.device("cpu"), torch.float32)


def test_forward_pass_is_the_references(model, weights, rng):
    tokens = rng.integers(0, model.config.vocab, 20)
    result = llama.hidden(model.config, weights, torch.tensor(tokens[None])) @ llama.head(weights).T
    np.testing.assert_allclose(result[0].numpy(), logits(model, tokens.tolist()), atol=1e-4)


def test_texts_are_drawn_from_the_model(model, weights, monkeypatch):
    """With a sharp distribution, what is drawn is what the pass over the whole text finds most likely."""
    monkeypatch.setattr(model_texts, "SPAN", 8)
    weights["head"] = 1000 * llama.head(weights)
    begun = torch.tensor([[5, -1], [7, 9]])
    texts = model_texts.sample(model.config, weights, begun, 20, torch.ones(2, 1))
    assert texts.shape == (2, 20)
    likely = (llama.hidden(model.config, weights, texts) @ weights["head"].T).argmax(-1)
    assert texts[0].tolist() == [5, *likely[0, :-1].tolist()]
    assert texts[1].tolist() == [7, 9, *likely[1, 1:-1].tolist()]


def test_starts(model, rng):
    begun = model_texts.starts(model, 8, rng)
    assert (begun[0::4, 0] == model.tokenizer.bos_id).all()
    assert (begun[:, 0] >= 0).all()
    assert ((begun >= 0).sum(1)[[0, 1, 4, 5]] == 1).all()


@pytest.mark.parametrize("bits", [3, 5, 8])
def test_compiler_finds_the_codes_of_rounded_weights(model, rng, bits):
    values = (rng.standard_normal((96, 64)) * rng.integers(0, 2, (96, 64))).astype(np.float32)
    written = finetune_sparse.rounded(torch.from_numpy(values), bits, 32).numpy().astype(np.float16)
    given = Model(model.config, model.tensors | {"layers.0.gate": Tensor(values=written)}, model.tokenizer, "given")
    gate = compress(given, Recipe(method="magnitude", bits=bits)).tensors["layers.0.gate"].dense()
    assert ((gate != 0) <= (values != 0)).all()
    np.testing.assert_allclose(gate, written.astype(np.float32), rtol=2e-3)


def test_groups_keep_as_many_as_they_had():
    values = torch.arange(-16.0, 16.0)[None]
    mask = torch.zeros(1, 32, dtype=torch.bool)
    mask[0, [3, 20, 21, 22]] = True
    assert finetune_sparse.strongest(values, mask).nonzero()[:, 1].tolist() == [0, 29, 30, 31]


@pytest.mark.parametrize("free", [0, 0.5])
def test_divergence_falls_at_the_same_sparsity(model, small, tmp_path, capsys, monkeypatch, free):
    def run(script, files, options):
        monkeypatch.setattr(sys, "argv", ["script", *map(str, files), *options.split()])
        script.main()

    pruned = compress(model, Recipe(method="magnitude", sparsity="8:16"))
    write_folder(pruned, tmp_path / "pruned")
    texts, out = tmp_path / "texts.npy", tmp_path / "out"
    run(model_texts, [small, "-o", texts], "--texts 80 --length 20 --width 40")
    assert np.load(texts).shape == (80, 20)
    run(finetune_sparse, [small, tmp_path / "pruned", texts, "-o", out],
        f"--batch 4 --steps 40 --rate 0.01 --report 20 --eager --free {free}")  # fmt: skip
    reported = [float(line.split()[3]) for line in capsys.readouterr().out.splitlines() if line.startswith("step")]
    assert len(reported) == 3
    assert reported[-1] < 0.9 * reported[0]
    for name, tensor in load_model(out).tensors.items():
        if name.split(".")[-1] in PARTS:
            before, after = (x.dense().reshape(-1, 16) != 0 for x in (pruned.tensors[name], tensor))
            assert (after.sum(1) <= 8).all(), name
            assert free or (after <= before).all(), name
