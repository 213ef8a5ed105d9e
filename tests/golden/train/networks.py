"""Networks for tests, and random numbers that 16 bits hold."""

import numpy as np

from golden.float16 import BINARY16
from golden.train.model import Model
from golden.train.network import (
    AvgPool,
    BatchNorm,
    Conv2d,
    GlobalAvgPool,
    Linear,
    MaxPool,
    Network,
    ReLU,
    Residual,
)
from golden.train.sparsity import Sparsity

LAYERS = {
    "linear": (Linear(features=5),),
    "linear without bias": (Linear(features=17, bias=False),),
    "convolution": (Conv2d(channels=18, kernel=3, padding=1), GlobalAvgPool()),
    "stride 2": (Conv2d(channels=4, kernel=3, stride=2, padding=1, bias=False), GlobalAvgPool()),
    "1 x 1, stride 2": (Conv2d(channels=4, kernel=1, stride=2), GlobalAvgPool()),
    "bias and ReLU": (Conv2d(channels=4, kernel=2), ReLU(), GlobalAvgPool()),
    "batch norm": (BatchNorm(), GlobalAvgPool(), Linear(features=4)),
    "batch norm and ReLU": (BatchNorm(epsilon=0.1), ReLU(), GlobalAvgPool()),
    "ReLU": (ReLU(), GlobalAvgPool()),
    "maximum": (MaxPool(kernel=2), GlobalAvgPool()),
    "overlapping maxima": (MaxPool(kernel=3, stride=2), GlobalAvgPool()),
    "mean": (AvgPool(kernel=2), GlobalAvgPool()),
    "overlapping means": (AvgPool(kernel=3, stride=1), GlobalAvgPool()),
    "skip": (Residual(body=(Conv2d(channels=3, kernel=3, padding=1),)), ReLU(), GlobalAvgPool()),
    "two ways": (Residual(body=(Conv2d(channels=6, kernel=3, stride=2, padding=1),),
                          skip=(Conv2d(channels=6, kernel=1, stride=2, bias=False),)), GlobalAvgPool()),
}  # fmt: skip
"""Of images [5, 6, 3]."""

SMALL = Network(shape=(6, 6, 2), layers=(
    Conv2d(channels=16, kernel=3, padding=1, bias=False), BatchNorm(), ReLU(),
    Conv2d(channels=32, kernel=3, padding=1, stride=2, bias=False), BatchNorm(), ReLU(),
    Residual(body=(Conv2d(channels=16, kernel=1), ReLU(), Conv2d(channels=32, kernel=3, padding=1)),
             skip=(Conv2d(channels=32, kernel=1, bias=False),)),
    ReLU(), MaxPool(kernel=2, stride=1), AvgPool(kernel=2), Linear(features=3),
))  # fmt: skip


def rounded(numbers):
    """float64, as binary16 has them."""
    return BINARY16.widen(BINARY16.narrow(np.asarray(numbers, np.float32))).astype(np.float64)


def made(network, seed=0, sparsity=None):
    """A model with weights that 16 bits hold, biases and norms among them."""
    model, rng = Model(network, BINARY16, sparsity or Sparsity()), np.random.default_rng(seed)
    model.initialise(rng)
    state = model.state()
    for name, numbers in state.items():
        moved = numbers.ndim == 1 and not name.endswith((".velocity", "running_var"))
        numbers[...] = rounded(numbers + 0.3 * rng.standard_normal(numbers.shape, np.float32) * moved)
    model.load(state)
    return model


def layered(name):
    return Network(shape=(5, 6, 3), layers=LAYERS[name])
