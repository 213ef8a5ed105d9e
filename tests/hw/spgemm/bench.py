"""Parameter sets of the SpGEMM units' tests, and what these share."""

import numpy as np

from golden import float32 as f32
from golden.spgemm.params import SpgemmParams
from golden.spgemm.product import ARITHMETIC
from hw.fabric.ram import RAM
from hw.spgemm.layouts import SERIAL_BITS, row_layout
from tests.hw.harness import parameters
from tests.hw.runner import run_cocotb

__all__ = [
    "SHAPES", "STALLS", "add_bits", "packed", "random_row", "random_value", "run_unit", "shape_params", "unpacked",
]

SHAPES = {
    "8 lanes, 16 banks": {"axi_bits": 512, "banks": 16, "contexts": 8, "slots": 256, "engines": 3},
    "4 lanes, 4 banks, int32": {"axi_bits": 256, "banks": 4, "contexts": 4, "slots": 32, "probe_limit": 6,
                                "float32": 2},
}  # fmt: skip
STALLS = (0.0, 0.5)
EXTREMES = (0x00000000, 0x80000000, 0x7F800000, 0xFF800000, f32.NAN_BITS, 0x00800000, 0x80800000, 0x7F7FFFFF)


def run_unit(unit, top, shape, stall, seed=1):
    """All tests of the cocotb module of the unit's name."""
    run_cocotb(unit(SpgemmParams(**SHAPES[shape])), top=top, test_module=f"tests.hw.spgemm.cocotb_{top}",
               parameters={"params": SHAPES[shape], "stall": stall, "seed": seed}, extra_sources=[RAM])  # fmt: skip


def shape_params():
    """(parameters, probability of a stall) of this run."""
    given = parameters()
    return SpgemmParams(**given["params"]), given["stall"]


def packed(layout, values):
    """Bits of a layout from (nested) dictionaries."""
    return layout.const(values).as_value().value


def unpacked(layout, bits):
    """Dictionary of a layout's fields, nested ones as bits."""
    return {name: bits >> field.offset & (1 << field.width) - 1 for name, field in layout}


def random_row(p, rng, regions=0, half=None):
    """A row of 2**regions contexts, anywhere; `rng` is a random.Random."""
    assert set(rows := dict(row_layout(p))) == {"context", "half", "regions", "serial"}, rows
    return {"context": rng.randrange(p.contexts >> regions) << regions, "regions": regions,
            "half": rng.randrange(2) if half is None else half,
            "serial": rng.randrange(1, 1 << SERIAL_BITS)}  # fmt: skip


def add_bits(p, a, b):
    """Sum of two numbers of the engine, all as bits."""
    numbers = ARITHMETIC[p.numbers]
    x, y = (np.array([bits], np.uint32).view(numbers.dtype) for bits in (a, b))
    return int(numbers.add(x, y).view(np.uint32)[0])


def random_value(p, rng):
    """Bits of a product: any int32; binary32 of like magnitude, so that sums cancel and round, seldom an extreme."""
    if p.numbers == "int32":
        return rng.getrandbits(32)
    if rng.random() < 0.1:
        return rng.choice(EXTREMES[:2])
    if rng.random() < 0.01:
        return rng.choice(EXTREMES)
    return rng.getrandbits(1) << 31 | rng.randrange(120, 130) << 23 | rng.getrandbits(23)
