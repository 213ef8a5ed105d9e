"""cocotb side of the fixed-latency units: vectors from the file named by the parameters, results back to a file."""

import json
from pathlib import Path

import cocotb

from tests.hw import harness


@cocotb.test()
async def vectors(dut):
    """parameters: inputs (JSON file: port to list), output, latency, stall, seed, results (JSON file to write)."""
    parameters = harness.parameters()
    inputs = json.loads(Path(parameters["inputs"]).read_text())
    count = len(next(iter(inputs.values())))
    await harness.start(dut, inputs=dict.fromkeys(inputs, 0) | {"ce": 0})
    result = await harness.watchdog(harness.clocked_vectors(
        dut, inputs, parameters["output"], latency=parameters["latency"], seed=parameters["seed"],
        stall=parameters["stall"]), 4 * count + 1000)
    Path(parameters["results"]).write_text(json.dumps(result))
