"""MM against convolutions written as loops, with small whole numbers, for which every sum is exact."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from golden.float16 import BINARY16
from golden.isa.train import ISA
from golden.train.matrix import MatrixUnit
from golden.train.params import GROUP, INTERLEAVE, TrainParams
from golden.train.prune import mask, prune

P = TrainParams(rows=16, columns=2, x_words=4096, w_steps=8192)
SIZE = P.axi_bits // 8


def convolved(x, weights, stride, padding):
    """[n, h, w, ci], [co, ci, kh, kw] -> [n, oh, ow, co], by its definition."""
    taps = weights.shape[2:]
    x = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    height, width = ((size - tap) // stride + 1 for size, tap in zip(x.shape[1:3], taps, strict=True))
    out = np.zeros((len(x), height, width, len(weights)))
    for i in range(height):
        for j in range(width):
            patch = x[:, i * stride : i * stride + taps[0], j * stride : j * stride + taps[1]]
            out[:, i, j] = np.einsum("nhwc,ochw->no", patch, weights)
    return out


def whole(rng, shape, most=3):
    return rng.integers(-most, most + 1, shape).astype(np.float32)


def as_columns(unit, matrix, n, m):
    """Puts weights [taps, k, columns] compactly into W; returns log2 of the slots, steps of a tap."""
    values, index = prune(BINARY16.narrow(matrix).transpose(0, 2, 1), n, m)  # [taps, columns, groups, slots]
    steps = values.transpose(0, 2, 3, 1).reshape(-1, P.columns)
    unit.values[: len(steps)] = steps
    unit.index[: len(steps)] = index.transpose(0, 2, 3, 1).reshape(-1, P.columns)
    return values.shape[-1].bit_length() - 1, len(steps) // len(matrix)


def written(unit, fields, words):
    memory = np.zeros((words, SIZE), np.uint8)
    for at, data in unit.multiply(ISA.decode(ISA.encode("MM", fields))[1]):
        memory[at : at + len(data) // SIZE] = data.reshape(-1, SIZE)
    return memory


def masked(weights, n, m, axis):
    """Weights that N:M leaves, groups along an axis."""
    moved = np.moveaxis(weights, axis, -1)
    return np.moveaxis(np.where(mask(BINARY16.narrow(moved), n, m), moved, 0), -1, axis)


@given(seed=st.integers(0, 2**32 - 1), stride=st.sampled_from([1, 2]), kernel=st.sampled_from([1, 3]),
       pattern=st.sampled_from([(16, 16), (2, 8), (2, 16), (1, 2)]), stationary=st.booleans())
@settings(max_examples=25, deadline=None)
def test_forward(seed, stride, kernel, pattern, stationary):
    rng = np.random.default_rng(seed)
    images, height, width, inputs = 2, int(rng.integers(3, 7)), int(rng.integers(3, 7)), 32
    padding = kernel // 2
    x, weights = whole(rng, (images, height, width, inputs)), whole(rng, (P.tile_columns, inputs, kernel, kernel))
    expected = convolved(x, masked(weights, *pattern, 1), stride, padding)
    unit, words = MatrixUnit(P), inputs // P.word
    unit.x[: x.size // P.word] = BINARY16.narrow(x).reshape(-1, P.word)
    slots_log2, of_tap = as_columns(unit, weights.transpose(2, 3, 1, 0).reshape(kernel**2, inputs, -1), *pattern)
    lines, line = expected.shape[1:3]
    corner = -padding * (width + 1) * words  # of the first tap, outside of the image
    fields = {
        "slots_log2": slots_log2, "pixels": images * lines * line, "nx": line, "ny": lines,
        "step_x": stride * words, "step_y": stride * width * words, "step_n": height * width * words,
        "x0": -padding, "y0": -padding, "stride_x": stride, "stride_y": stride, "width": width, "height": height,
        "taps_x": kernel, "taps_y": kernel, "words": words, "tap_dx": 1, "tap_dy": 1, "tap_x": words,
        "tap_y": width * words, "w_x": of_tap, "w_y": kernel * of_tap, "x": corner % (1 << 16), "out_words": 1,
        "out_x": 1, "out_y": line, "out_n": lines * line,
        "stationary": stationary and kernel == 1,
    }
    found = written(unit, fields, images * lines * line)
    assert np.array_equal(BINARY16.widen(found.view(np.uint16)).reshape(expected.shape), expected)


def test_weight_gradient():
    """k's are the 70 pixels of dY, rows the channels of X, a tile a tap."""
    rng = np.random.default_rng(2)
    images, height, width, inputs, padding = 2, 5, 7, 16, 1
    x, dy = whole(rng, (images, height, width, inputs)), whole(rng, (images, height, width, P.tile_columns))
    padded = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    expected = np.stack([np.einsum("nhwc,nhwo->co", padded[:, i : i + height, j : j + width], dy)
                         for i in range(3) for j in range(3)])
    unit = MatrixUnit(P)
    unit.x[: x.size // P.word] = BINARY16.narrow(x).reshape(-1, P.word)
    unit.values[: dy.size // P.columns] = BINARY16.narrow(dy).reshape(-1, P.columns)
    pieces = 4 * GROUP // SIZE
    fields = {
        "spread": 1, "slots_log2": 4, "wide": 1, "pixels": images * height * width, "nx": width, "ny": height,
        "step_x": 1, "step_y": width, "step_n": height * width, "x0": -1, "y0": -1, "stride_x": 1, "stride_y": 1,
        "width": width, "height": height, "taps_x": 3, "taps_y": 3, "words": 1, "tap_dx": 1, "tap_dy": 1, "tap_x": 1,
        "tap_y": width, "x": -(width + 1) % (1 << 16), "out_words": pieces, "out_x": pieces, "out_y": pieces * P.rows,
    }
    found = written(unit, fields, 9 * P.rows * pieces)
    assert np.array_equal(found.view(np.float32).reshape(expected.shape), expected)


def test_input_gradient_of_stride_2():
    """dX of lines and columns of one parity: a convolution of stride 1 over dY with the taps that meet them."""
    rng = np.random.default_rng(3)
    size, outputs, padding = 6, 32, 1
    dy, weights = whole(rng, (1, size // 2, size // 2, outputs)), whole(rng, (outputs, P.tile_columns, 3, 3))
    expected = np.zeros((size + 2, size + 2, P.tile_columns))
    for i in range(size // 2):
        for j in range(size // 2):
            expected[2 * i : 2 * i + 3, 2 * j : 2 * j + 3] += np.einsum(
                "o,oihw->hwi", dy[0, i, j], masked(weights, 2, 8, 0))
    expected = expected[padding:-padding, padding:-padding]
    words = outputs // P.word
    memory = np.zeros((size * size, SIZE), np.uint8)
    for line in range(2):
        for column in range(2):
            unit = MatrixUnit(P)
            unit.x[: dy.size // P.word] = BINARY16.narrow(dy).reshape(-1, P.word)
            taps_y, taps_x = ([1] if parity == 0 else [0, 2] for parity in (line, column))
            chosen = weights[:, :, taps_y][..., taps_x].transpose(2, 3, 0, 1).reshape(-1, outputs, P.tile_columns)
            slots_log2, of_tap = as_columns(unit, chosen, 2, 8)
            # tap 0 meets the line behind, tap 2, two rows of X before, the same one
            y0, x0 = line, column
            fields = {
                "slots_log2": slots_log2, "pixels": (size // 2) ** 2, "nx": size // 2, "ny": size // 2,
                "step_x": words, "step_y": size // 2 * words, "x0": x0, "y0": y0, "stride_x": 1, "stride_y": 1,
                "width": size // 2, "height": size // 2, "taps_x": len(taps_x), "taps_y": len(taps_y), "words": words,
                "tap_dx": -1, "tap_dy": -1, "tap_x": -words, "tap_y": -(size // 2) * words,
                "w_x": of_tap, "w_y": of_tap * len(taps_x), "x": (y0 * (size // 2) + x0) * words, "out_words": 1,
                "out": line * size + column, "out_x": 2, "out_y": 2 * size,
            }
            memory |= written(unit, fields, size * size)
    assert np.array_equal(BINARY16.widen(memory.view(np.uint16)).reshape(expected.shape), expected)


def test_loads():
    unit, rng = MatrixUnit(P), np.random.default_rng(4)
    image = rng.integers(0, 256, 100 * SIZE, dtype=np.uint8)
    rows = image.reshape(-1, SIZE)
    runs = {"address": 3, "words": 2, "runs": 3, "stride": 10, "to": 7, "n": 0, "m": 0}
    unit.load(runs, image, "x")
    assert np.array_equal(unit.x[7:13].view(np.uint8).reshape(-1, SIZE), rows[[3, 4, 13, 14, 23, 24]])
    unit.load(runs | {"to": 8}, image, "values")
    steps = P.steps_of_word["values"]
    assert np.array_equal(unit.values[8 : 8 + steps].ravel(), rows[3].view(np.uint16))
    for what in ("values", "index"):
        with pytest.raises(ValueError, match=f"to = 7: must be a multiple of {P.steps_of_word[what]}"):
            unit.load(runs, image, what)
    unit.load(runs | {"to": 0}, image, "index")
    nibbles = [number >> shift & 15 for number in rows[3].tolist() for shift in (0, 4)]
    assert unit.index[: len(nibbles) // P.columns].ravel().tolist() == nibbles
    unit.load(runs | {"n": 1, "m": 2}, image, "x")
    assert np.array_equal(unit.x[7], np.where(mask(rows[3].view(np.uint16), 2, 4), rows[3].view(np.uint16), 0))
    for bad in ({"runs": 0}, {"address": 99}, {"to": 65000}, {"m": 1, "n": 1}):
        with pytest.raises(ValueError, match=r"beyond|the buffer has|no pattern"):
            unit.load(runs | bad, image, "x")


@pytest.mark.parametrize(("fields", "message"), [
    ({"slots_log2": 0}, "slots"), ({"spread": 1, "slots_log2": 3}, "slots"), ({"pixels": 0}, "no pixels"),
    ({"out_words": 2}, "a row of sums has 1"), ({"stationary": 1, "words": 17}, "17 groups"),
])  # fmt: skip
def test_what_is_refused(fields, message):
    good = dict.fromkeys(("pixels", "nx", "ny", "taps_x", "taps_y", "words", "out_words"), 1) | {"slots_log2": 2}
    assert list(MatrixUnit(P).multiply(ISA.decode(ISA.encode("MM", good))[1]))
    with pytest.raises(ValueError, match=message):
        list(MatrixUnit(P).multiply(ISA.decode(ISA.encode("MM", good | fields))[1]))


def test_interleave_fills_a_row():
    assert P.tile_columns == INTERLEAVE * P.columns == P.word
