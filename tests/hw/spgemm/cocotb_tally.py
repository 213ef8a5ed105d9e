"""Counters of strobes."""

import random

import cocotb
from cocotb.triggers import RisingEdge

from hw.spgemm.tally import Tally
from tests.hw.harness import start

COUNTERS, WIDTH = 3, 11


@cocotb.test()
async def ones(dut):
    rng = random.Random(1)
    await start(dut, inputs={"clear": 0, "running": 0})
    for _ in range(3):
        dut.clear.value = 1
        await RisingEdge(dut.clk)
        dut.clear.value, expected = 0, [0] * COUNTERS
        for _ in range(300):
            running = rng.random() < 0.7
            dut.running.value = int(running)
            for number in range(COUNTERS):
                strobes = rng.getrandbits(WIDTH)
                getattr(dut, f"strobes__{number}").value = strobes
                expected[number] += running * strobes.bit_count()
            await RisingEdge(dut.clk)
        dut.running.value = 0
        for _ in range(Tally.LATENCY):
            await RisingEdge(dut.clk)
        assert [int(getattr(dut, f"counts__{number}").value) for number in range(COUNTERS)] == expected
