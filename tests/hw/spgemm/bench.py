"""Parameter sets of the SpGEMM units' tests, and what these share."""

import numpy as np

from golden.spgemm.params import SpgemmParams
from golden.spgemm.product import ARITHMETIC
from hw.fabric.ram import RAM
from hw.spgemm.layouts import SERIAL_BITS, row_layout
from tests.hw.harness import parameters
from tests.hw.runner import run_cocotb

__all__ = [
    "FRONT_SHAPES", "NUMBER_SHAPES", "SHAPES", "STALLS", "add_bits", "random_row", "random_value", "run_unit",
    "shape_params", "word_type",
]

SHAPES = {
    "8 lanes, 16 banks": {
        "engines": 3, "axi_bits": 512, "banks": 16, "contexts": 8, "slots": 256, "cache_lines": 64, "window": 64,
        "ring": 64, "burst_beats": 8, "miss_queues": 4, "miss_bit": 9, "block_lines": 2, "column_bits": 24,
    },
    "4 lanes, 4 banks, int32": {
        "axi_bits": 256, "banks": 4, "queue_banks": 1, "contexts": 4, "slots": 32, "probe_limit": 6,
        "number_format": 2, "cache_lines": 16, "cache_ways": 2, "window": 8, "ring": 32,
        "burst_beats": 8, "outstanding": 4, "in_flight": 4, "miss_queues": 1,
    },
}
FRONT_SHAPES = SHAPES | {
    "2 lanes, 16 contexts, fp64": {
        "axi_bits": 256, "number_format": 3, "banks": 2, "contexts": 16, "slots": 64, "probe_limit": 8,
        "cache_lines": 16, "cache_ways": 8, "window": 16, "ring": 16, "burst_beats": 8, "outstanding": 8,
        "in_flight": 8,
    },
}
"""For what lies before the banks."""
NUMBER_SHAPES = SHAPES | {"2 lanes, fp64": {
    "axi_bits": 256, "number_format": 3, "banks": 2, "contexts": 4, "slots": 32, "probe_limit": 6,
}}  # fmt: skip
"""For arithmetic: a shape for each kind of numbers."""
STALLS = (0.0, 0.5)


def run_unit(unit, top, shape, stall=0.0, **arguments):
    """All tests of the cocotb module of the unit's name, which gets the unit's further `arguments` too."""
    params = (FRONT_SHAPES | NUMBER_SHAPES)[shape]
    run_cocotb(unit(SpgemmParams(**params), **arguments), top=top, test_module=f"tests.hw.spgemm.cocotb_{top}",
               parameters={"params": params, "stall": stall, **arguments}, extra_sources=[RAM])  # fmt: skip


def shape_params():
    """(parameters, probability of a stall) of this run."""
    given = parameters()
    return SpgemmParams(**given["params"]), given["stall"]


def random_row(p, rng, regions=0, half=None):
    """A row of 2**regions contexts, anywhere; `rng` is a random.Random."""
    assert set(rows := dict(row_layout(p))) == {"context", "half", "regions", "serial"}, rows
    return {"context": rng.randrange(p.contexts >> regions) << regions, "regions": regions,
            "half": rng.randrange(2) if half is None else half,
            "serial": rng.randrange(1, 1 << SERIAL_BITS)}  # fmt: skip


def add_bits(p, a, b):
    """Sum of two numbers of the engine, all as bits."""
    numbers = ARITHMETIC[p.numbers]
    x, y = (np.array([bits], word_type(p)).view(numbers.dtype) for bits in (a, b))
    return int(numbers.add(x, y).view(word_type(p))[0])


def random_value(p, rng):
    """Bits of a product: any int32; floats of like magnitude, so that sums cancel and round, seldom an extreme."""
    of = ARITHMETIC[p.numbers].format
    if of is None:
        return rng.getrandbits(32)
    if rng.random() < 0.1:
        return rng.choice([0, of.sign_bit])
    if rng.random() < 0.01:
        return rng.choice([0, of.infinity_bits, 1 << of.fraction, of.infinity_bits - 1]) | rng.choice([0, of.sign_bit])
    exponent = of.bias + rng.randrange(-7, 3)
    return rng.choice([0, of.sign_bit]) | exponent << of.fraction | rng.getrandbits(of.fraction)


def word_type(p):
    """NumPy's type of a number's bits."""
    return np.dtype(f"u{p.value_bits // 8}")
