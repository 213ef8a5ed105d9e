"""VectorBench and golden side by side: runs instructions on both, compares what they leave, counts cycles."""

import random

import cocotb
import numpy as np
from cocotb.triggers import FallingEdge, RisingEdge

from golden import float32 as f32
from golden.isa.llm import SCALARS, SLOTS, Reduce
from golden.llm.executor import Executor
from golden.llm.noted import blocks_of
from golden.params import BLOCK
from hw.llm.vector import Operation, vector_layout
from tests.hw.harness import StreamSource
from tests.hw.packing import packed

__all__ = ["INPUTS", "NAMES", "Bench", "numbers"]

INPUTS = {"command__valid": 0, "array_valid": 0, "peek": 0, "array_row": 0, "array_data": 0, "peek_row": 0}
NAMES = {"VEC": Operation.VEC, "QNT": Operation.QNT, "AMX": Operation.AMX, "PUT": Operation.PUT}


class Bench:
    def __init__(self, dut, params, seed, stall):
        self.dut, self.p, self.stall = dut, params, stall
        self.golden = Executor(params, [], {})
        self.random = random.Random(seed)
        self.spare = params.vmem_rows - 1  # and the row before it: the competing writer's
        self.blocks = []
        self.watcher = cocotb.start_soon(self.watch_blocks())

    async def watch_blocks(self):
        while True:
            await FallingEdge(self.dut.clk)
            valid = int(self.dut.x_valid.value)
            if valid:
                column, data = valid.bit_length() - 1, int(self.dut.x_data.value)
                q = [(data >> 8 * i & 0xFF) - (data >> 8 * i & 0x80) * 2 for i in range(16)]
                token = int(self.dut.x_token.value)
                self.blocks.append((token, column, int(self.dut.x_block.value), q, data >> 128))

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
            self.dut.array_valid.value, self.dut.array_row.value = int(taken), self.spare - self.random.randrange(2)
            self.dut.array_data.value = 0
            await RisingEdge(self.dut.clk)

    async def run(self, name, **fields):
        await self.run_all([(name, fields)])

    async def run_all(self, commands):
        """On both, one behind the other; asserts busy cycles if nothing competes for the write port."""
        layout = vector_layout(self.p)
        commands = [
            (name, dict.fromkeys(layout.members, 0) | {"operation": NAMES[name]} | {k: int(fields[k]) for k in fields})
            for name, fields in commands
        ]
        await RisingEdge(self.dut.clk)
        competitor = cocotb.start_soon(self.compete()) if self.stall else None
        payloads = [packed(layout, v) for _, v in commands]
        sender = cocotb.start_soon(StreamSource(self.dut, "command").send(payloads))
        await RisingEdge(self.dut.clk)
        busy = finished = 0
        while finished < len(commands):
            await FallingEdge(self.dut.clk)
            assert self.dut.illegal.value == 0
            finished += int(self.dut.finished.value)
            busy += int(self.dut.busy.value)
        assert sender.done()
        assert self.dut.busy.value == 0
        if competitor:
            competitor.cancel()
        self.dut.array_valid.value = 0
        await RisingEdge(self.dut.clk)
        for name, v in commands:
            getattr(self.golden, f"_{name.lower()}")(v)
        if not self.stall:
            assert busy == self.cycles(commands), f"cycles of {commands}"

    def cycles(self, commands):
        """Busy with `commands`, of which a VEC that another is chained to does not reduce: VectorUnit's docstring."""
        chains = []
        for command in commands:
            if not command[1]["chained"]:
                chains.append([])
            chains[-1].append(command)
        return sum(map(self.cycles_of_chain, chains))

    def cycles_of_chain(self, commands):
        lanes = self.p.sfu_lanes
        depth = lanes.bit_length() - 1
        start, earlier = 0, None
        for _, v in commands:
            if earlier is not None:
                rows = sum(self.slots(earlier))
                own_way = rows + 15 if earlier["unary"] and not v["unary"] else rows + 1
                start += max(own_way, 25 if earlier["unary"] else 10)
            earlier = v
        name, v = commands[-1]
        if name == "PUT":
            return start + v["repeat"] + 1
        if name == "QNT":
            return start + (v["repeat"] + 2 - v["noted"]) * self.blocks_of(v) * BLOCK // lanes + 7
        slots = self.slots(v)
        rows = sum(slots)
        if name == "AMX":
            return start + rows + 2 + depth
        function = 15 if v["unary"] else 0
        if v["reduce"] == Reduce.MAX:
            last = -(-(v["n"] + v["repeat"] * v["n_step"]) // lanes)
            return start + rows - slots[-1] + last + 10 + depth + function
        return start + rows + (45 + 8 * depth if v["reduce"] else 9) + function

    def slots(self, v):
        """Cycles that the rows of each repetition take."""
        rows = [-(-(v["n"] + t * v["n_step"]) // self.p.sfu_lanes) for t in range(v["repeat"] + 1)]
        return [max(8, k) for k in rows] if v["chained"] or v["reduce"] == Reduce.SUM else rows

    @staticmethod
    def blocks_of(fields):
        """Of each repetition of a QNT."""
        return blocks_of(fields["n"], fields.get("pad", 0), fields.get("round_log2", 0))

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
        await self.run("PUT", a=self.spare - 2, sa=index)
        await self.compare(self.spare - 2, 1, f"{where}: scalar {index}")

    async def compare_quantised(self, quantisations, where):
        """Blocks since `self.blocks` was empty, exponents and scalars of QNTs to places of their own."""
        blocks, exponents = iter(self.blocks), int(self.dut.exponents.value)
        for fields in quantisations:
            for t in range(fields.get("repeat", 0) + 1):
                for _ in range(self.blocks_of(fields)):
                    token, column, block, q, shift = next(blocks)
                    at = f"{where}: token {token} column {column} block {block}"
                    assert token == fields.get("token", 0) + t * fields.get("token_step", 0), at
                    assert q == self.golden.q[token, column, block].tolist(), at
                    assert shift == self.golden.shift[token, column, block], at
                slot = (fields["slot"] + t) % SLOTS
                assert exponents >> 10 * slot & 0x3FF == self.golden.exponents[slot] & 0x3FF, f"{where}: slot {slot}"
                if fields.get("flat"):
                    await self.compare_scalar((fields["sd"] + t) % SCALARS, where)
        assert not list(blocks), where


def numbers(rng, count):
    values = rng.standard_normal(count) * 2.0 ** rng.integers(-9, 9, count)
    values[rng.random(count) < 0.05] = 0
    return values.astype(np.float32)
