"""Checkpoints: training goes on with the same bits; files that are none, or of another network, are refused."""

from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from compiler.train.checkpoint import BadCheckpointError, load_checkpoint, save_checkpoint
from golden.train.network import BatchNorm, Conv2d, GlobalAvgPool, Linear, Network, ReLU, Residual
from golden.train.sparsity import Sparsity
from golden.train.trainer import OPTIMISERS, AdamOptimiser, Optimiser, Trainer

NETWORK = Network(shape=(4, 4, 1), layers=(
    Conv2d(channels=16, kernel=3, padding=1, bias=False), BatchNorm(), ReLU(),
    Residual(body=(Conv2d(channels=16, kernel=1),)), GlobalAvgPool(), Linear(features=3),
))  # fmt: skip
RNG = np.random.default_rng(12)
IMAGES, LABELS = RNG.standard_normal((20, 4, 4, 1)), RNG.integers(0, 3, 20)
OPTIMISER = Optimiser(steps=8, batch=8, warmup=1, loss_scale=2.0**22)
"""A loss scale that is halved a few times, so that it is part of what goes on."""


ADAM = AdamOptimiser(steps=8, batch=8, warmup=1, loss_scale=2.0**22)


def trainer(network=NETWORK, number_format="binary16", part_images=None, optimiser=OPTIMISER, **values):
    sparsity = Sparsity(method="bdwp", n=1, m=4, regulariser=1e-4)
    return Trainer(network, number_format, sparsity, replace(optimiser, **values), part_images)


def run(found, steps):
    losses = []
    for _ in range(steps):
        chosen = found.batch(len(IMAGES))
        losses.append(found.step(IMAGES[chosen], LABELS[chosen]))
    return losses


@pytest.mark.parametrize("optimiser", [OPTIMISER, ADAM], ids=OPTIMISERS)
@pytest.mark.parametrize("steps", [0, 1, 5])
def test_goes_on_with_the_same_bits(tmp_path, steps, optimiser):
    whole, part, rest = (trainer(optimiser=optimiser) for _ in range(3))
    losses = run(whole, 8)
    assert 0 < whole.skipped < 8
    found = run(part, steps)
    save_checkpoint(tmp_path / "deep" / "c.safetensors", part)
    assert load_checkpoint(tmp_path / "deep" / "c.safetensors", rest) == {}
    found += run(rest, 8 - steps)
    assert found == losses
    assert (rest.skipped, rest.loss_scale, rest.step_number) == (whole.skipped, whole.loss_scale, 8)
    for name, values in rest.model.state().items():
        assert np.array_equal(values.view(np.uint32), whole.model.state()[name].view(np.uint32)), name
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["c.safetensors"]


def test_tensors_are_pytorchs(tmp_path):
    save_checkpoint(tmp_path / "c", trainer())
    shapes = {name: values.shape for name, values in load_file(tmp_path / "c").items() if "velocity" not in name}
    assert shapes == {
        "0.weight": (16, 1, 3, 3), "1.weight": (16,), "1.bias": (16,), "1.running_mean": (16,), "1.running_var": (16,),
        "3.body.0.weight": (16, 16, 1, 1), "3.body.0.bias": (16,), "5.weight": (3, 16, 1, 1), "5.bias": (3,),
    }


def test_other_settings_are_told(tmp_path):
    save_checkpoint(tmp_path / "c", trainer())
    assert load_checkpoint(tmp_path / "c", trainer(rate=0.2, seed=3)) == {"rate": (0.1, 0.2), "seed": (0, 3)}
    save_checkpoint(tmp_path / "c", trainer(part_images={"0": 3}))
    assert load_checkpoint(tmp_path / "c", trainer(part_images={"0": 3})) == {}
    assert load_checkpoint(tmp_path / "c", trainer()) == {"part_images": ({"0": 3}, None)}


def refused(path, found=None):
    found = found or trainer()
    before = found.model.state()
    with pytest.raises(BadCheckpointError) as caught:
        load_checkpoint(path, found)
    assert all(np.array_equal(values, before[name]) for name, values in found.model.state().items())
    return str(caught.value)


def test_another_network(tmp_path):
    path = tmp_path / "c"
    save_checkpoint(path, trainer())
    wider = replace(NETWORK, layers=(*NETWORK.layers[:-1], Linear(features=4)))
    assert refused(path, trainer(wider)) == (
        f"{path}: a checkpoint of another network: network.layers.5.features: 3 there, 4 here")
    longer = replace(NETWORK, layers=(*NETWORK.layers[:-1], ReLU(), NETWORK.layers[-1]))
    assert refused(path, trainer(longer)).endswith("network.layers: 6 there, 7 here")
    assert refused(path, trainer(number_format="bfloat16")).endswith("number_format: 'binary16' there, 'bfloat16' here")


def test_another_optimiser(tmp_path):
    path = tmp_path / "c"
    save_checkpoint(path, trainer(optimiser=ADAM))
    assert refused(path) == f"{path}: a checkpoint of another optimiser: adam there, sgd here"
    save_checkpoint(path, trainer())
    assert refused(path, trainer(optimiser=ADAM)).endswith("sgd there, adam here")


def test_files_from_before_there_was_another_optimiser(tmp_path):
    path = tmp_path / "c"
    save_checkpoint(path, trainer())
    path.write_bytes(path.read_bytes().replace(rb'\"optimiser\"', rb'\"optimisen\"'))
    assert load_checkpoint(path, trainer()) == {}


def test_files_that_are_no_checkpoints(tmp_path):
    path = tmp_path / "c"
    path.write_bytes(b"not at all")
    assert "not a safetensors file" in refused(path)
    save_file({"a": np.zeros(2, np.float32)}, path)
    assert "not a checkpoint of lacuna train" in refused(path)
    save_checkpoint(path, trainer())
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    assert "not a safetensors file" in refused(path)
    path.write_bytes(whole.replace(b'"1.running_var"', b'"1.running_bar"'))
    assert "tensor 1.running_var: missing" in refused(path)
    with pytest.raises(FileNotFoundError):
        load_checkpoint(tmp_path / "none", trainer())
