"""Steps of a network's program on a device, beside golden's network."""

import numpy as np

from compiler.train.network import NetworkProgram, network_parts
from golden.train.network import AvgPool, BatchNorm, Conv2d, GlobalAvgPool, Linear, MaxPool, Network, ReLU, Residual
from golden.train.params import TrainParams
from golden.train.sparsity import Sparsity
from golden.train.trainer import OPTIMISERS, Trainer
from sim.device import Device, GoldenDevice

__all__ = ["MIXED", "steps"]

MIXED = Network(shape=(6, 6, 3), layers=(
    Conv2d(channels=16, kernel=3, padding=1, bias=False), BatchNorm(), ReLU(), MaxPool(kernel=2),
    Conv2d(channels=32, kernel=3, padding=1, stride=2), ReLU(),
    Residual(body=(Conv2d(channels=16, kernel=1), ReLU(), Conv2d(channels=32, kernel=3, padding=1, bias=False),
                   BatchNorm(momentum=0.2)), skip=(Conv2d(channels=32, kernel=1, bias=False),)),
    ReLU(), AvgPool(kernel=2, stride=1), GlobalAvgPool(), Linear(features=5),
))  # fmt: skip
"""A layer of each kind, strides and residuals."""


def steps(network: Network, sparsity: Sparsity, params: TrainParams, *, images: int = 5, count: int = 2,
          device: Device | None = None) -> list[dict[str, int]]:
    """Asserts that steps of the program make golden's losses, weights, optimiser's states, masks and statistics;
    counters of each step."""
    optimiser = OPTIMISERS[params.optimiser_name](steps=10, batch=images, seed=3)
    device, counters = device or GoldenDevice(), []
    parts = network_parts(params, network, images)
    trainer = Trainer(network, params.format_name, sparsity, optimiser, parts)
    made, rng = NetworkProgram(params, trainer.model, images), np.random.default_rng(4)
    device.load(made.program)

    def read(at, size):
        return device.read("m", at, size)

    assert made.differing(read) is None
    for _ in range(count):
        numbers = rng.standard_normal((images, *network.shape)).astype(np.float32)
        labels = rng.integers(0, network.classes, images)
        for at, data in made.batch(numbers, labels):
            device.write("m", at, data)
        counters.append(device.run(made.arguments(trainer.settings, trainer.loss_scale)).counters)
        assert made.found(read, labels) == trainer.step(numbers, labels)
        assert made.differing(read) is None
    return counters
