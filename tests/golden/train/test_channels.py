"""What layers do between passes is what VEC and CHN can do: programs of these make the same bits as golden.train's."""

import numpy as np
import pytest

from golden.float16 import BINARY16
from golden.floats import BINARY32
from golden.isa.train import ISA, Channel
from golden.train import normalisation, pooling
from golden.train.loss import softmax_cross_entropy
from golden.train.params import TrainParams
from golden.train.vector_unit import VectorUnit

P = TrainParams()
ZERO, GAMMA, BETA, MEAN, SCALE, SHIFT, INVERSE, T, U, SUMS = 0, 1, 2, 3, 4, 5, 6, 7, 8, 16
"""Rows of the channel file; there is one word of channels."""


class Machine:
    """A vector unit with tensors, uint16 [pixels, channels], that are memory of their own."""

    def __init__(self):
        self.unit = VectorUnit(P)
        self.file = self.unit.file

    def channel(self, op, d, a, b=None, value=None):
        fields = {"op": Channel[op], "rows": 1, "a": a, "d": d}
        fields |= {"constant": 1, "value": int(BINARY32.to_bits(value))} if value is not None else {"b": b or 0}
        self.unit.channel(ISA.decode(ISA.encode("CHN", fields))[1])

    def passed(self, a, b=None, segment=None, rows=(ZERO,) * 5, s=SUMS, **modes):
        image = np.concatenate([a, a if b is None else b]).view(np.uint8).ravel()
        fields = {"a": 0, "b": len(a), "pixels": len(a), "segment": segment or len(a), "words": 1, "s": s}
        fields |= {f"c{n}": row for n, row in enumerate(rows)} | modes
        made = self.unit.vector(ISA.decode(ISA.encode("VEC", fields))[1], image)
        return None if made is None else made.view(np.uint16).reshape(a.shape)


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("scale", [0.01, 1, 40])
def test_batch_norm(relu, scale):
    rng = np.random.default_rng(20)
    x, dy = (BINARY16.narrow(scale * rng.standard_normal((75, P.word), np.float32)) for _ in range(2))
    x[:, 5], x[:, 6] = BINARY16.narrow(0.1), 0
    machine, share, epsilon = Machine(), np.float32(1 / 75), 1e-5
    gamma, beta = rng.standard_normal((2, P.word), np.float32)
    machine.file[GAMMA], machine.file[BETA] = gamma, beta

    machine.passed(x, sums=1, b_is_a=1)
    machine.channel("MUL", MEAN, SUMS, value=share)
    machine.channel("MUL", T, SUMS + 1, value=share)
    machine.channel("MUL", U, MEAN, MEAN)
    machine.channel("SUB", T, T, U)
    machine.channel("MAX", T, T, value=0)
    found = normalisation.statistics(BINARY16, x)
    np.testing.assert_array_equal(machine.file[[MEAN, T]].view(np.uint32), np.stack(found).view(np.uint32))
    machine.channel("ADD", T, T, value=epsilon)
    machine.channel("RSQRT", INVERSE, T)
    machine.channel("MUL", SCALE, GAMMA, INVERSE)
    machine.channel("MUL", T, MEAN, SCALE)
    machine.channel("SUB", SHIFT, BETA, T)
    y = machine.passed(x, rows=(ZERO, ZERO, SCALE, ZERO, SHIFT), outputs=1, relu=int(relu), b_none=1)
    made = normalisation.scaling(found, gamma, beta, epsilon)
    np.testing.assert_array_equal(y, normalisation.normalise(BINARY16, x, made, relu))

    machine.passed(dy, x, rows=(SCALE, SHIFT, ZERO, ZERO, ZERO), sums=1, gate=int(relu))
    machine.channel("MUL", T, MEAN, SUMS)
    machine.channel("SUB", T, SUMS + 1, T)
    machine.channel("MUL", GAMMA, T, INVERSE)
    machine.channel("MUL", T, GAMMA, INVERSE)
    machine.channel("MUL", T, T, value=share)
    machine.channel("MUL", T, SCALE, T)
    machine.channel("MUL", T, T, value=-1)
    machine.channel("MUL", U, SUMS, value=share)
    machine.channel("MUL", U, SCALE, U)
    machine.channel("MUL", U, U, value=-1)
    machine.channel("MUL", INVERSE, T, MEAN)
    machine.channel("SUB", U, U, INVERSE)
    dx = machine.passed(dy, x, rows=(SCALE, SHIFT, SCALE, T, U), outputs=1, gate=int(relu))
    expected = normalisation.backward(BINARY16, dy, x, found.mean, made, relu)
    np.testing.assert_array_equal(dx, expected.dx)
    np.testing.assert_array_equal(machine.file[[GAMMA, SUMS]].view(np.uint32),
                                  np.stack([expected.gamma, expected.beta]).view(np.uint32))


def test_global_average():
    """An image a segment; what is made of its sums leaves as c4 of a pass over numbers that do not matter."""
    rng = np.random.default_rng(21)
    x, dy = (BINARY16.narrow(rng.standard_normal((3, lines, 2, P.word), np.float32)) for lines in (3, 1))
    dy = dy[:, :, :1]
    dy[0, 0, 0, :3] = 0x8000, 0x8001, 1
    machine, share = Machine(), np.float32(1 / 6)
    machine.passed(x.reshape(-1, P.word), segment=6, sums=1, b_none=1)
    for image, expected in enumerate(pooling.global_average(BINARY16, x)):
        machine.channel("MUL", T, SUMS + 2 * image, value=share)
        found = machine.passed(x[0, 0, :1], rows=(ZERO, ZERO, ZERO, ZERO, T), outputs=1, b_none=1)
        np.testing.assert_array_equal(found, expected[0])
    machine.passed(dy.reshape(-1, P.word), segment=1, sums=1, b_none=1)
    for image, expected in enumerate(pooling.global_average_gradient(BINARY16, dy, x.shape)):
        machine.channel("MUL", T, SUMS + 2 * image, value=share)
        found = machine.passed(x[0].reshape(-1, P.word), rows=(ZERO, ZERO, ZERO, ZERO, T), outputs=1, b_none=1)
        np.testing.assert_array_equal(found, expected.reshape(-1, P.word))


def test_softmax_cross_entropy():
    """A row a class, a lane an image: how logits get there, and gradients from there, is not said."""
    rng = np.random.default_rng(22)
    classes, largest, total = 11, 40, 41
    logits, labels = BINARY16.narrow(3 * rng.standard_normal((P.word, 16), np.float32)), rng.integers(0, 11, P.word)
    machine, scale = Machine(), np.float32(256 / P.word)
    machine.file[:classes] = BINARY16.widen(logits[:, :classes]).T
    hot = 20
    machine.file[hot : hot + classes] = np.arange(classes)[:, None] == labels
    machine.channel("MAX", largest, 0, 1)
    for row in range(2, classes):
        machine.channel("MAX", largest, largest, row)
    for row in range(classes):
        machine.channel("SUB", row, row, largest)
        machine.channel("EXP", row, row)
        machine.channel("ADD", total, total, row)
    machine.channel("RECIP", total, total)
    for row in range(classes):
        machine.channel("MUL", row, row, total)
        machine.channel("SUB", row, row, hot + row)
        machine.channel("MUL", row, row, value=scale)
    expected = softmax_cross_entropy(BINARY16, logits, labels, classes, 256).gradient
    np.testing.assert_array_equal(BINARY16.narrow(machine.file[:classes]).T, expected[:, :classes])
