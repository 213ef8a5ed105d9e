"""Max pooling of tensors, forward and back, as programs: golden's layers; on the RTL behind a pass that makes X."""

import numpy as np
import pytest

from compiler.train.emit import Emitter
from compiler.train.memory import Memory
from compiler.train.pooling import Pooling
from compiler.train.vectors import Vectors
from golden.floats import BINARY32
from golden.isa.train import ISA
from golden.train import pooling
from golden.train.params import TrainParams
from sim.device import GoldenDevice, RtlDevice
from tests.e2e.test_train import SHAPES

CASES = {
    "2 x 2": (2, 6, 8, 2, 2), "3 x 3, lines and columns left over": (3, 7, 8, 3, 3), "2 x 2, step 3": (1, 8, 7, 2, 3),
    "5 x 4 in one": (2, 5, 4, 4, 9), "1 x 1": (1, 3, 2, 1, 1), "3 x 3, step 2": (2, 7, 9, 3, 2),
    "3 x 3, step 1": (1, 4, 5, 3, 1),
}  # fmt: skip
"""Images, height, width, kernel, step."""

class Pooled:
    """Program: a pass doubles the numbers of a tensor, which makes X; Y of it; dX of dY."""

    def __init__(self, params, case, words, seed):
        images, height, width, kernel, step = case
        rng, self.params, self.memory, emitter = np.random.default_rng(seed), params, Memory(params), Emitter()
        vectors = Vectors(params, emitter, self.memory, words)
        self.pool = Pooling(vectors=vectors, images=images, height=height, width=width, words=words, kernel=kernel,
                            step=step)
        put, shape = self.memory.put, (images, height, width, words * params.word)
        self.before = params.half.narrow(rng.integers(-2, 3, shape) + 0.5 * rng.standard_normal(shape))
        self.dy = params.half.narrow(rng.standard_normal((images, *self.pool.windows, shape[-1])))
        a = put(self.before)
        self.x = put(np.full(shape, 0x5555, np.uint16))
        dy, self.y, self.dx = put(self.dy), put(np.zeros_like(self.dy)), put(np.full(shape, 0xAAAA, np.uint16))
        vectors.passed(a, out=self.x, pixels=images * height * width, words=words, b_is_a=1,
                       constants={"c2": vectors.one, "c3": vectors.one})
        self.pool.forward(self.x, self.y)
        self.pool.backward(dy, self.x, self.dx, self.memory)
        self.program = self.memory.program(emitter.words())

    def tensor(self, image, at, shape):
        return np.frombuffer(image, np.uint16, int(np.prod(shape)), at * self.params.axi_bits // 8).reshape(shape)


def run(device, made):
    device.load(made.program)
    device.run(())
    return device.read("m", 0, len(made.program.images["m"]))


def check(made, image):
    half, pool = made.params.half, made.pool
    x = made.tensor(image, made.x, made.before.shape)
    assert np.array_equal(x, half.narrow(BINARY32.mul(half.widen(made.before), np.float32(2))))
    best, where = pooling.largest(half, x, pool.kernel, pool.step)
    assert np.array_equal(made.tensor(image, made.y, best.shape), best)
    dx = pooling.largest_gradient(half, made.dy, where, x.shape, pool.kernel, pool.step)
    assert np.array_equal(made.tensor(image, made.dx, x.shape), dx)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("shape", ["16 x 2", "32 x 4, 512 bits, bfloat16"])
def test_pooling(shape, case):
    made = Pooled(SHAPES[shape], CASES[case], words=3, seed=1)
    check(made, run(GoldenDevice(), made))


def test_windows_that_do_not_fit():
    with pytest.raises(ValueError, match="kernel"):
        Pooled(SHAPES["16 x 2"], (1, 4, 3, 4, 4), words=1, seed=3)


@pytest.mark.parametrize("memory", ["random", "ddr4"])
@pytest.mark.parametrize("case", ["3 x 3, lines and columns left over", "1 x 1"])
def test_on_the_rtl(case, memory):
    """X is what a pass of the same queue has written just before."""
    made = Pooled(SHAPES["16 x 2"], CASES[case], words=2, seed=4)
    image = run(RtlDevice(memory, seed=2), made)
    assert image == run(GoldenDevice(), made)
    check(made, image)


def test_tokens():
    """Y waits for X, of its own queue; the clearing pass and dX for nobody, as Y has waited for X."""
    made = Pooled(TrainParams(rows=16, columns=2), CASES["2 x 2, step 3"], words=1, seed=5)
    found = [(fmt.name, v["wait"], v["release"]) for fmt, v in map(ISA.decode, made.program.instructions)]
    assert found == [("LDC", 0, 0), ("VEC", 0, 4), ("POOL", 4, 0), ("VEC", 0, 0), ("POOL", 0, 0), ("HALT", 0, 0)]
