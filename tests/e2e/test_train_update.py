"""Weight gradients, updates and the next pass with what these make: programs in memory, on the RTL, equal to golden."""

import numpy as np
import pytest

from compiler.train.convolution import Convolution
from compiler.train.emit import Emitter
from compiler.train.masters import from_blocks, in_turns, of_turns, to_blocks
from compiler.train.memory import Memory
from compiler.train.products import Compact, Products, part_images
from compiler.train.updates import update
from compiler.train.weights import compact
from golden.execution import ERROR_CODES
from golden.isa.train import ISA
from golden.train import convolution
from golden.train.params import slots
from golden.train.prune import mask
from golden.train.update import Sgd
from sim.device import DeviceError, GoldenDevice, RtlDevice
from tests.e2e.test_train import DENSE, SHAPES, conv3x3

SGD = Sgd(rate=0.1, momentum=0.9, decay=5e-4, unscale=2.0**-4, regulariser=0.25)
ARGUMENTS = SGD.arguments()
CASES = {
    "3 x 3": (conv3x3(height=3, width=4, inputs=32, outputs=64), 2, (2, 8), (1, 4)),
    "1 x 1": (Convolution(height=2, width=2, inputs=96, outputs=32), 3, DENSE, (2, 16)),
    "parts": (Convolution(height=6, width=6, inputs=32, outputs=64), 15, (2, 8), (1, 4)),
    "SR-STE": (conv3x3(height=3, width=4, inputs=32, outputs=64), 2, (2, 4), (2, 16)),
}


PARTS = {"16 x 2": {"parts": 5}, "32 x 4, 512 bits, bfloat16": {"parts": 2}}
"""Of gradients whose images do not fit the buffers."""


class Step:
    """Program of a weight gradient, an update and the passes with the weights that it makes."""

    def __init__(self, params, conv, images, ff, bp, seed, *, masked=False):
        self.parts = -(-images // part_images(params, conv, images))
        rng, self.params, self.conv, self.memory = np.random.default_rng(seed), params, conv, Memory(params)
        put, half = self.memory.put, params.half
        self.shape = conv.taps, conv.inputs, conv.outputs
        pixels, count = conv.out_height * conv.out_width, int(np.prod(self.shape))
        self.x = half.narrow(rng.standard_normal((images, conv.height, conv.width, conv.inputs)).astype(np.float32))
        self.dy = half.narrow(
            rng.standard_normal((images, conv.out_height, conv.out_width, conv.outputs)).astype(np.float32))
        x, dy = put(self.x), put(self.dy)
        self.before = {name: (0.1 * rng.standard_normal(self.shape)).astype(np.float32) for name in ("w", "v")}
        w, v = (to_blocks(numbers, params) for numbers in self.before.values())
        self.at = {"masters": put(in_turns((w, v), params))}
        self.at["gradient"] = self.memory.room(self.parts * 2 * count // params.word)
        self.made = {name: Compact(*(self.memory.room(count // 16 * slots(*pattern) // each + 1)
                                     for each in (params.word, 4 * params.word)), *pattern)
                     for name, pattern in (("ff", ff), ("bp", bp))}
        if masked:
            dense = half.narrow(self.before["w"])
            self.before["pruned"] = ~mask(dense.swapaxes(1, 2), *ff).swapaxes(1, 2)
            self.made["ff"] = Compact(*map(put, compact(dense, *ff, params)), *ff)
        y = self.memory.room(images * pixels * conv.outputs // params.word)
        dx = self.memory.room(images * conv.height * conv.width * conv.inputs // params.word)
        emitter = Emitter()
        products = Products(params, emitter)
        products.weight_gradient(conv, images, x, dy, self.at["gradient"])
        update(params, emitter, conv, self.at["gradient"], self.at["masters"],
               forward=self.made["ff"], back=self.made["bp"], parts=self.parts, masked=masked)
        products.forward(conv, images, x, self.made["ff"], y)
        products.input_gradient(conv, images, dy, self.made["bp"], dx)
        self.program = self.memory.program(emitter.words())

    def weights(self, image):
        """Master weights and velocities."""
        at, count = self.at["masters"] * self.params.axi_bits // 8, 2 * int(np.prod(self.shape))
        both = of_turns(np.frombuffer(image, np.float32, count, at), self.params)
        return tuple(from_blocks(numbers, *self.shape, self.params) for numbers in both)

    def gradient(self):
        conv, images = self.conv, part_images(self.params, self.conv, len(self.x))
        found = convolution.weight_gradient(self.x, self.dy, (conv.kernel, conv.kernel),
                                            convolution.Geometry(conv.stride, conv.padding), self.params.half, images)
        return found.reshape(self.shape)


def run(device, made, arguments=ARGUMENTS):
    device.load(made)
    outcome = device.run(arguments)
    return outcome, device.read("m", 0, len(made.images["m"]))


@pytest.mark.parametrize("memory", ["ideal", "random"])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("shape", ["16 x 2", "32 x 4, 512 bits, bfloat16"])
def test_step(shape, case, memory):
    step = Step(SHAPES[shape], *CASES[case], seed=5, masked=case == "SR-STE")
    _, expected = run(GoldenDevice(), step.program)
    outcome, image = run(RtlDevice(memory, seed=3), step.program)
    assert image == expected
    assert step.parts == PARTS[shape].get(case, 1)
    assert 0 < outcome.counters["update_cycles"] < outcome.cycles
    made = SGD.update(step.params.half, gradient=step.gradient(), **step.before)
    assert np.any(made.states["v"] != SGD.momentum * step.before["v"])
    assert ("pruned" in step.before) == (case == "SR-STE")
    w, v = step.weights(image)
    assert np.array_equal(w, made.w)
    assert np.array_equal(v, made.states["v"])
    for area, weights in ((step.made["ff"], made.half), (step.made["bp"], made.half.transpose(0, 2, 1))):
        values, index = compact(weights, area.n, area.m, step.params)
        for at, data in ((area.values, values), *([(area.index, index)] if area.n != area.m else [])):
            start = at * step.params.axi_bits // 8
            assert image[start : start + len(data)] == data.tobytes()


def test_settings_of_every_run():
    """One program, other settings: the second run goes on from the weights, and masks, of the first one."""
    step = Step(SHAPES["16 x 2"], *CASES["SR-STE"], seed=6, masked=True)
    other = Sgd(rate=0.01, momentum=0.5, unscale=0.5, decay=0.1, regulariser=0.5)
    found = []
    for device in (GoldenDevice(), RtlDevice()):
        run(device, step.program)
        device.run(other.arguments())
        found.append(device.read("m", 0, len(step.program.images["m"])))
    assert found[0] == found[1]
    first = SGD.update(step.params.half, gradient=step.gradient(), **step.before)
    second = other.update(step.params.half, w=first.w, **first.states, gradient=step.gradient(),
                          pruned=~mask(first.half.swapaxes(1, 2), 2, 4).swapaxes(1, 2))
    assert np.array_equal(step.weights(found[1])[0], second.w)


GOOD = {"gradient": 0, "masters": 32, "taps": 1, "groups": 1, "parts": 1, "ff": 1, "bp": 1, "ff_values": 96,
        "bp_values": 112}


@pytest.mark.parametrize(("fields", "status"), [
    ({"taps": 0}, "illegal"), ({"groups": 0}, "illegal"), ({"bp_n": 2, "bp_m": 1}, "illegal"),
    ({"parts": 0}, "illegal"), ({"masked": 1}, "illegal"),
    ({"masters": (1 << 32) - 64}, "axi_read"), ({"ff_values": (1 << 32) - 1}, "axi_write"),
])  # fmt: skip
def test_updates_that_end_a_run(fields, status):
    memory = Memory(SHAPES["16 x 2"])
    memory.room(128)
    made = memory.program([ISA.encode("UPD", GOOD | fields), ISA.encode("HALT", {})])
    with pytest.raises(DeviceError) as error:
        run(RtlDevice(max_cycles=10_000), made)
    assert error.value.status == ERROR_CODES[status]


def test_tokens_of_a_step():
    """Gradient, update, next pass: each waits for the one before, and no MM for an UPD directly."""
    step = Step(SHAPES["16 x 2"], *CASES["1 x 1"], seed=7)
    fields = [ISA.decode(word) for word in step.program.instructions]
    names = [fmt.name for fmt, _ in fields]
    first, last = names.index("UPD"), len(names) - 1 - names[::-1].index("UPD")
    assert (names[first - 1], names.count("UPD")) == ("MM", 2)
    assert fields[first][1]["wait"] == 1 << 1
    assert [v["wait"] >> 3 for _, v in fields[last + 1 :]].count(1) >= 1
    assert fields[last][1]["release"] & 1
