"""FunctionUnit in Verilator against golden.functions, bit for bit."""

import numpy as np
import pytest

from golden import float32, functions
from golden.functions import Function
from hw.fabric.functions import FunctionUnit
from tests.hw.fabric.test_floats import CORNERS
from tests.hw.fabric.vectors import check_bits, run_vectors

GOLDEN = {Function.RECIP: functions.recip, Function.RSQRT: functions.rsqrt, Function.EXP: functions.exp,
          Function.EXP2: functions.exp2}


def inputs(rng, count):
    limits = [88.72283, 88.7229, -87.33654, -87.3366, 127.99999, 128, 1e-6, 2 ** -20, 126, 127, -126, -126.00001, -127,
              10, 0.5, 2 ** -19, 1.5 * 2 ** -20, 100]
    limits = np.concatenate([float32.to_bits(limits).astype(np.int64) + step for step in (-1, 0, 1)])
    corners = np.concatenate([np.array(CORNERS), limits])
    corners = np.concatenate([corners, corners ^ (1 << 31)])
    exponents = (np.arange(256)[:, None] << 23) + np.array([0, 1, 0x7FFFFF, 0x400000, 0x3FFFFF, 0x7FFF, 0x8000, 0xFFFF])
    moderate = float32.to_bits(rng.uniform(-100, 100, count).astype(np.float32)).astype(np.int64)
    return np.concatenate([corners, exponents.ravel(), moderate, rng.integers(0, 1 << 32, count)])


@pytest.mark.parametrize("stall", [0.0, 0.4])
def test_function_unit(stall, tmp_path):
    rng = np.random.default_rng(12)
    x = inputs(rng, 600 if stall else 5_000)
    x, op = (v.ravel() for v in np.broadcast_arrays(x[:, None], np.arange(4)))  # the operation changes every cycle
    result = run_vectors(FunctionUnit(), "function_unit", tmp_path, stall=stall, x=x, op=op)
    expected = np.select([op == function for function in GOLDEN],
                         [float32.to_bits(golden(float32.from_bits(x))) for golden in GOLDEN.values()])
    check_bits(result, expected, x=x, op=op)


@pytest.mark.parametrize("function", list(Function))
def test_every_table_segment(function, tmp_path):
    """Both ends of each of the 256 segments, in an even and an odd exponent."""
    fractions = (np.arange(256)[:, None] << 15) + np.array([0, 1, 0x7FFE, 0x7FFF])
    x = np.concatenate([fractions.ravel() + (exponent << 23) for exponent in (126, 127, 128)])
    result = run_vectors(FunctionUnit(), "function_unit", tmp_path, stall=0.0, x=x, op=np.full_like(x, function))
    check_bits(result, float32.to_bits(GOLDEN[function](float32.from_bits(x))), x=x)
