"""Adders and multipliers of both kinds of numbers against `golden.spgemm.product.ARITHMETIC`; one a cycle."""

import random

import cocotb
import numpy as np
from cocotb.triggers import FallingEdge, RisingEdge

from golden.spgemm.product import ARITHMETIC
from tests.hw.harness import parameters, start
from tests.hw.spgemm.bench import EXTREMES

OPERANDS = 400


@cocotb.test()
async def operations(dut):
    latencies = parameters()["latencies"]
    random.seed(1)
    operands = np.array([[random.choice(EXTREMES) if random.random() < 0.2 else random.getrandbits(32)
                          for _ in range(OPERANDS)] for _ in "ab"], np.uint32)  # fmt: skip
    want = {}
    for name in latencies:
        numbers = ARITHMETIC[name[4:]]
        a, b = operands.view(numbers.dtype)
        want[name] = getattr(numbers, name[:3])(a, b).view(np.uint32).tolist()
    await start(dut, inputs={f"{name}__{port}": 0 for name in latencies for port in "ab"})
    for cycle in range(OPERANDS + max(latencies.values())):
        for name in latencies:
            for port, values in zip("ab", operands, strict=True):
                getattr(dut, f"{name}__{port}").value = int(values[min(cycle, OPERANDS - 1)])
        await FallingEdge(dut.clk)
        for name, latency in latencies.items():
            if 0 <= (number := cycle - latency) < OPERANDS:
                assert int(getattr(dut, f"{name}__o").value) == want[name][number], (name, number)
        await RisingEdge(dut.clk)
