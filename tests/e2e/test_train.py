"""Convolutions forward, back to their input and to their weights: programs in memory, on the RTL, equal to golden."""

import numpy as np
import pytest

from compiler.capacity import DoesNotFitError
from compiler.train.convolution import Convolution
from compiler.train.emit import Emitter
from compiler.train.memory import Memory
from compiler.train.products import Compact, Products
from compiler.train.weights import compact
from golden.execution import ERROR_CODES
from golden.isa.train import ISA
from golden.train.params import GROUP, TrainParams
from sim.device import DeviceError, GoldenDevice, RtlDevice

SHAPES = {
    "16 x 2": TrainParams(rows=16, columns=2, x_words=512, w_steps=8192),
    "16 x 4": TrainParams(rows=16, columns=4, x_words=512, w_steps=8192, burst_beats=4, outstanding=2, queue_depth=2),
    "32 x 4, 512 bits, bfloat16": TrainParams(rows=32, columns=4, axi_bits=512, number_format=2, w_steps=8192),
}
DENSE = (GROUP, GROUP)


def pass_of(params, conv, images, pattern, seed):
    """Program of the three products of a convolution; (first word, words) of their results."""
    rng, memory, half, taps = np.random.default_rng(seed), Memory(params), params.half, conv.taps
    emitter = Emitter()
    products = Products(params, emitter)

    def tensor(height, width, channels):
        return memory.put(half.narrow(rng.standard_normal((images, height, width, channels)).astype(np.float32)))

    def columns(k, count):
        weights = half.narrow(rng.standard_normal((taps, k, count)).astype(np.float32))
        return Compact(*map(memory.put, compact(weights, *pattern, params)), *pattern)

    x = tensor(conv.height, conv.width, conv.inputs)
    dy = tensor(conv.out_height, conv.out_width, conv.outputs)
    forward, back = columns(conv.inputs, conv.outputs), columns(conv.outputs, conv.inputs)
    sizes = (images * conv.out_height * conv.out_width * conv.outputs // params.word,
             images * conv.height * conv.width * conv.inputs // params.word,
             taps * conv.inputs * conv.outputs * 2 // params.word)
    y, dx, dw = map(memory.room, sizes)
    products.forward(conv, images, x, forward, y)
    products.input_gradient(conv, images, dy, back, dx)
    products.weight_gradient(conv, images, x, dy, dw)
    return memory.program(emitter.words())


def run(device, made):
    device.load(made)
    outcome = device.run(())
    return outcome, device.read("m", 0, len(made.images["m"]))


def conv3x3(**fields):
    return Convolution(kernel=3, padding=1, **fields)


CASES = {
    "3 x 3": (conv3x3(height=5, width=6, inputs=32, outputs=64), 2, (2, 8)),
    "3 x 3, stride 2": (conv3x3(height=6, width=5, inputs=64, outputs=64, stride=2), 2, (2, 16)),
    "1 x 1, stride 2": (Convolution(height=4, width=4, inputs=32, outputs=32, stride=2), 3, (2, 4)),
    "1 x 1, dense": (Convolution(height=1, width=1, inputs=64, outputs=32), 7, DENSE),
}


@pytest.mark.parametrize("memory", ["ideal", "random"])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("shape", [
    pytest.param(shape, marks=[pytest.mark.slow] if shape == "16 x 4" else []) for shape in SHAPES
])  # fmt: skip
def test_products(shape, case, memory):
    params, (conv, images, pattern) = SHAPES[shape], CASES[case]
    made = pass_of(params, conv, images, pattern, seed=len(case))
    expected, image = run(GoldenDevice(), made)
    outcome, found = run(RtlDevice(memory, seed=3), made)
    assert found == image
    assert outcome.counters["steps"] == expected.counters["steps"]


def test_chunks_of_images():
    """More images than half of X holds: the weights of both tiles come again for each chunk of them."""
    params = SHAPES["16 x 2"]
    rng, memory, emitter = np.random.default_rng(9), Memory(params), Emitter()
    conv, images = conv3x3(height=6, width=6, inputs=32, outputs=32), 7
    x = memory.put(rng.integers(0, 0x7C00, (images, 36, 32), dtype=np.uint16))
    dense = rng.integers(0, 0x7C00, (9, 32, 32), dtype=np.uint16)
    weights = Compact(*map(memory.put, compact(dense, 4, 8, params)), 4, 8)
    y = memory.room(images * 36 * 2)
    Products(params, emitter).forward(conv, images, x, weights, y)
    names = [ISA.decode(word)[0].name for word in emitter.words()]
    tiles = ["LDW", "LDW", "MM"] * 2
    assert names == ["LDX", *tiles, "LDX", *tiles, "LDX", *tiles, "HALT"]
    made = memory.program(emitter.words())
    assert run(RtlDevice("random", seed=2), made)[1] == run(GoldenDevice(), made)[1]


@pytest.mark.parametrize(("what", "fields", "status"), [
    ("LDX", {"words": 0, "runs": 1}, "illegal"), ("LDX", {"words": 2, "runs": 1, "to": 511}, "illegal"),
    ("LDX", {"words": 2, "runs": 1, "n": 2, "m": 2}, "illegal"),
    ("LDW", {"words": 300, "runs": 2, "to": 7}, "illegal"), ("MM", {"taps_x": 0}, "illegal"),
    ("MM", {"slots_log2": 5}, "illegal"), ("MM", {"spread": 1}, "illegal"), ("MM", {"out_words": 2}, "illegal"),
    ("MM", {"stationary": 1, "words": 17}, "illegal"), (None, {}, "program_size"),
])  # fmt: skip
@pytest.mark.parametrize("level", ["golden", "rtl"])
def test_what_is_refused(level, what, fields, status):
    params = SHAPES["16 x 2"]
    good = dict.fromkeys(("pixels", "nx", "ny", "taps_x", "taps_y", "words", "out_words"), 1) | {
        "slots_log2": 2, "width": 1, "height": 1}
    words = [ISA.encode(what, (good if what == "MM" else {}) | fields)] if what else [ISA.encode("MM", good)]
    memory = Memory(params)
    memory.room(700)
    made = memory.program([*words, ISA.encode("HALT", {})] if what else words)
    with pytest.raises(DeviceError) as error:
        run(GoldenDevice() if level == "golden" else RtlDevice(), made)
    assert error.value.status == ERROR_CODES[status]


def test_an_opcode_that_there_is_not():
    params = SHAPES["16 x 2"]
    memory = Memory(params)
    memory.room(1)
    for device in (GoldenDevice(), RtlDevice()):
        with pytest.raises(DeviceError) as error:
            run(device, memory.program([0x77]))
        assert error.value.status == ERROR_CODES["illegal"]


def test_a_second_run_of_the_same_program():
    params = SHAPES["16 x 2"]
    made = pass_of(params, *CASES["1 x 1, dense"], seed=4)
    device = RtlDevice()
    first, image = run(device, made)
    second = device.run(())
    assert device.read("m", 0, len(image)) == image
    assert second.cycles == first.cycles


@pytest.mark.parametrize(("buffer", "images", "message"), [("x_words", 1, "x_words"), ("w_steps", 2, "w_steps")])
def test_what_does_not_fit(buffer, images, message):
    params = TrainParams(rows=16, columns=2, **{"x_words": 65536, "w_steps": 65536} | {buffer: 256})
    with pytest.raises(DoesNotFitError, match=message):
        pass_of(params, conv3x3(height=16, width=16, inputs=32, outputs=32), images, (2, 8), seed=1)
