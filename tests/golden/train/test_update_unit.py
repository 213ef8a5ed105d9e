"""UPD against dense weights: updated, rounded and laid out as the compiler lays out weights."""

from dataclasses import replace

import numpy as np
import pytest

from compiler.train.convolution import Convolution
from compiler.train.emit import Emitter
from compiler.train.masters import in_turns, of_turns, to_blocks
from compiler.train.products import Compact
from compiler.train.updates import update
from compiler.train.weights import compact
from golden.execution import ExecutionError
from golden.float16 import BINARY16
from golden.isa.train import ISA
from golden.train.executor import Executor
from golden.train.params import GROUP, PATTERNS, TrainParams, slots
from golden.train.update import Adam, Sgd
from golden.train.update_unit import UpdateUnit

SGD = Sgd(rate=0.1, momentum=0.9, decay=5e-4, unscale=2.0**-10)
RULES = {"sgd": SGD, "adam": Adam(rate=0.01, decay=5e-4, unscale=2.0**-10, step=3)}
ARGUMENTS = SGD.arguments()
SHAPES = {"16 columns": TrainParams(rows=16, columns=2), "32 columns": TrainParams(rows=16, columns=4),
          "64 columns, 512 bits": TrainParams(rows=32, columns=8, axi_bits=512),
          "32 columns, Adam": TrainParams(rows=16, columns=4, optimiser=2)}
DENSE = (GROUP, GROUP)


class Made:
    """A convolution's weights, dense and in memory, filled with 0xAA where nothing is; pieces of an area beyond its
    end belong to nobody."""

    def __init__(self, p, conv, ff, bp, seed=1):
        rng, taps = np.random.default_rng(seed), conv.taps
        shape = taps, conv.inputs, conv.outputs
        self.p, self.conv, self.ff, self.bp, self.size = p, conv, ff, bp, p.axi_bits // 8
        self.dense = {name: (scale * rng.standard_normal(shape)).astype(np.float32)
                      for name, scale in (("gradient", 100), *((name, 0.1) for name in p.masters))}
        if "m" in self.dense:
            self.dense["v"] = abs(self.dense["v"])
        self.parts, self.at = [], {}
        blocks = {name: to_blocks(numbers, p) for name, numbers in self.dense.items()}
        self.at["gradient"] = self._put(blocks["gradient"].view(np.uint8))
        self.at["masters"] = self._put(in_turns([blocks[name] for name in p.masters], p).view(np.uint8))
        count = np.prod(shape) // GROUP**2
        self.areas = {}
        for name, pattern in (("ff", ff), ("bp", bp)):
            pieces = count * slots(*pattern)
            sizes = 32 * pieces, 0 if pattern == DENSE else 8 * pieces
            self.areas[name] = [(self._put(np.full(size, 0xAA, np.uint8)), size) for size in sizes]
        self.image = np.concatenate(self.parts)

    def _put(self, data):
        at = sum(map(len, self.parts)) // self.size
        self.parts.append(np.concatenate([data, np.full(-len(data) % self.size + self.size, 0xAA, np.uint8)]))
        return at

    def program(self, *, masked=False, **without):
        emitter = Emitter()
        places = {name: Compact(self.areas[name][0][0], self.areas[name][1][0], *pattern)
                  for name, pattern in (("ff", self.ff), ("bp", self.bp))} | without
        update(self.p, emitter, self.conv, self.at["gradient"], self.at["masters"],
               forward=places["ff"], back=places["bp"], masked=masked)
        return emitter.words()

    def expected(self, new=None):
        """The image after the update, from the dense weights."""
        image, new = self.image.copy(), new or RULES[self.p.optimiser_name].update(self.p.half, **self.dense)
        masters = in_turns([to_blocks(numbers, self.p) for numbers in (new.w, *new.states.values())], self.p)
        self._set(image, self.at["masters"], masters.view(np.uint8))
        for name, weights in (("ff", new.half), ("bp", new.half.transpose(0, 2, 1))):
            made = compact(weights, *getattr(self, name), self.p)
            for (at, size), data in zip(self.areas[name], made, strict=True):
                self._set(image, at, data[:size])
        return image

    def _set(self, image, at, data):
        image[at * self.size : at * self.size + len(data)] = data


def run(made, words):
    images = {"m": made.image.copy()}
    Executor(made.p, words, images).run(RULES[made.p.optimiser_name].arguments())
    return images["m"]


@pytest.mark.parametrize("pattern", [*PATTERNS, DENSE])
@pytest.mark.parametrize("shape", SHAPES)
def test_equals_dense_weights(shape, pattern):
    for conv, other in ((Convolution(height=2, width=2, inputs=64, outputs=128, kernel=2), (2, 8)),
                        (Convolution(height=1, width=1, inputs=128, outputs=64), (1, 2))):
        for ff, bp in ((pattern, other), (other, pattern)):
            made = Made(SHAPES[shape], conv, ff, bp)
            assert np.array_equal(run(made, made.program()), made.expected())


@pytest.mark.parametrize("left_out", ["ff", "bp"])
def test_compact_weights_that_nobody_wants(left_out):
    made = Made(SHAPES["32 columns"], Convolution(height=1, width=1, inputs=64, outputs=64), (2, 8), (2, 4))
    expected = made.expected()
    for at, size in made.areas[left_out]:
        expected[at * made.size : at * made.size + size] = 0xAA
    assert np.array_equal(run(made, made.program(**{left_out: None})), expected)


def test_inputs_that_are_no_tile_of_columns():
    """48 of them: for FF only."""
    made = Made(SHAPES["32 columns"], Convolution(height=1, width=1, inputs=48, outputs=64), (2, 8), (2, 4))
    with pytest.raises(ValueError, match="inputs"):
        made.program()
    image, new = run(made, made.program(bp=None)), SGD.update(BINARY16, **made.dense)
    at, size = made.areas["ff"][0]
    assert np.array_equal(image[at * 32 : at * 32 + size], compact(new.half, 2, 8, made.p)[0])


GOOD = {"gradient": 0, "masters": 32, "taps": 1, "groups": 1, "parts": 1, "ff_m": 2, "bp_n": 1, "bp_m": 3}


@pytest.mark.parametrize(("fields", "message"), [
    ({"taps": 0}, "taps"), ({"groups": 0}, "inputs"), ({"parts": 0}, "parts"), ({"parts": 3, "part": 40}, "beyond"),
    ({"ff_n": 1, "ff_m": 1}, "ff"), ({"ff_n": 0, "ff_m": 4}, "ff"),
    ({"bp_n": 3}, "bp"), ({"bp_n": 1, "bp_m": 5}, "bp"), ({"gradient": 65}, "beyond"), ({"masters": 1 << 31}, "beyond"),
    ({"masters": 33}, "beyond"), ({"masked": 1, "ff_m": 0}, "masked"), ({"masked": 1, "ff_index": 1 << 20}, "indices"),
])  # fmt: skip
def test_what_is_refused(fields, message):
    p = SHAPES["16 columns"]
    words = [ISA.encode("UPD", GOOD | fields), ISA.encode("HALT", {})]
    with pytest.raises(ExecutionError, match=message):
        Executor(p, words, {"m": np.zeros(96 * 32, np.uint8)}).run(ARGUMENTS)


def test_parts_of_a_gradient():
    """From +0 on, one after the other; a single one is taken as it is."""
    p, rng = SHAPES["16 columns"], np.random.default_rng(3)
    blocks = rng.standard_normal((3, 2, 256)).astype(np.float32)
    blocks[:, 0, 0], blocks[:, 0, 1], blocks[:, 0, 2] = -0.0, (1, 2**-24, 2**-24), (2**-24, 2**-24, 1)
    image = np.concatenate([blocks.view(np.uint8).ravel(), np.zeros(4 * 1024, np.uint8)])
    fields = {"masters": 6 * 32, "taps": 1, "groups": 2, "part": 64}
    total = (blocks[0] + blocks[1]) + blocks[2]
    assert total[0, 1] == 1 < total[0, 2]
    for parts, gradient in ((3, total), (1, blocks[0])):
        v = ISA.decode(ISA.encode("UPD", fields | {"parts": parts}))[1]
        (_, both), = UpdateUnit(p).update(v, image, Sgd(rate=1, unscale=1).arguments())
        assert np.array_equal(of_turns(both.view(np.float32), p)[0], -gradient.ravel())


def test_settings_are_arguments():
    words = [ISA.encode("UPD", GOOD), ISA.encode("HALT", {})]
    for shape, some in (("16 columns", ()), ("32 columns, Adam", ARGUMENTS)):
        with pytest.raises(ExecutionError, match="pruned_decay"):
            Executor(SHAPES[shape], words, {"m": np.zeros(96 * 32, np.uint8)}).run(some)


def test_weights_that_the_forward_pass_dropped():
    """By the indices in memory, not by what the weights would have."""
    conv, p = Convolution(height=2, width=2, inputs=64, outputs=128, kernel=2), SHAPES["32 columns"]
    made, rng = Made(p, conv, (2, 8), (1, 4)), np.random.default_rng(4)
    dropped = rng.permuted(np.tile(np.arange(8) > 1, (4, 64 // 8, 128, 1)), axis=-1)
    dropped = np.swapaxes(dropped, 2, 3).reshape(4, 64, 128)
    index = compact(np.where(dropped, 0, 1).astype(np.uint16), 2, 8, p)[1]
    at = made.areas["ff"][1][0] * made.size
    made.image[at : at + len(index)] = index
    rule = replace(SGD, regulariser=0.25)
    images = {"m": made.image.copy()}
    Executor(p, made.program(masked=True), images).run(rule.arguments())
    new = rule.update(p.half, **made.dense, pruned=dropped)
    assert np.array_equal(images["m"], made.expected(new))
    assert not np.array_equal(images["m"], made.expected())
    with pytest.raises(ValueError, match="masked"):
        Made(p, conv, DENSE, (1, 4)).program(masked=True)


def test_lanes_beyond_a_word():
    with pytest.raises(ValueError, match="update_lanes"):
        TrainParams(update_lanes=16)
