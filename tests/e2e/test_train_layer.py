"""A convolution with batch norm and ReLU, forward, back, updated: one program on the RTL, equal to golden's layers."""

import numpy as np
import pytest

from compiler.train.emit import Emitter
from compiler.train.masters import to_blocks
from compiler.train.memory import Memory
from compiler.train.normalisation import BatchNorm
from compiler.train.products import Columns, Products
from compiler.train.updates import Compact, update
from compiler.train.weights import compact
from golden.train import normalisation
from golden.train.params import slots
from golden.train.update import Sgd
from sim.device import GoldenDevice, RtlDevice
from tests.e2e.test_train import SHAPES, conv3x3

SGD = Sgd(rate=0.1, momentum=0.9, decay=5e-4, unscale=2.0**-4)
IMAGES, PATTERN, EPSILON = 2, (2, 8), 1e-5
CONV = conv3x3(height=4, width=3, inputs=32, outputs=64)


class Layer:
    def __init__(self, params, seed):
        rng, half, self.memory = np.random.default_rng(seed), params.half, Memory(params)
        put, taps, pixels = self.memory.put, CONV.kernel**2, IMAGES * CONV.height * CONV.width
        self.pixels, self.words = pixels, CONV.outputs // params.word

        def tensor(*shape):
            return half.narrow(rng.standard_normal(shape).astype(np.float32))

        w = (0.1 * rng.standard_normal((taps, CONV.inputs, CONV.outputs))).astype(np.float32)
        self.gamma, self.beta = rng.standard_normal((2, CONV.outputs)).astype(np.float32)
        self.dz = tensor(pixels, CONV.outputs)
        compacted = [compact(half.narrow(k), *PATTERN, params) for k in (w, w.transpose(0, 2, 1))]
        areas = [Compact(*map(put, pair), *PATTERN) for pair in compacted]
        at = {"x": put(tensor(pixels, CONV.inputs)), "dz": put(self.dz), "w": put(to_blocks(w, params)),
              "v": put(np.zeros_like(w)), "gamma": put(self.gamma), "beta": put(self.beta)}
        room = {"y": pixels * self.words, "z": pixels * self.words, "dy": pixels * self.words,
                "dx": pixels * CONV.inputs // params.word, "dw": 2 * w.size // params.word,
                "dgamma": 2 * self.words, "dbeta": 2 * self.words}
        at |= {name: self.memory.room(words) for name, words in room.items()}
        self.at = at
        emitter = Emitter()
        products = Products(params, emitter)
        norm = BatchNorm(params, emitter, words=self.words, first=0, epsilon=EPSILON)
        forward, back = (Columns(area.values, area.index, slots(*PATTERN)) for area in areas)
        norm.load(at["gamma"], at["beta"])
        products.forward(CONV, IMAGES, at["x"], forward, at["y"])
        norm.forward(at["y"], at["z"], pixels, relu=True)
        norm.backward(at["dz"], at["y"], at["dy"], pixels, relu=True, gamma=at["dgamma"], beta=at["dbeta"])
        products.input_gradient(CONV, IMAGES, at["dy"], back, at["dx"])
        products.weight_gradient(CONV, IMAGES, at["x"], at["dy"], at["dw"])
        update(params, emitter, CONV, at["dw"], at["w"], at["v"], forward=areas[0], back=areas[1])
        self.program = self.memory.program(emitter.words())


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

    def numbers(name, kind, count):
        return np.frombuffer(image, kind, count, layer.at[name] * params.axi_bits // 8)

    def tensor(name):
        return numbers(name, np.uint16, layer.pixels * CONV.outputs).reshape(layer.pixels, -1)

    y = tensor("y")
    found = normalisation.statistics(params.half, y)
    made = normalisation.scaling(found, layer.gamma, layer.beta, EPSILON)
    assert np.array_equal(tensor("z"), normalisation.normalise(params.half, y, made, relu=True))
    back = normalisation.backward(params.half, layer.dz, y, found.mean, made, relu=True)
    assert np.array_equal(tensor("dy"), back.dx)
    for name, gradient in (("dgamma", back.gamma), ("dbeta", back.beta)):
        assert np.array_equal(numbers(name, np.float32, CONV.outputs), gradient)
