# amaranth: UnusedElaboratable=no
"""The update unit against golden: all patterns, parts, odd places, one instruction after the other; cycles."""

import json
from functools import cache

import numpy as np
import pytest

from golden.floats import BINARY32
from golden.isa.train import ISA
from golden.train.params import GROUP, PATTERNS, TrainParams, slots
from golden.train.prune import pattern_logs
from golden.train.update import Adam, Sgd
from golden.train.update_unit import UpdateUnit as Golden
from hw.train.update_lane import UPDATE_LANE_MODULE, update_lane
from hw.train.update_unit import UpdateUnit
from tests.hw.runner import run_cocotb, to_verilog
from tests.hw.train.cocotb_update_unit import ANSWER

SHAPES = {
    "16 columns, 2 lanes": {"rows": 16, "columns": 2, "update_lanes": 2},
    "32 columns": {"rows": 16, "columns": 4, "update_lanes": 8},
    "64 columns, 512 bits, bfloat16": {"rows": 32, "columns": 8, "axi_bits": 512, "number_format": 2,
                                       "update_lanes": 16},
    "16 columns, Adam": {"rows": 16, "columns": 2, "optimiser": 2},
}
OTHERS = ("16 columns, Adam",)
WIDE = {"128 columns, 512 bits": {"rows": 32, "columns": 16, "axi_bits": 512, "update_lanes": 16}}
DENSE = (GROUP, GROUP)
SPECIAL = (0, 1 << 31, 1, 0x807FFFFF, 0x00800000, 0x80800001, 0x7F7FFFFF, 0xFF7FFFFF, 0x7F800000, 0xFF800000,
           0x7FC00000, 0xFF800001)  # fmt: skip
SETTINGS = {"decay": 5e-4, "unscale": 2.0**-10, "regulariser": 0.25}
RULES = {"sgd": Sgd(rate=0.1, momentum=0.9, **SETTINGS), "adam": Adam(rate=0.01, step=5, **SETTINGS)}


class Memory:
    """An image that grows; what UPDs of it are."""

    def __init__(self, p, seed):
        self.p, self.size, self.rng, self.image = p, p.axi_bits // 8, np.random.default_rng(seed), np.zeros(0, np.uint8)

    def put(self, data):
        """Byte at which it lies; some bytes behind it are nobody's."""
        at = len(self.image)
        self.image = np.concatenate([self.image, data, np.full(-len(data) % self.size + self.size, 0xAA, np.uint8)])
        return at

    def fields(self, taps, groups, ff, bp, *, write=(1, 1), parts=1, masked=0):
        """Of an UPD of random weights, with numbers that are special in parts. Compact ones lie at places that are none
        of words', of a tile between others; with `masked` indices are those of other weights."""
        per_tile = self.p.tile_columns // GROUP
        blocks, logs = taps * groups * per_tile, {"ff": pattern_logs(*ff), "bp": pattern_logs(*bp)}
        v = {"taps": taps, "groups": groups, "parts": parts, "masked": masked, "ff": write[0], "bp": write[1]}
        size = blocks * GROUP**2
        v["part"] = size * 4 // self.size + 5
        for name, scale, count in (("gradient", 100, size if parts == 1 else parts * v["part"] * self.size // 4),
                                   ("masters", 0.1, len(self.p.masters) * size)):  # fmt: skip
            numbers = (scale * self.rng.standard_normal(count)).astype(np.float32)
            if parts > 1 and name == "gradient":
                special = BINARY32.from_bits(self.rng.choice(np.array(SPECIAL, np.uint32), count))
                numbers = np.where(self.rng.random(count) < 0.1, special, numbers)
            if name == "masters":  # second moments have no signs
                moments = numbers.reshape(-1, len(self.p.masters), self.p.word // 2)[:, 2:]
                np.abs(moments, out=moments)
            v[name] = self.put(numbers.view(np.uint8)) // self.size
        v["bp_tap"] = (per_tile + 1) * slots(*bp) * per_tile
        v["bp_tile"] = v["bp_tap"] * taps + 3
        pieces = {"ff": blocks * slots(*ff), "bp": -(-groups // per_tile) * v["bp_tile"]}
        for name, (n, m) in logs.items():
            v |= {f"{name}_n": n, f"{name}_m": m}
            for kind, width in (("values", 32), ("index", 8)):
                odd = int(self.rng.integers(0, 8))
                data = np.full((pieces[name] + odd) * width, 0xAA, np.uint8)
                if masked and (name, kind) == ("ff", "index"):
                    data[odd * width :] = self.indices(pieces[name], *ff)
                at = self.put(data)
                v[f"{name}_{kind}"] = at // width + odd
        return ISA.encode("UPD", v)

    def indices(self, count, n, m):
        """Pieces of random masks, each slot's indices: any that it may have."""
        found = self.rng.integers(0, m, (count, GROUP)) + np.arange(count)[:, None] % slots(n, m) // n * m
        return (found[:, ::2] | found[:, 1::2] << 4).astype(np.uint8).ravel()

    def updated(self, words):
        image = self.image.copy()
        for word in words:
            for at, data in Golden(self.p).update(ISA.decode(word)[1], image, RULES[self.p.optimiser_name].arguments()):
                image[at : at + len(data)] = data
        return image


@cache
def sources(shape):
    p = TrainParams(**(SHAPES | WIDE)[shape])
    return "\n".join([to_verilog(update_lane(p), UPDATE_LANE_MODULE), to_verilog(UpdateUnit(p), "update_unit")])


def simulate(shape, memory, words, tmp_path, **how):
    """Image that the instructions leave; the cycles from taking one to the end of its last write."""
    files = {name: tmp_path / name for name in ("image", "found", "cycles")}
    files["image"].write_bytes(memory.image.tobytes())
    run_cocotb(sources(shape), top="update_unit", test_module="tests.hw.train.cocotb_update_unit",
               blocks=[UPDATE_LANE_MODULE],
               parameters={"instructions": words, "size": memory.size,
                           "settings": RULES[memory.p.optimiser_name].registers(), **how,
                           **{name: str(path) for name, path in files.items()}})
    return np.frombuffer(files["found"].read_bytes(), np.uint8), json.loads(files["cycles"].read_text())


@pytest.mark.parametrize("shape", SHAPES)
def test_instructions(shape, tmp_path):
    """Groups of inputs that do and do not fill a tile, taps, all patterns both ways."""
    memory = Memory(TrainParams(**SHAPES[shape]), seed=3)
    patterns = [*PATTERNS, DENSE]
    sizes = [(1, 1), (2, 3), (1, 2), (2, 1), (1, 5), (1, 1), (1, 3), (1, 1)]
    if memory.p.columns > 4:
        sizes = [(1, 1), (2, 1), (1, 5), (1, 1), (1, 1), (1, 1), (1, 1), (1, 1)]
    words = [memory.fields(*size, ff, bp) for size, ff, bp in zip(sizes, patterns, rolled(patterns), strict=True)]
    words += [memory.fields(1, 1, (2, 8), (1, 2), write=write) for write in ((0, 1), (1, 0), (0, 0))]
    words += [memory.fields(*size, (2, 8), (1, 4), parts=parts)
              for size, parts in (((1, 2), 2), ((2, 1), 3), ((1, 1), 7))]
    some = slice(None, None, 3 if memory.p.columns > 4 else 1)
    for number, (ff, bp) in enumerate(list(zip(PATTERNS, rolled(PATTERNS), strict=True))[some]):
        words.append(memory.fields(1 + number % 2, 1 + number % 3, ff, bp, masked=1, parts=1 + (number == 2)))
    if shape in OTHERS:  # what an optimiser changes is the same in all instructions
        words = words[1::4]
    found, _ = simulate(shape, memory, words, tmp_path, stall=True, latency=7)
    wrong = np.flatnonzero(found != memory.updated(words))
    assert not len(wrong), f"{len(wrong)} bytes differ, the first at {wrong[0]}; instructions {words}"


def rolled(values):
    return values[-1:] + values[:-1]


@pytest.mark.parametrize(("shape", "of_block"), [
    ("32 columns", (96, 96)), ("64 columns, 512 bits, bfloat16", (48, 64)), ("16 columns, Adam", (128, 128)),
])  # fmt: skip
def test_cycles(shape, of_block, tmp_path):
    """What is read, or, of dense blocks, written is what takes time, while the latency is below three blocks'."""
    memory, latency = Memory(TrainParams(**SHAPES[shape]), seed=4), 100
    count = 2 * memory.p.tile_columns // GROUP
    patterns = ((2, 8), DENSE)
    words = [memory.fields(1, groups, pattern, pattern) for pattern in patterns for groups in (2, 4)]
    found, cycles = simulate(shape, memory, words, tmp_path, stall=False, latency=latency)
    assert np.array_equal(found, memory.updated(words))
    for expected, few, many in zip(of_block, cycles[::2], cycles[1::2], strict=True):
        assert many - few == expected * count, cycles
        assert 60 <= few - expected * count - latency - ANSWER <= 130, cycles


@pytest.mark.parametrize(("shape", "parts", "of_block"), [
    ("16 columns, 2 lanes", 3, 384), ("32 columns", 2, 128), ("32 columns", 5, 224),
    ("64 columns, 512 bits, bfloat16", 3, 80),
])  # fmt: skip
def test_cycles_of_parts(shape, parts, of_block, tmp_path):
    """What is read, or adding with few lanes, is what takes time, while the latency is below that of three parts."""
    memory, latency = Memory(TrainParams(**SHAPES[shape]), seed=6), 40
    count = 2 * memory.p.tile_columns // GROUP
    words = [memory.fields(1, groups, (2, 8), (2, 8), parts=parts) for groups in (2, 4)]
    found, (few, many) = simulate(shape, memory, words, tmp_path, stall=False, latency=latency)
    assert np.array_equal(found, memory.updated(words))
    assert many - few == of_block * count
    assert 60 <= few - of_block * count - latency - ANSWER <= 140


@pytest.mark.parametrize(("shape", "of_line"), [
    ("16 columns, 2 lanes", 128), ("32 columns", 2 * 96 + 2), ("64 columns, 512 bits, bfloat16", 4 * 48 + 2),
])  # fmt: skip
def test_cycles_with_masks(shape, of_line, tmp_path):
    """Indices of a line of blocks are words that are read more; or lanes are few, and they cost nothing."""
    memory, latency = Memory(TrainParams(**SHAPES[shape]), seed=7), 100
    words = [memory.fields(1, groups, (2, 8), (2, 8), masked=1) for groups in (2, 8)]
    found, (few, many) = simulate(shape, memory, words, tmp_path, stall=False, latency=latency)
    assert np.array_equal(found, memory.updated(words))
    assert abs(many - few - 6 * of_line) <= 1
    assert 60 <= few - 2 * of_line - latency - ANSWER <= 160


@pytest.mark.slow
def test_masks_that_come_late(tmp_path):
    """The last index of a line's first block is its 57th piece; a block has 48 words."""
    (shape, params), = WIDE.items()
    memory = Memory(TrainParams(**params), seed=8)
    words = [memory.fields(1, 2, (4, 8), (2, 8), masked=1)]
    found, _ = simulate(shape, memory, words, tmp_path, stall=False, latency=3)
    assert np.array_equal(found, memory.updated(words))


def test_what_is_wrong(tmp_path):
    """Instructions that have no end: a reset, and then the next one."""
    memory = Memory(TrainParams(**SHAPES["32 columns"]), seed=5)
    good = ISA.decode(memory.fields(1, 1, (2, 8), (2, 8)))[1]
    words = [ISA.encode("UPD", good | fields) for fields in (
        {"taps": 0}, {"groups": 0}, {"parts": 0}, {"ff_n": 3}, {"ff_n": 0, "ff_m": 4}, {"bp_n": 1, "bp_m": 1},
        {"bp_m": 7, "bp": 0},
        {"masked": 1, "ff_n": 0, "ff_m": 0})]
    words.append(ISA.encode("UPD", good))
    found, _ = simulate("32 columns", memory, words, tmp_path, stall=False, latency=3, wrong=len(words) - 1)
    assert np.array_equal(found, memory.updated(words[-1:]))
