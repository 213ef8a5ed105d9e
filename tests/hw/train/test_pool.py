# amaranth: UnusedElaboratable=no
"""POOL against golden: windows of all sizes forward and back, ties and special numbers; cycles, errors, resets."""

import json
from functools import cache

import numpy as np
import pytest

from golden.isa.train import ISA
from golden.train.params import TrainParams
from golden.train.pool_unit import PoolUnit
from hw.fabric.ram import RAM
from hw.train.pool import Pool
from hw.train.pool_gradient import PoolGradient
from tests.hw.runner import run_cocotb, to_verilog

SHAPES = {
    "256 bits, 4 words, binary16": {"channel_words": 4},
    "512 bits, 2 words, bfloat16": {"rows": 32, "axi_bits": 512, "channel_words": 2, "number_format": 2},
}
SPECIAL = (0x0000, 0x8000, 0x0001, 0x8001, 0x0002, 0x007F, 0x807F, 0x0080, 0x8080, 0x03FF, 0x0400, 0x3C00, 0xBC00,
           0x3F80, 0xBF80, 0x7C00, 0xFC00, 0x7F80, 0xFF80, 0x7C01, 0xFE00, 0x7FC0, 0xFFC1, 0x7FFF)  # fmt: skip
"""Of both formats: zeros, subnormal, one, infinite, NaN."""


class Memory:
    """An image that grows; what POOLs of it leave."""

    def __init__(self, p, seed):
        self.p, self.rng, self.image = p, np.random.default_rng(seed), np.zeros((0, p.word), np.uint16)

    def put(self, words, special):
        """First word of random numbers, many of them equal, a share of them `special` ones."""
        shape, rng = (words, self.p.word), self.rng
        equal = self.p.half.narrow(rng.integers(-3, 2, shape).astype(np.float32))
        numbers = np.where(rng.random(shape) < 0.5, equal, self.p.half.narrow(rng.standard_normal(shape, np.float32)))
        numbers = np.where(rng.random(shape) < special, rng.choice(np.array(SPECIAL, np.uint16), shape), numbers)
        self.image = np.concatenate([self.image, numbers, np.full((1, self.p.word), 0xAAAA, np.uint16)])
        return len(self.image) - words - 1

    def fields(self, kernel, step, nx, ny, *, images=1, words=1, back=0, special=0.1):
        """Of a POOL; lines and images have some words more than windows, or none."""
        line = ((nx - 1) * step + kernel) * words + int(self.rng.integers(0, 3))
        image = ((ny - 1) * step + kernel) * line + int(self.rng.integers(0, 3))
        outputs = images * ny * nx * words
        return {
            "x": self.put(images * image, special), "kernel": kernel, "step": step, "nx": nx, "ny": ny,
            "images": images, "words": words, "line": line, "image": image, "back": back,
            "dy": self.put(outputs, special) if back else 0, "out": self.put(images * image if back else outputs, 0),
        }

    def pooled(self, fields):
        """The image afterwards, bytes."""
        image, size = self.image.view(np.uint8).ravel(), self.p.axi_bits // 8
        for v in fields:
            for at, data in PoolUnit(self.p).pool(v, image):
                image[at * size : at * size + len(data)] = data
        return image.reshape(-1, size)


@cache
def sources(shape):
    return to_verilog(Pool(TrainParams(**SHAPES[shape])), "pool")


def simulate(shape, memory, fields, tmp_path, *, stall=False, latency=9, wrong=(), broken=()):
    """Runs instructions, checks the memory; the cycles from each one's start to its last word."""
    files = {name: tmp_path / f"{name}.json" for name in ("memory", "results")}
    words = [int.from_bytes(row.tobytes(), "little") for row in memory.image]
    files["memory"].write_text(json.dumps(words))
    made = [ISA.encode("POOL", v) for v in fields]
    run_cocotb(sources(shape), top="pool", test_module="tests.hw.train.cocotb_pool", extra_sources=[RAM],
               parameters={"params": SHAPES[shape], "stall": stall, "latency": latency, "instructions": made,
                           "wrong": [ISA.encode("POOL", v) for v in wrong],
                           "broken": [(ISA.encode("POOL", v), cycles) for v, cycles in broken],
                           **{name: str(path) for name, path in files.items()}})
    found = json.loads(files["results"].read_text())
    expected = [int.from_bytes(row.tobytes(), "little") for row in memory.pooled([v for v, _ in broken] + fields)]
    differ = [i for i, pair in enumerate(zip(found["memory"], expected, strict=True)) if pair[0] != pair[1]]
    assert not differ, f"words {differ[:10]} of {len(differ)}; instructions {fields}"
    return found["cycles"]


@pytest.mark.parametrize("stall", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_windows(shape, stall, tmp_path):
    """All kernels, overlapping windows forward, numbers of words and images; one instruction after the other."""
    p = TrainParams(**SHAPES[shape])
    memory, many = Memory(p, seed=3), p.channel_words
    cases = [
        ((1, 1, 5, 3), {}), ((1, 2, 3, 2), {"words": many}), ((2, 2, 7, 5), {"words": 2, "images": 2}),
        ((2, 3, 1, 4), {"images": 3}), ((3, 3, 3, 3), {"words": many, "special": 0.5}),
        ((3, 5, 2, 1), {"words": 2, "special": 0.9}), ((4, 4, 2, 3), {"words": 1}), ((2, 2, 9, 2), {}),
    ]
    fields = [memory.fields(*size, back=back, **further) for size, further in cases for back in (0, 1)]
    fields += [memory.fields(1, 1, 30, 1, back=1)] * 3
    fields += [memory.fields(3, 1, 5, 4, words=2), memory.fields(3, 2, 4, 3, words=many, images=2),
               memory.fields(15, 15, 1, 1, back=1), memory.fields(2, 255, 1, 1, back=1)]
    simulate(shape, memory, fields, tmp_path, stall=stall, latency=20 if stall else 3)


@pytest.mark.parametrize("back", [0, 1])
def test_cycles(back, tmp_path):
    """A beat a cycle, whatever the windows; what an instruction takes more is what is stated."""
    shape, latency = "256 bits, 4 words, binary16", 9
    memory = Memory(TrainParams(**SHAPES[shape]), seed=4)
    sizes = [(2, 2, 6, 2, 1), (2, 2, 5, 3, 4), (3, 3, 4, 2, 2), (1, 1, 9, 1, 1), (4, 4, 2, 2, 3)]
    fields = [memory.fields(*size, words=words, back=back) for *size, words in sizes]
    cycles = simulate(shape, memory, fields, tmp_path, latency=latency)
    for (kernel, _, nx, ny, words), found in zip(sizes, cycles, strict=True):
        taps, windows = kernel**2 * words, nx * ny
        beats = windows * (taps + back * words)
        last = Pool.START + latency + beats - 1 + Pool.LATENCY
        assert found == last + back * (1 + PoolGradient.LATENCY + taps - 1)


def test_what_is_wrong(tmp_path):
    """An instruction that is none, and the next one."""
    shape = "256 bits, 4 words, binary16"
    memory = Memory(TrainParams(**SHAPES[shape]), seed=5)
    good = memory.fields(2, 2, 2, 2, back=1)
    bad = [good | fields for fields in (
        {"kernel": 0}, {"step": 0}, {"nx": 0}, {"ny": 0}, {"images": 0}, {"words": 0}, {"words": 5}, {"step": 1},
        {"back": 0, "step": 0})]  # fmt: skip
    for v in bad:
        with pytest.raises(ValueError, match=r"windows|words"):
            list(PoolUnit(memory.p).pool(v, memory.image.view(np.uint8).ravel()))
    simulate(shape, memory, [good], tmp_path, wrong=bad)


@pytest.mark.parametrize("cycles", [5, 18, 27, 40, 60])
def test_reset_inside(cycles, tmp_path):
    """Nothing of an instruction is left."""
    shape = "256 bits, 4 words, binary16"
    memory = Memory(TrainParams(**SHAPES[shape]), seed=6)
    broken = memory.fields(3, 3, 4, 2, words=2, back=1)
    again = [broken, memory.fields(2, 2, 3, 3, words=3), memory.fields(2, 2, 3, 3, words=1, back=1)]
    simulate(shape, memory, again, tmp_path, stall=True, broken=[(broken, cycles)])


def test_words_beyond_the_memory():
    memory = Memory(TrainParams(**SHAPES["256 bits, 4 words, binary16"]), seed=7)
    good = memory.fields(2, 2, 2, 2, back=1)
    for fields in ({"x": 1 << 31}, {"dy": len(memory.image) - 3}):
        with pytest.raises(ValueError, match="beyond the memory"):
            list(PoolUnit(memory.p).pool(good | fields, memory.image.view(np.uint8).ravel()))
