"""Plays a schedule into the array and gives back what comes out, with its cycles."""

import json
from pathlib import Path

import cocotb
from cocotb.triggers import FallingEdge, RisingEdge

from tests.hw.harness import parameters, start


@cocotb.test()
async def played(dut):
    given = parameters()
    inputs = json.loads(Path(given["inputs"]).read_text())
    await start(dut, inputs=dict.fromkeys(inputs, 0))
    sums = [getattr(dut, f"sums__{column}") for column in range(given["columns"])]
    found = []
    before = dict.fromkeys(inputs, 0)
    for cycle, values in enumerate(zip(*inputs.values(), strict=True)):
        for name, value in zip(inputs, values, strict=True):
            if value != before[name]:
                getattr(dut, name).value = before[name] = value
        await FallingEdge(dut.clk)
        if int(dut.valid.value):
            found.append((cycle, [int(column.value) for column in sums]))
        await RisingEdge(dut.clk)
    Path(given["results"]).write_text(json.dumps(found))
