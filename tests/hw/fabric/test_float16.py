# amaranth: UnusedElaboratable=no
"""Narrow and Widen in Verilog against golden, bit for bit."""

from functools import partial

import numpy as np
import pytest

from golden.float16 import BFLOAT16, HALVES
from golden.floats import BINARY32
from hw.fabric.float16 import Narrow, Widen
from tests.hw.fabric.abreast import run_abreast
from tests.hw.fabric.test_floats import CORNERS
from tests.hw.fabric.vectors import check_bits

STALLS = pytest.mark.parametrize("stall", [0.0, 0.4])
SIGN = np.uint32(BINARY32.sign_bit)


def around_ties(half):
    """Bits of all binary32 numbers halfway between neighbours (the last one's is where infinity begins), and of those
    on both sides of them."""
    numbers = np.arange(1 << half.fraction if half is BFLOAT16 else 0, half.infinity_bits, dtype=np.uint16)
    low = half.widen(numbers).astype(np.float64)
    step = np.append(np.diff(low), low[-1] - low[-2])
    tie = BINARY32.to_bits((low + step / 2).astype(np.float32))
    return np.concatenate([tie, tie - np.uint32(1), tie + np.uint32(1)])


def corners(half):
    """All exponents with fractions at which something ends, for both formats."""
    below = BINARY32.fraction - half.fraction
    fractions = {0, 1, *((1 << bit) + step for bit in (below - 1, below, 22) for step in (-1, 0, 1)), (1 << 23) - 1,
                 (1 << 23) - (1 << below), (1 << 23) - (1 << below - 1), (1 << 23) - (1 << below - 1) - 1}
    bits = [exponent << 23 | fraction for exponent in range(256) for fraction in sorted(fractions)]
    return np.array(bits + CORNERS, np.uint32)


def random_bits(half, rng, count):
    """Of any exponent, and of those around the format's ends."""
    ends = BINARY32.bias + np.array([1 - half.bias - half.fraction, 1 - half.bias, half.bias])
    exponents = np.clip(rng.choice(ends, count) + rng.integers(-3, 4, count), 0, 255).astype(np.uint32)
    near = exponents << np.uint32(23) | rng.integers(0, 1 << 23, count, dtype=np.uint32)
    return np.concatenate([near, rng.integers(0, 1 << 31, count, dtype=np.uint32)])


@STALLS
def test_narrow(stall, tmp_path):
    """Both signs, and what is special for one format in the other too; with stalls a part of it."""
    rng = np.random.default_rng(5)
    parts = [part for half in HALVES.values() for part in (around_ties(half), random_bits(half, rng, 3000))]
    bits = np.concatenate([part[::11] if stall else part for part in parts])
    bits |= SIGN * rng.integers(0, 2, len(bits), dtype=np.uint32)
    bits = np.concatenate([bits, *(corners(half) | sign for half in HALVES.values() for sign in (0, SIGN))])
    results = run_abreast([partial(Narrow, half) for half in HALVES.values()], "narrow", tmp_path, stall=stall, i=bits)
    for half, result in zip(HALVES.values(), results, strict=True):
        check_bits(result, half.narrow(BINARY32.from_bits(bits)), i=bits)


@STALLS
def test_widen(stall, tmp_path):
    """Every bit pattern; with stalls one in thirteen, of all classes."""
    bits = np.arange(0, 1 << 16, 13 if stall else 1, dtype=np.uint16)
    results = run_abreast([partial(Widen, half) for half in HALVES.values()], "widen", tmp_path, stall=stall, i=bits)
    for half, result in zip(HALVES.values(), results, strict=True):
        check_bits(result, BINARY32.to_bits(half.widen(bits)), i=bits)
