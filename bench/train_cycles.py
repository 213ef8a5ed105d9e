"""The training engine's cycle model against the RTL: `python -m bench.train_cycles`.

Products alone, as programs of their own, and whole steps of small networks (forward pass, loss, backward pass,
updates), 16 x 4 USPEs, DDR4-2400 model. Each runs on the RTL and in `sim.train_cycles`; an error above LIMIT ends the
command with status 1.
"""

import argparse
from collections.abc import Callable
from functools import partial

import numpy as np

from compiler.program import Program
from compiler.train.convolution import Convolution
from compiler.train.network import NetworkProgram, network_parts
from golden.configs import TRAIN
from golden.train.network import (
    AvgPool,
    BatchNorm,
    Conv2d,
    GlobalAvgPool,
    Layer,
    Linear,
    MaxPool,
    Network,
    ReLU,
    Residual,
)
from golden.train.networks import vgg
from golden.train.params import TrainParams
from golden.train.sparsity import Sparsity
from golden.train.trainer import Optimiser, Trainer
from sim.device import RtlDevice
from sim.train_cycles import CycleModel

from .train_products import program

__all__ = ["LIMIT", "SHAPES", "both", "main", "step"]

PARAMS = TRAIN["train-16x4"]
assert isinstance(PARAMS, TrainParams)
LIMIT = 0.02
Made = tuple[Program, tuple[int, ...]]


def conv(channels: int, kernel: int = 3, stride: int = 1) -> tuple[Layer, ...]:
    """With batch norm and ReLU."""
    return (Conv2d(channels=channels, kernel=kernel, stride=stride, padding=kernel // 2, bias=False), BatchNorm(),
            ReLU())


def product(kind: str, pattern: tuple[int, int], layer: Convolution, images: int) -> Made:
    """One of FF, BP and WU."""
    return program(kind, pattern, PARAMS, layer, images), ()


def step(size: int, channels: int, layers: tuple[Layer, ...], images: int, pattern: tuple[int, int] | None,
         method: str = "bdwp") -> Made:
    """A step, with a mean and a classifier behind the layers if they end without one."""
    if not isinstance(layers[-1], Linear):
        layers = (*layers, GlobalAvgPool(), Linear(features=10))
    network = Network(shape=(size, size, channels), layers=layers)
    sparsity = Sparsity(method=method, n=pattern[0], m=pattern[1]) if pattern else Sparsity()
    trainer = Trainer(network, PARAMS.format_name, sparsity, Optimiser(steps=1, batch=images, loss_scale=64.0),
                      network_parts(PARAMS, network, images))
    made, rng = NetworkProgram(PARAMS, trainer.model, images), np.random.default_rng(1)
    image = made.program.images["m"]
    batch = rng.standard_normal((images, *network.shape)).astype(np.float32)
    for at, data in made.batch(batch, rng.integers(0, network.classes, images)):
        image[at : at + len(data)] = np.frombuffer(data, np.uint8)
    return made.program, made.arguments(trainer.settings, trainer.loss_scale)


def both(made: Made, memory: str = "ddr4") -> tuple[int, int]:
    """Cycles on the RTL, and by the model."""
    (made_program, arguments), device = made, RtlDevice(memory)
    device.load(made_program)
    counters = device.run(arguments).counters
    device.close()
    model = CycleModel(PARAMS, made_program.instructions, memory).cycles
    if counters["steps"] != model.steps:
        raise AssertionError(f"the array multiplied in {counters['steps']} cycles, not in {model.steps}")
    return counters["cycles"], model.total


def _layer(channels: int, size: int, kernel: int = 3) -> Convolution:
    return Convolution(height=size, width=size, inputs=channels, outputs=channels, kernel=kernel, padding=kernel // 2)


SHAPES: dict[str, Callable[[], Made]] = {
    "FF alone: 3 x 3, 64 channels, 2 of 8 x 8, dense": partial(product, "FF", (16, 16), _layer(64, 8), 2),
    "FF alone: 1 x 1, 128 channels, 16 of 4 x 4, 2:4": partial(product, "FF", (2, 4), _layer(128, 4, 1), 16),
    "BP alone: 3 x 3, 64 channels, 2 of 8 x 8, 2:16": partial(product, "BP", (2, 16), _layer(64, 8), 2),
    "WU alone: 3 x 3, 64 channels, 2 of 4 x 4": partial(product, "WU", (16, 16), _layer(64, 4), 2),
    "linear 64-64-10, 16 images, dense": partial(
        step, 1, 64, (Linear(features=64), ReLU(), Linear(features=10)), 16, None),
    "3 x 3 32-32, 2 of 4 x 4, dense": partial(step, 4, 32, conv(32), 2, None),
    "3 x 3 32-32, 16 of 4 x 4, dense": partial(step, 4, 32, conv(32), 16, None),
    "3 x 3 16-32-32, 2 of 8 x 8, 2:8": partial(step, 8, 16, (*conv(32), *conv(32)), 2, (2, 8)),
    "3 x 3 16-32-pool-32, 2 of 8 x 8, 2:8": partial(
        step, 8, 16, (*conv(32), MaxPool(kernel=2), *conv(32)), 2, (2, 8)),
    "3 x 3 32-32-64, stride 2, 2 of 8 x 8, 2:4": partial(step, 8, 32, (*conv(32), *conv(64, stride=2)), 2, (2, 4)),
    "1 x 1 32-64-64, 2 of 8 x 8, 2:16": partial(step, 8, 32, (*conv(64, 1), *conv(64, 1)), 2, (2, 16)),
    "1 x 1 64-128-128, 4 of 4 x 4, 2:8": partial(step, 4, 64, (*conv(128, 1), *conv(128, 1)), 4, (2, 8)),
    "3 x 3 16-32-pool, 1 of 16 x 16, dense": partial(step, 16, 16, (*conv(32), MaxPool(kernel=2)), 1, None),
    "3 x 3 16-32, residual block of 32, 4 of 4 x 4, 2:16": partial(
        step, 4, 16, (*conv(32), Residual(body=(*conv(32), *conv(32)))), 4, (2, 16)),
    "3 x 3 16-64-64, 8 of 4 x 4, 2:8": partial(step, 4, 16, (*conv(64), *conv(64)), 8, (2, 8)),
    "1 x 1 128-128, 4 of 4 x 4, 2:8": partial(step, 4, 128, conv(128, 1), 4, (2, 8)),
    "residual block 32-64-64, skip 1 x 1, 3 of 4 x 4, 1:4": partial(
        step, 4, 32, (Residual(body=(*conv(64), *conv(64)[:-1]), skip=conv(64, 1)[:-1]), ReLU()), 3, (1, 4)),
    "VGG of 8 channels, 4 of 8 x 8, 2:8": partial(step, 8, 3, vgg(8, (8, 8, 3), 10).layers, 4, (2, 8)),
    "3 x 3 32-96, stride 2, mean of 3 x 3, 5 of 6 x 6, 2:16": partial(
        step, 6, 32, (*conv(96, stride=2), AvgPool(kernel=3)), 5, (2, 16)),
    "1 x 1 64-128-128, 4 of 4 x 4, SR-STE 2:8": partial(
        step, 4, 64, (*conv(128, 1), *conv(128, 1)), 4, (2, 8), "sr-ste"),
    "3 x 3 32-64-pool-64, 3 of 6 x 6, 4:8": partial(
        step, 6, 32, (*conv(64), MaxPool(kernel=2), *conv(64)), 3, (4, 8)),
    "3 x 3 16-32-32, 6 of 6 x 6, 2:8": partial(step, 6, 16, (*conv(32), *conv(32)), 6, (2, 8)),
    "1 x 1 96-64, 3 x 3 64-64, 2 of 5 x 5, dense": partial(step, 5, 96, (*conv(64, 1), *conv(64)), 2, None),
}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--memory", default="ddr4", help="timing model; default ddr4")
    memory, worst = parser.parse_args().memory, 0.0
    print("| program | RTL, cycles | model | error |\n|---|---|---|---|")
    for name, make in SHAPES.items():
        rtl, model = both(make(), memory)
        error = model / rtl - 1
        worst = max(worst, abs(error))
        print(f"| {name} | {rtl:,} | {model:,} | {100 * error:+.2f}% |", flush=True)
    print(f"largest error {100 * worst:.2f}%")
    return int(worst > LIMIT)


if __name__ == "__main__":
    raise SystemExit(main())
