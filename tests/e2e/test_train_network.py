"""A network learns on the RTL: loss, weights, optimiser's states, masks and statistics of each step are golden's."""

from dataclasses import replace

import pytest

from golden.train.network import BatchNorm, Conv2d, GlobalAvgPool, Linear, Network, ReLU
from golden.train.sparsity import Sparsity
from sim.device import RtlDevice
from tests.compiler.train.walk import MIXED, steps
from tests.e2e.test_train import SHAPES

SMALL = Network(shape=(4, 4, 3), layers=(
    Conv2d(channels=16, kernel=3, padding=1, bias=False), BatchNorm(), ReLU(), Conv2d(channels=32, kernel=1), ReLU(),
    GlobalAvgPool(), Linear(features=5),
))  # fmt: skip
"""All kinds of parameters, one layer sparse."""


@pytest.mark.parametrize(("shape", "sparsity", "memory"), [
    ("16 x 2", Sparsity(method="bdwp", n=2, m=8), "random"),
    ("16 x 2", Sparsity(method="sdgp", n=2, m=4), "ddr4"),
    pytest.param("16 x 4", Sparsity(), "ddr4", marks=pytest.mark.slow),
    ("32 x 4, 512 bits, bfloat16", Sparsity(method="bdwp", n=2, m=4, regulariser=0.01), "ddr4"),
])  # fmt: skip
def test_steps(shape, sparsity, memory):
    counters = steps(MIXED, sparsity, SHAPES[shape], images=3, device=RtlDevice(memory, seed=2))
    assert min(counters[0][f"{unit}_cycles"] for unit in ("load", "matrix", "vector", "update")) > 0


def test_adam():
    sparsity, params = Sparsity(method="bdwp", n=2, m=8, regulariser=0.01), replace(SHAPES["16 x 2"], optimiser=2)
    counters = steps(SMALL, sparsity, params, images=3, device=RtlDevice("random", seed=2))
    assert counters[0]["update_cycles"] > 0
