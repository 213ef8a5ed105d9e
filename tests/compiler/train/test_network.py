"""A network's step as one program, run by the golden executor: the same bits as golden's network, step after step."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.capacity import DoesNotFitError
from compiler.train.network import NetworkProgram
from compiler.train.tensors import UnsupportedNetworkError
from golden.train.network import (
    BatchNorm,
    Conv2d,
    GlobalAvgPool,
    Linear,
    MaxPool,
    Network,
    ReLU,
)
from golden.train.params import TrainParams
from golden.train.sparsity import Sparsity
from golden.train.trainer import Optimiser, Trainer
from tests.compiler.train.walk import MIXED, steps
from tests.golden.train.networks import LAYERS

P = TrainParams(x_words=4096, w_steps=16384)
SHAPES = {
    "16 x 4": P,
    "16 x 2, few rows": TrainParams(rows=16, columns=2, x_words=2048, w_steps=8192, channel_rows=128),
    "32 x 4, 512 bits, bfloat16": TrainParams(rows=32, columns=4, axi_bits=512, number_format=2, w_steps=8192),
}
ADAM = replace(P, optimiser=2)

@pytest.mark.parametrize("sparsity", [
    Sparsity(), Sparsity(method="bdwp", n=2, m=8), Sparsity(method="bdwp", n=2, m=16),
    Sparsity(method="sdwp", n=1, m=4), Sparsity(method="sr-ste", n=2, m=4), Sparsity(method="sdgp", n=4, m=8),
    Sparsity(method="bdwp", n=2, m=8, regulariser=0.01),
])  # fmt: skip
@pytest.mark.parametrize("shape", SHAPES)
def test_steps(shape, sparsity):
    steps(MIXED, sparsity, SHAPES[shape])


@pytest.mark.parametrize("sparsity", [Sparsity(), Sparsity(method="bdwp", n=2, m=8, regulariser=0.01)])
def test_steps_of_adam(sparsity):
    steps(MIXED, sparsity, ADAM, count=3)


def test_an_optimiser_that_is_not_the_engines():
    trainer = Trainer(MIXED, "binary16", Sparsity(), Optimiser(steps=1, batch=4))
    with pytest.raises(ValueError, match=r"optimiser = 'sgd': must be the engine's, adam"):
        NetworkProgram(ADAM, trainer.model, 4)


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name):
    """Images that are not square; layers that come first, and so last back."""
    steps(Network(shape=(5, 6, 3), layers=LAYERS[name]), Sparsity(), P, count=1)


@given(channels=st.integers(1, 40), other=st.integers(1, 40), kernel=st.integers(1, 3), stride=st.integers(1, 3),
       padding=st.integers(0, 2), lines=st.integers(3, 6), line=st.integers(3, 6), images=st.integers(1, 18))
@settings(max_examples=25, deadline=None)
def test_shapes(channels, other, kernel, stride, padding, lines, line, images):
    """Channels that divide nothing, strides beyond kernels, batches of one and of more than a word's lanes."""
    conv = Conv2d(channels=other, kernel=kernel, stride=stride, padding=min(padding, kernel - 1), bias=False)
    network = Network(shape=(lines, line, channels), layers=(
        Conv2d(channels=channels, kernel=1), ReLU(), conv, BatchNorm(), ReLU(), GlobalAvgPool(), Linear(features=18)))
    steps(network, Sparsity(method="bdwp", n=1, m=2), P, images=images, count=1)


def test_the_engine_is_told_what_it_cannot():
    layers = (MaxPool(kernel=16), GlobalAvgPool(), Linear(features=3))
    with pytest.raises(UnsupportedNetworkError, match=r"layer 0 \(MaxPool\): kernel 16: .* at most 15 lines"):
        steps(Network(shape=(16, 16, 3), layers=layers), Sparsity(), P)


def test_parts_that_are_not_the_engines():
    trainer = Trainer(MIXED, "binary16", Sparsity(), Optimiser(steps=1, batch=4), {"0": 3})
    with pytest.raises(ValueError, match=r"layer 0: part_images = 3: must be 4, .*network_parts"):
        NetworkProgram(P, trainer.model, 4)


@pytest.mark.parametrize(("fields", "resource"), [
    ({"x_words": 256}, "x_words"), ({"w_steps": 256}, "w_steps"), ({"channel_rows": 32}, "channel_rows"),
    ({"channel_words": 2}, "channel_words"),
])  # fmt: skip
def test_what_does_not_fit(fields, resource):
    network = Network(shape=(12, 12, 3), layers=(Conv2d(channels=96, kernel=3), BatchNorm(), GlobalAvgPool(),
                                               Linear(features=3)))
    with pytest.raises(DoesNotFitError, match=resource):
        steps(network, Sparsity(), TrainParams(**({"x_words": 4096, "w_steps": 16384} | fields)))
