"""Runs of bench.train_accuracy at a tiny size; skipped without PyTorch."""

from pathlib import Path

import numpy as np
import pytest

from compiler.train.data import DataSet
from golden.train.network import BatchNorm, Conv2d, Linear, Network, ReLU
from golden.train.sparsity import Sparsity, macs, sparse_layers
from golden.train.trainer import Optimiser

torch = pytest.importorskip("torch", reason="torch is an optional extra: pip install torch")
train_accuracy = pytest.importorskip("bench.train_accuracy")
torch_training = pytest.importorskip("bench.torch_training")


@pytest.fixture
def pictures(rng):
    """Of two classes, bright above or below."""
    labels = rng.integers(0, 2, 40)
    images = rng.standard_normal((40, 8, 8, 1))
    images[:, :4] += 2 * labels[:, None, None, None]
    images[:, 4:] -= 2 * labels[:, None, None, None]
    images = images.astype(np.float32)
    return train_accuracy.Pictures(DataSet(images, labels, images, labels), torch.device("cpu"))


def test_learns(pictures):
    network = Network(shape=pictures.shape, layers=(
        Conv2d(channels=16, kernel=3, bias=False), BatchNorm(), ReLU(), Conv2d(channels=16, kernel=3),
        Linear(features=2),
    ))  # fmt: skip
    optimiser = Optimiser(steps=60, batch=20, rate=0.05)
    found = train_accuracy.learn(torch_training.Twin(network, Sparsity(method="bdwp"), optimiser), pictures, 30)
    assert found["loss"] < 0.2
    assert found["accuracy"] > 0.9
    assert found["skipped"] == 0


def test_images_are_shifted_and_mirrored(pictures):
    shifts = torch.tensor([[0, 4, 8], [4, 4, 3], [0, 1, 0]])
    made = pictures.shifted(torch.tensor([5, 6, 7]), *shifts)[:, 0].numpy()
    whole = pictures.padded[..., 0].numpy()
    assert np.array_equal(made[0], whole[5, :8, 4:12])
    assert np.array_equal(made[1], whole[6, 4:12, 11:3:-1])
    assert np.array_equal(made[2], whole[7, 8:, 3:11])


def test_order_is_goldens(pictures):
    plan = pictures.epoch(3, 2).numpy()
    assert np.array_equal(plan[0], np.random.default_rng([3, 2]).permutation(40))
    assert plan[1:].min() == 0
    assert plan[1:].max(axis=1).tolist() == [8, 8, 1]


def test_runs():
    found = list(train_accuracy.runs())
    assert len(set(found)) == len(found)
    for run in found:
        choice = train_accuracy.CHOICES[run.choice]
        network = train_accuracy.network(run.network, (32, 32, 3), choice.get("outputs", 10), choice.get("sparse"))
        assert bool(sparse_layers(network, Sparsity(method=run.method, n=run.n, m=run.m))) == (run.method != "dense")


def test_sizes():
    sizes = [sum(macs(train_accuracy.network(name, (32, 32, 3)), Sparsity(), 1)) for name in ("resnet9", "resnet18")]
    assert [round(size / 1e9, 3) for size in sizes] == [1.136, 1.664]


@pytest.mark.slow
@pytest.mark.skipif(not Path(train_accuracy.DATA, train_accuracy.CIFAR).exists(),
                    reason=f"{train_accuracy.CIFAR} is not in {train_accuracy.DATA}: set LACUNA_DATA")
def test_cifar10():
    found = train_accuracy.cifar10()
    assert (found.images.shape, found.test_images.shape, found.classes) == ((50000, 32, 32, 3), (10000, 32, 32, 3), 10)
    assert np.bincount(found.test_labels).tolist() == [1000] * 10
    assert abs(found.images.mean()) < 0.01
