"""The channel file's operations, and passes between memory and it."""

import numpy as np
import pytest

from golden.float16 import BINARY16
from golden.floats import BINARY32
from golden.isa.train import ISA, Channel
from golden.train.params import TrainParams
from golden.train.vector_unit import VectorUnit

P = TrainParams(channel_rows=64, channel_words=4)
SIZE = P.axi_bits // 8


def fields(name, **values):
    return ISA.decode(ISA.encode(name, values))[1]


def tensor(rng, pixels, words):
    return BINARY16.narrow(rng.standard_normal((pixels, words * P.word)).astype(np.float32))


def test_batch_norm_of_a_tensor():
    """Statistics by a pass, scale and shift by operations on channels, applied by another pass."""
    rng, unit, pixels, words, epsilon = np.random.default_rng(1), VectorUnit(P), 50, 2, np.float32(1e-5)
    x, gamma, beta = tensor(rng, pixels, words), *rng.standard_normal((2, words * P.word)).astype(np.float32)
    image = np.concatenate([x.view(np.uint8).ravel(), gamma.view(np.uint8), beta.view(np.uint8)])
    share, at = int(BINARY32.to_bits(np.float32(1 / pixels))), pixels * words
    unit.load(fields("LDC", address=at, rows=2 * words, row=0), image)  # gamma 0, beta 2, zeros from 60 on
    mode = {"pixels": pixels, "segment": pixels, "words": words, "c0": 60, "c1": 60, "c2": 60, "c3": 60, "c4": 60}
    assert unit.vector(fields("VEC", **mode, sums=1, b_is_a=1, s=4), image) is None
    unit.channel(fields("CHN", op=Channel.MUL, rows=2 * words, a=4, constant=1, value=share, d=10))
    for op, a, b, d in ((Channel.MUL, 10, 10, 14), (Channel.SUB, 12, 14, 16)):
        unit.channel(fields("CHN", op=op, rows=words, a=a, b=b, d=d))
    for op, value in ((Channel.MAX, np.float32(0)), (Channel.ADD, epsilon), (Channel.RSQRT, np.float32(0))):
        unit.channel(fields("CHN", op=op, rows=words, a=16, constant=1, value=int(BINARY32.to_bits(value)), d=16))
    for op, a, b, d in ((Channel.MUL, 0, 16, 18), (Channel.MUL, 10, 18, 20), (Channel.SUB, 2, 20, 22)):
        unit.channel(fields("CHN", op=op, rows=words, a=a, b=b, d=d))
    made = unit.vector(fields("VEC", **mode | {"c2": 18, "c4": 22}, outputs=1, b_none=1), image)
    assert made is not None
    exact = BINARY16.widen(x).astype(np.float64)
    expected = (exact - exact.mean(0)) / np.sqrt(exact.var(0) + epsilon) * gamma + beta
    np.testing.assert_allclose(BINARY16.widen(made.view(np.uint16)).reshape(expected.shape), expected, atol=3e-3)
    (_, stored), = unit.stored(fields("STC", row=18, rows=2))
    stored = stored.view(np.float32)
    np.testing.assert_allclose(stored, gamma / np.sqrt(exact.var(0) + epsilon), rtol=1e-4)


def test_functions_and_maximum():
    unit = VectorUnit(P)
    unit.file[0] = np.linspace(-3, 3, P.word)
    unit.channel(fields("CHN", op=Channel.EXP, rows=1, a=0, d=1))
    unit.channel(fields("CHN", op=Channel.RECIP, rows=1, a=1, d=2))
    unit.channel(fields("CHN", op=Channel.MAX, rows=1, a=0, constant=1, value=0, d=3))
    np.testing.assert_allclose(unit.file[1], np.exp(unit.file[0]), rtol=1e-5)
    np.testing.assert_allclose(unit.file[2], np.exp(-unit.file[0]), rtol=1e-5)
    assert np.array_equal(unit.file[3], np.maximum(unit.file[0], 0))


def test_turned_rows_come_back():
    """Numbers of images become rows of channels, an image a lane; stored, they are what they were."""
    rng, unit = np.random.default_rng(4), VectorUnit(P)
    x = tensor(rng, 5, 2)
    move = {"rows": 5, "row": 7, "half": 1, "turn": 1, "stride": 2}
    unit.load(fields("LDC", address=1, **move), x.view(np.uint8).ravel())
    assert np.array_equal(unit.file[7 : 7 + P.word, :5], BINARY16.widen(x[:, P.word :]).T)
    assert not unit.file[:, 5:].any()
    stored = list(unit.stored(fields("STC", address=40, **move)))
    assert [at for at, _ in stored] == [40, 42, 44, 46, 48]
    assert np.array_equal(np.stack([data.view(np.uint16) for _, data in stored]), x[:, P.word :])


def test_rows_of_16_bits():
    rng, unit = np.random.default_rng(5), VectorUnit(P)
    x = tensor(rng, 3, 1)
    unit.load(fields("LDC", rows=3, row=2, half=1), x.view(np.uint8).ravel())
    assert np.array_equal(unit.file[2:5], BINARY16.widen(x))
    unit.file[2:5] *= np.float32(1 / 3)
    stored = unit.stored(fields("STC", address=9, rows=3, row=2, half=1))
    for number, (at, data) in enumerate(stored):
        assert at == 9 + number
        assert np.array_equal(data.view(np.uint16), BINARY16.narrow(BINARY16.widen(x[number]) * np.float32(1 / 3)))


def test_segments():
    rng, unit = np.random.default_rng(2), VectorUnit(P)
    x = tensor(rng, 12, 2)
    mode = {"pixels": 12, "segment": 4, "words": 2, **{f"c{n}": 62 for n in range(5)}}
    unit.vector(fields("VEC", **mode, sums=1, b_none=1, s=8), x.view(np.uint8).ravel())
    sums = unit.file[8:20].reshape(3, 2, 2 * P.word)  # segment, s0 and s1, channel
    np.testing.assert_allclose(sums[:, 0], BINARY16.widen(x).reshape(3, 4, -1).sum(1), rtol=1e-5)
    assert not sums[:, 1].any()


@pytest.mark.parametrize(("name", "values", "message"), [
    ("LDC", {"rows": 0}, "0 rows"), ("LDC", {"rows": 2, "row": 63}, "the channel file has 64"),
    ("LDC", {"rows": 1, "address": 8}, "beyond the memory"), ("STC", {"rows": 65}, "the channel file"),
    ("LDC", {"rows": 1, "turn": 1}, "needs half"), ("STC", {"rows": 17, "half": 1, "turn": 1}, "must be 1 to 16"),
    ("LDC", {"rows": 1, "row": 49, "half": 1, "turn": 1}, "the channel file has 64"),
    ("CHN", {"rows": 2, "d": 63}, "the channel file"), ("CHN", {"rows": 1, "op": 7}, "7"),
    ("VEC", {"pixels": 1, "segment": 1, "words": 5, "outputs": 1}, "channel_words"),
    ("VEC", {"pixels": 1, "segment": 1, "words": 1}, "outputs, sums"),
    ("VEC", {"pixels": 3, "segment": 2, "words": 1, "sums": 1}, "pixels"),
    ("VEC", {"pixels": 3, "segment": 3, "words": 1, "sums": 1, "b": 7}, "beyond the memory"),
])  # fmt: skip
def test_what_is_refused(name, values, message):
    unit, image = VectorUnit(P), np.zeros(8 * SIZE, np.uint8)
    does = {"LDC": unit.load, "STC": lambda v, _: list(unit.stored(v)), "CHN": lambda v, _: unit.channel(v),
            "VEC": unit.vector}[name]  # fmt: skip
    with pytest.raises(ValueError, match=message):
        does(fields(name, **values), image)
