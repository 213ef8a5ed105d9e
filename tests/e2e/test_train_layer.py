"""A convolution with batch norm and ReLU, forward, back, updated: one program on the RTL, equal to golden's layers."""

import numpy as np
import pytest

from compiler.train.block import ConvBlock
from compiler.train.emit import Emitter
from compiler.train.memory import Memory
from golden.train import normalisation
from golden.train.update import Sgd
from sim.device import GoldenDevice, RtlDevice
from tests.e2e.test_train import SHAPES, conv3x3

SGD = Sgd(rate=0.1, momentum=0.9, decay=5e-4, unscale=2.0**-4)
IMAGES, EPSILON = 2, 1e-5
CONV = conv3x3(height=4, width=3, inputs=32, outputs=64)


class Layer:
    """A block's step on random numbers."""

    def __init__(self, params, seed):
        rng, memory, emitter = np.random.default_rng(seed), Memory(params), Emitter()
        pixels = IMAGES * CONV.height * CONV.width

        def tensor(channels):
            return params.half.narrow(rng.standard_normal((pixels, channels)).astype(np.float32))

        weights = (0.1 * rng.standard_normal((CONV.kernel**2, CONV.inputs, CONV.outputs))).astype(np.float32)
        self.gamma, self.beta = rng.standard_normal((2, CONV.outputs)).astype(np.float32)
        self.dz = tensor(CONV.outputs)
        self.block = ConvBlock(params, memory, emitter, CONV, IMAGES, ff=(2, 8), bp=(1, 4), weights=weights,
                               gamma=self.gamma, beta=self.beta, epsilon=EPSILON)
        x, dz = memory.put(tensor(CONV.inputs)), memory.put(self.dz)
        self.z = memory.room(pixels * self.block.words)
        dx = memory.room(pixels * CONV.inputs // params.word)
        self.block.forward(x, self.z)
        self.block.backward(dz, x, dx)
        self.block.update()
        self.program = memory.program(emitter.words())


def run(device, layer):
    device.load(layer.program)
    outcome = device.run(tuple(SGD.registers().values()))
    return outcome, device.read("m", 0, len(layer.program.images["m"]))


@pytest.mark.parametrize("memory", ["ideal", "ddr4"])
@pytest.mark.parametrize("shape", ["16 x 2", "32 x 4, 512 bits, bfloat16"])
def test_layer(shape, memory):
    params = SHAPES[shape]
    layer = Layer(params, seed=7)
    _, expected = run(GoldenDevice(), layer)
    outcome, image = run(RtlDevice(memory), layer)
    assert image == expected
    assert min(outcome.counters[f"{unit}_cycles"] for unit in ("load", "matrix", "vector", "update")) > 0

    block, half = layer.block, params.half

    def numbers(at, kind, count):
        return np.frombuffer(image, kind, count, at * params.axi_bits // 8)

    def tensor(at):
        return numbers(at, np.uint16, block.pixels * CONV.outputs).reshape(block.pixels, -1)

    y = tensor(block.at["y"])
    found = normalisation.statistics(half, y)
    made = normalisation.scaling(found, layer.gamma, layer.beta, EPSILON)
    assert np.array_equal(tensor(layer.z), normalisation.normalise(half, y, made, relu=True))
    back = normalisation.backward(half, layer.dz, y, found.mean, made, relu=True)
    assert np.array_equal(tensor(block.at["dy"]), back.dx)
    for name, gradient in (("dgamma", back.gamma), ("dbeta", back.beta)):
        assert np.array_equal(numbers(block.at[name], np.float32, CONV.outputs), gradient)
