"""Norms and activations as the compiler emits them, executed by golden, against float64."""

import numpy as np
import pytest

from compiler.llm.composites import activate, normalise
from compiler.llm.emit import Emitter
from compiler.llm.rows import Rows
from golden import functions
from golden.isa.llm import Binary
from golden.llm.executor import Executor
from golden.params import LlmParams
from tests.golden.test_functions import every_float16, true_gelu, true_silu, ulp_float16

PARAMS = LlmParams(axi_bits=512, sfu_lanes=16, vmem_rows=8192, ksplit=1)
EPS = 1e-5
FINITE = every_float16()[np.isfinite(every_float16())]


def executed(emit, *vectors):
    """float32 [n]: `emit(e, out, *sources)` on vectors of one length, which lie behind each other."""
    e = Emitter(PARAMS)
    rows, count = e.rows(len(vectors[0])), len(vectors[0])
    emit(e, Rows(len(vectors) * rows), *(Rows(i * rows) for i in range(len(vectors))))
    e.add("HALT")
    executor = Executor(PARAMS, e.words(), {})
    flat = executor.vmem.reshape(-1)
    for i, vector in enumerate(vectors):
        flat[i * rows * PARAMS.sfu_lanes :][:count] = vector
    executor.run()
    return flat[len(vectors) * rows * PARAMS.sfu_lanes :][:count].copy()


def ulps(result, true, least=0.0):
    """Largest distance between `result`, rounded to float16, and float64 `true`: in ulp of float16 at `true`, or at
    `least` where it is smaller."""
    with np.errstate(over="ignore"):
        rounded = result.astype(np.float16).astype(np.float64)
    return np.max(np.abs(rounded - true) / ulp_float16(np.maximum(np.abs(true), least)))


@pytest.mark.parametrize(("name", "true"), [("silu", true_silu), ("gelu", true_gelu)])
def test_activation_of_every_finite_float16_within_two_ulp(name, true):
    x = FINITE.astype(np.float32)
    result = executed(lambda e, out, source: activate(e, name, out, source, len(x), count=1), x)
    with np.errstate(over="ignore"):
        expected = true(x.astype(np.float64))
    error = ulps(result, expected)
    print(f"{name}: {error:.3f} ulp")
    assert error <= 2
    np.testing.assert_array_equal(result, getattr(functions, name)(x))


@pytest.mark.parametrize("weighed", [0, 64])
@pytest.mark.parametrize("elements", [100, 576, 4096])
@pytest.mark.parametrize("norm", ["rms", "layer"])
def test_norm_within_two_ulp(norm, elements, weighed):
    """Also of vectors that are far from zero, or tiny, in relation to their spread and to eps.

    An element that is almost the mean has what binary32 leaves of the difference: below 2**-8 errors are absolute.
    """
    def emit(e, out, source, weight):
        if norm == "rms" and weighed:
            e.vec(out, source, weighed, count=1, binary=Binary.MUL, b=weight)
        normalise(e, norm, out, source, weight, elements, EPS, count=1, scalar=3, weighed=weighed)

    rng = np.random.default_rng(elements)
    for scale, offset in ((1, 0), (4, 1), (0.01, -0.05), (300, 5000), (1e-4, 0)):
        x = rng.normal(offset, scale, elements).astype(np.float16).astype(np.float32)
        gain = rng.normal(1, 0.1, elements).astype(np.float16).astype(np.float32)
        result = executed(emit, x, gain)
        true = x.astype(np.float64)
        true = true - true.mean() if norm == "layer" else true
        true = true / np.sqrt(np.mean(true**2) + EPS) * gain
        assert ulps(result, true, 2.0**-8 if norm == "layer" else 0) <= 2, (scale, offset)
