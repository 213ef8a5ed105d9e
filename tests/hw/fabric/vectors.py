"""Run vectors through a fixed-latency unit in Verilator and give the results back as an array."""

import json

import numpy as np

from tests.hw.runner import run_cocotb


def run_vectors(unit, top, tmp_path, *, stall, seed=1, output="o", dtype: type = np.uint64, **inputs):
    """Results (of `dtype`) of `unit` for equally long arrays of non-negative port values."""
    files = {name: tmp_path / f"{name}.json" for name in ("inputs", "results")}
    files["inputs"].write_text(json.dumps({name: np.asarray(values).tolist() for name, values in inputs.items()}))
    run_cocotb(unit, top=top, test_module="tests.hw.fabric.cocotb_vectors", parameters={
        "output": output, "latency": unit.LATENCY, "stall": stall, "seed": seed,
        **{name: str(path) for name, path in files.items()}})
    return np.array(json.loads(files["results"].read_text()), dtype=dtype)


def check_bits(result, expected, **inputs):
    """Compare bit patterns; on a difference show the first few with their inputs."""
    expected = np.asarray(expected).astype(np.uint64)
    wrong = np.flatnonzero(result != expected)
    shown = [{name: hex(int(np.asarray(values)[k])) for name, values in inputs.items()}
             | {"got": hex(int(result[k])), "expected": hex(int(expected[k]))} for k in wrong[:8]]
    assert not len(wrong), f"{len(wrong)} of {len(expected)} differ: {shown}"
