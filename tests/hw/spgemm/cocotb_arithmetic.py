"""Adders and multipliers of all kinds of numbers against `golden.spgemm.product.ARITHMETIC`; one a cycle."""

import random

import cocotb
import numpy as np
from cocotb.triggers import FallingEdge, RisingEdge

from golden.spgemm.params import NUMBER_FORMATS, SpgemmParams
from golden.spgemm.product import ARITHMETIC
from tests.hw.harness import parameters, start
from tests.hw.spgemm.bench import random_value, word_type

OPERANDS = 400


@cocotb.test()
async def operations(dut):
    latencies = parameters()["latencies"]
    rng, operands, want = random.Random(1), {}, {}
    for name in latencies:
        p = SpgemmParams(number_format=NUMBER_FORMATS[name[4:]])
        numbers = ARITHMETIC[p.numbers]
        operands[name] = np.array([[rng.choice([random_value(p, rng), rng.getrandbits(p.value_bits)])
                                    for _ in range(OPERANDS)] for _ in "ab"], word_type(p))  # fmt: skip
        want[name] = getattr(numbers, name[:3])(*operands[name].view(numbers.dtype)).view(word_type(p)).tolist()
    await start(dut, inputs={f"{name}__{port}": 0 for name in latencies for port in "ab"})
    for cycle in range(OPERANDS + max(latencies.values())):
        for name in latencies:
            for port, values in zip("ab", operands[name], strict=True):
                getattr(dut, f"{name}__{port}").value = int(values[min(cycle, OPERANDS - 1)])
        await FallingEdge(dut.clk)
        for name, latency in latencies.items():
            if 0 <= (number := cycle - latency) < OPERANDS:
                assert int(getattr(dut, f"{name}__o").value) == want[name][number], (name, number)
        await RisingEdge(dut.clk)
