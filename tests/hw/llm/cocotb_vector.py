"""Vector instructions on the RTL against the golden executor, memory and scalars compared bit for bit."""

import random

import cocotb
import numpy as np
from cocotb.triggers import FallingEdge, RisingEdge

from golden import float32 as f32
from golden.isa.llm import Binary, Reduce, Source, Unary
from golden.llm.executor import Executor
from golden.params import LlmParams
from hw.llm.vector import Operation, vector_layout
from tests.hw.harness import parameters, start, watchdog

NAMES = {"VEC": Operation.VEC, "QNT": Operation.QNT, "AMX": Operation.AMX, "PUT": Operation.PUT}
SPARE = 60
"""Row that the competing writer uses."""


class Bench:
    def __init__(self, dut, params, seed, stall):
        self.dut, self.p, self.stall = dut, params, stall
        self.golden = Executor(params, [], {})
        self.random = random.Random(seed)
        self.blocks = {}
        cocotb.start_soon(self.watch_blocks())

    async def watch_blocks(self):
        while True:
            await FallingEdge(self.dut.clk)
            valid = int(self.dut.x_valid.value)
            if valid:
                column, data = valid.bit_length() - 1, int(self.dut.x_data.value)
                q = [(data >> 8 * i & 0xFF) - (data >> 8 * i & 0x80) * 2 for i in range(16)]
                self.blocks[column, int(self.dut.x_block.value)] = (q, data >> 128)

    async def fill(self, row, values):
        lanes = self.p.sfu_lanes
        rows = np.zeros(-(-len(values) // lanes) * lanes, np.float32)
        rows[: len(values)] = values
        for i, chunk in enumerate(rows.reshape(-1, lanes)):
            self.golden.vmem[row + i] = chunk
            self.dut.array_valid.value, self.dut.array_row.value = 1, row + i
            self.dut.array_data.value = sum(int(b) << 32 * k for k, b in enumerate(f32.to_bits(chunk)))
            await RisingEdge(self.dut.clk)
        self.dut.array_valid.value = 0

    async def compete(self):
        """Another unit takes the write port now and then."""
        while True:
            taken = self.random.random() < self.stall
            self.dut.array_valid.value, self.dut.array_row.value = int(taken), SPARE
            self.dut.array_data.value = 0
            await RisingEdge(self.dut.clk)

    async def run(self, name, **fields):
        fields = {k: int(v) for k, v in fields.items()}
        command = {"operation": NAMES[name], **fields}
        self.dut.command__payload.value = vector_layout(self.p).const(command).as_value().value
        self.dut.command__valid.value = 1
        competitor = cocotb.start_soon(self.compete()) if self.stall else None
        await RisingEdge(self.dut.clk)
        self.dut.command__valid.value = 0
        while True:
            await FallingEdge(self.dut.clk)
            if self.dut.busy.value == 0:
                break
        if competitor:
            competitor.cancel()
        self.dut.array_valid.value = 0
        await RisingEdge(self.dut.clk)
        defaults = dict.fromkeys(vector_layout(self.p).members, 0)
        getattr(self.golden, f"_{name.lower()}")({**defaults, **fields})

    async def row(self, row):
        self.dut.peek.value, self.dut.peek_row.value = 1, row
        await RisingEdge(self.dut.clk)
        await FallingEdge(self.dut.clk)
        data = int(self.dut.peek_data.value)
        self.dut.peek.value = 0
        return [data >> 32 * k & 0xFFFFFFFF for k in range(self.p.sfu_lanes)]

    async def compare(self, first, count, where):
        for r in range(first, first + count):
            expected = f32.to_bits(self.golden.vmem[r]).tolist()
            assert await self.row(r) == expected, f"{where}: row {r}"

    async def compare_scalar(self, index, where):
        await self.run("PUT", a=SPARE - 1, sa=index)
        await self.compare(SPARE - 1, 1, where)


def numbers(rng, count):
    values = rng.standard_normal(count) * 2.0 ** rng.integers(-9, 9, count)
    values[rng.random(count) < 0.05] = 0
    return values.astype(np.float32)


async def instructions(bench, rng):
    for n in (1, 3, 4, 17, 64, 100):
        await bench.fill(0, numbers(rng, n))
        await bench.fill(26, numbers(rng, n))
        for binary in Binary:
            for unary in Unary:
                reduce = Reduce(int(rng.integers(3)))
                where = f"{binary.name} {unary.name} {reduce.name} n={n}"
                await bench.run(
                    "VEC", a=100, b=0, b_row=26, n=n, binary=binary, unary=unary, reduce=reduce, sd=3, store=1
                )
                await bench.compare(100, -(-n // bench.p.sfu_lanes), where)
                if reduce != Reduce.NONE:
                    await bench.compare_scalar(3, where)
        await bench.run("VEC", a=100, b=0, n=n, binary=Binary.MUL, b_source=Source.SCALAR, sb=3, store=1)
        await bench.compare(100, -(-n // bench.p.sfu_lanes), f"scalar n={n}")
        half = int(f32.to_bits(np.float32(0.5)))
        await bench.run(
            "VEC",
            n=1,
            a_source=Source.SCALAR,
            sa=3,
            binary=Binary.ADD,
            b_source=Source.IMMEDIATE,
            immediate=half,
            reduce=Reduce.SUM,
            sd=4,
        )
        await bench.compare_scalar(4, f"immediate n={n}")
        await bench.run("AMX", a=1000, b=0, n=n, first=1)
        await bench.run("AMX", a=2000, b=26, n=n)
        assert int(bench.dut.best.value) == bench.golden.best[1], f"arg-max n={n}"


async def quantisations(bench, rng):
    for n in (1, 15, 16, 32, 50, 100):
        for flat in (0, 1):
            for group_log2, round_log2 in ((0, 1), (1, 2)):
                await bench.fill(0, numbers(rng, n))
                bench.blocks.clear()
                await bench.run(
                    "QNT", a=2, b=0, n=n, flat=flat, group_log2=group_log2, round_log2=round_log2, slot=5, sd=6
                )
                where = f"QNT n={n} flat={flat} group={group_log2}"
                exponent = int(bench.dut.exponents.value) >> 50 & 0x3FF
                assert exponent == bench.golden.exponents[5] & 0x3FF, where
                for (column, block), (q, shift) in bench.blocks.items():
                    assert q == bench.golden.q[column, block].tolist(), f"{where}: column {column} block {block}"
                    assert shift == bench.golden.shift[column, block], f"{where}: column {column} block {block}"
                step = 1 << round_log2
                needed = -(-n // 16)
                assert len(bench.blocks) == -(-needed // step) * step, where
                if flat:
                    await bench.compare_scalar(6, where)


@cocotb.test()
async def vector_unit(dut):
    options = parameters()
    params = LlmParams(**options["params"])
    await start(
        dut, inputs={"command__valid": 0, "array_valid": 0, "peek": 0, "array_row": 0, "array_data": 0, "peek_row": 0}
    )
    for stall in (0.0, 0.3):
        bench = Bench(dut, params, 3, stall)
        rng = np.random.default_rng(11)
        await watchdog(quantisations(bench, rng), 100_000)
        await watchdog(instructions(bench, rng), 200_000)
