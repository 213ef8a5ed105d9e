# amaranth: UnusedElaboratable=no
"""The matrix unit against golden: convolutions, their weight gradients, stationary weights, one after the other."""

import functools
import json

import numpy as np
import pytest

from golden.isa.train import ISA
from golden.train import matrix as golden
from golden.train.params import GROUP, TrainParams
from hw.fabric.ram import RAM
from hw.train.layouts import addressed_layout
from hw.train.matrix import MatrixUnit
from hw.train.uspe import USPE_MODULE, Uspe
from tests.hw.runner import run_cocotb, to_verilog
from tests.hw.train.bench import SHAPES, ascending, numbers

WIDE = {"16 x 16": {"rows": 16, "columns": 16}, "64 x 8": {"rows": 64, "columns": 8}}
"""Vectors of two memory words; more rows than numbers of a word. Larger arrays, so nightly."""


def convolution(p, *, kernel, stride, size, images, slots_log2, words=1, w=0, **further):
    """MM of a convolution of images [size, size, words] in X from row 0 on, with weights one tap after the other."""
    padding = kernel // 2
    out = (size + 2 * padding - kernel) // stride + 1
    of_tap = 8 * (words * p.word // GROUP << slots_log2)
    row_words = p.tile_columns // p.word
    return {
        "slots_log2": slots_log2, "pixels": images * out * out, "nx": out, "ny": out, "step_x": stride * words,
        "step_y": stride * size * words, "step_n": size * size * words, "x0": -padding, "y0": -padding,
        "stride_x": stride, "stride_y": stride, "width": size, "height": size, "taps_x": kernel, "taps_y": kernel,
        "words": words, "tap_dx": 1, "tap_dy": 1, "tap_x": words, "tap_y": size * words, "w": w, "w_x": of_tap,
        "w_y": kernel * of_tap, "x": -padding * (size + 1) * words % (1 << 16), "out_words": row_words,
        "out_x": row_words, "out_y": out * row_words, "out_n": out * out * row_words, **further,
    }


def weight_gradient(p, *, kernel, size, images, words, **further):
    """MM of a weight gradient: k's are the pixels of dY in W, one after the other; rows the channels of X."""
    fields = convolution(p, kernel=kernel, stride=1, size=size, images=images, slots_log2=4, words=words)
    piece, pieces = 2 * GROUP // p.word, p.tile_columns // GROUP
    return fields | {"spread": 1, "wide": 1, "out_words": piece * pieces, "out_piece": piece * GROUP,
                     "out_x": piece, "out_y": piece * pieces * GROUP, "out_n": 0, "out": 1000, **further}


def wide_rows(p):
    """Fields for sums in binary32, a row after the other."""
    words = 2 * p.tile_columns // p.word
    return {"wide": 1, "out_words": words, "out_x": words, "out_y": 0, "out_n": 0, "out_piece": 2 * GROUP // p.word,
            "ny": 1}


def cases(p):
    blocks = p.rows // p.word
    few = convolution(p, kernel=1, stride=1, size=5, images=1, slots_log2=2, out=3)
    yield convolution(p, kernel=3, stride=1, size=5, images=2, slots_log2=2)
    yield convolution(p, kernel=3, stride=2, size=6, images=1, slots_log2=1, words=2, w=64, out=77)
    yield few
    yield weight_gradient(p, kernel=3, size=3, images=2, words=blocks)
    yield convolution(p, kernel=1, stride=1, size=7, images=1, slots_log2=2, words=2, stationary=1, out=500)
    yield convolution(p, kernel=1, stride=1, size=4, images=1, slots_log2=4, words=2, out=7)
    yield few | wide_rows(p) | {"nx": 25}
    yield convolution(p, kernel=3, stride=1, size=3, images=1, slots_log2=3, words=1, stationary=1)
    yield convolution(p, kernel=1, stride=1, size=2, images=1, slots_log2=4, words=1, stationary=1, out=9)
    yield weight_gradient(p, kernel=1, size=4, images=1, words=2 * blocks)
    yield weight_gradient(p, kernel=3, size=4, images=8, words=2 * blocks)
    yield convolution(p, kernel=1, stride=1, size=4, images=8, slots_log2=2, words=2, out=40)  # tiles of few rounds


@pytest.mark.parametrize(("shape", "stall"), [
    *((shape, 0.6) for shape in SHAPES), (next(iter(SHAPES)), 0.0),
    *(pytest.param(shape, 0.3, marks=pytest.mark.slow) for shape in WIDE),
])  # fmt: skip
def test_instructions(shape, stall, tmp_path):
    p = TrainParams(**(SHAPES | WIDE)[shape], x_words=256, w_steps=2048)
    rng, unit = np.random.default_rng(5), golden.MatrixUnit(p)
    unit.x[:] = numbers(rng, p.half, unit.x.shape)
    unit.values[:] = numbers(rng, p.half, unit.values.shape)
    unit.index[:] = ascending(rng, p.w_steps // 8, 8, p.columns).reshape(unit.index.shape)
    instructions = [ISA.encode("MM", fields) for fields in cases(p)]
    expected, ends = [], []
    for word in instructions:
        for at, data in unit.multiply(ISA.decode(word)[1]):
            parts = data.reshape(-1, p.axi_bits // 8)
            expected += [(at + i, int.from_bytes(part.tobytes(), "little")) for i, part in enumerate(parts)]
        ends.append(len(expected))

    files = {name: tmp_path / f"{name}.json" for name in ("inputs", "results")}
    rows = {"write_x": as_numbers(unit.x, 16), "write_values": as_numbers(unit.values.reshape(-1, p.word), 16),
            "write_index": as_numbers(unit.index.reshape(-1, 4 * p.word), 4)}
    files["inputs"].write_text(json.dumps({"rows": rows, "instructions": instructions, "words": len(expected)}))
    run_cocotb(matrix(p), top="matrix", test_module="tests.hw.train.cocotb_matrix", blocks=[USPE_MODULE],
               extra_sources=[RAM],
               parameters={"stall": stall, **{name: str(path) for name, path in files.items()}})
    found = json.loads(files["results"].read_text())
    layout = addressed_layout(p)
    words = [(word & (1 << layout["address"].width) - 1, word >> layout["address"].width) for word in found["words"]]
    wrong = [i for i, (a, b) in enumerate(zip(words, expected, strict=True)) if a != b]
    assert not wrong, f"{len(wrong)} of {len(words)} words differ, first {wrong[0]}: {words[wrong[0]]}, not " \
                      f"{expected[wrong[0]]}; instructions end at {ends}"
    assert all(answered >= end for answered, end in zip(found["ends"], ends, strict=True)), (found["ends"], ends)
    assert found["ends"][-1] == ends[-1]


@functools.cache
def matrix(p):
    """Verilog, with its USPE."""
    return "\n".join([to_verilog(MatrixUnit(p), "matrix"), to_verilog(Uspe(), USPE_MODULE)])


def as_numbers(rows, bits):
    return [sum(number << bits * i for i, number in enumerate(row)) for row in rows.tolist()]
