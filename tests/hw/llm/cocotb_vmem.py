"""Runs in the simulator: GlobalBuffer against an array."""

import random

import cocotb
from cocotb.triggers import FallingEdge, RisingEdge

from golden.params import LlmParams
from hw.llm.vmem import write_layout
from tests.hw.harness import parameters, start, watchdog
from tests.hw.packing import packed

PARAMS = LlmParams(vmem_rows=32)
LANES = PARAMS.sfu_lanes


class Bench:
    """`rows`: what the buffer holds, [row][element]; `seen`: what each read port shows."""

    def __init__(self, dut, seed):
        self.dut, self.random, self.writers = dut, random.Random(seed), parameters()["writers"]
        self.rows = [[None] * LANES for _ in range(PARAMS.vmem_rows)]
        self.seen = {"a": None, "b": None}

    async def begin(self):
        idle = {f"write__{i}": 0 for i in range(self.writers)} | {f"{port}_read": 0 for port in self.seen}
        await start(self.dut, inputs=idle)

    async def cycle(self, writes, reads):
        """`writes`: (elements, row) a writer; `reads`: a row a port, or None. Returns who was ready."""
        dut, data = self.dut, [self.random.getrandbits(32 * LANES) for _ in writes]
        for i, (elements, row) in enumerate(writes):
            value = packed(write_layout(PARAMS), {"elements": elements, "row": row, "data": data[i]})
            getattr(dut, f"write__{i}").value = value
        for port, row in reads.items():
            getattr(dut, f"{port}_read").value = int(row is not None)
            if row is not None:
                getattr(dut, f"{port}_row").value = row
        await FallingEdge(dut.clk)
        for port, row in self.seen.items():
            if row is not None:
                shown = int(getattr(dut, f"{port}_data").value)
                for k, word in enumerate(row):
                    assert word is None or shown >> 32 * k & 0xFFFFFFFF == word, f"port {port}, element {k}"
        ready = int(dut.ready.value)
        for port, row in reads.items():
            if row is not None:
                self.seen[port] = list(self.rows[row])
        for i, (elements, row) in enumerate(writes):
            if ready >> i & 1:
                for k in range(LANES):
                    if elements >> k & 1:
                        self.rows[row][k] = data[i] >> 32 * k & 0xFFFFFFFF
        await RisingEdge(dut.clk)
        return [ready >> i & 1 for i in range(len(writes))]


@cocotb.test()
async def random_traffic(dut):
    """Ready means done, and one writer waits only for one before it with a row of the same parity."""
    bench = Bench(dut, 1)

    async def run():
        await bench.begin()
        for _ in range(5000):
            writes = [(bench.random.choice([0, bench.random.getrandbits(LANES)]), bench.random.randrange(32))
                      for _ in range(bench.writers)]  # fmt: skip
            reads = {port: bench.random.choice([None, bench.random.randrange(32)]) for port in "ab"}
            ready = await bench.cycle(writes, reads)
            for i, (_, row) in enumerate(writes):
                assert ready[i] == (not any(e and (r - row) % 2 == 0 for e, r in writes[:i])), (writes, ready)

    await watchdog(run(), 10_000)


@cocotb.test()
async def two_in_order_wait_once(dut):
    bench = Bench(dut, 2)

    async def run():
        await bench.begin()
        for first in (0, 1):
            at, waits = [first] + [0] * (bench.writers - 1), 0
            for _ in range(20):
                active = [(15, at[i]) if i < 2 else (0, 0) for i in range(bench.writers)]
                ready = await bench.cycle(active, {})
                waits += sum(1 - r for r in ready[:2])
                at = [(row + r) % 32 for row, r in zip(at, ready, strict=True)]
            assert waits == (bench.writers > 1 and first == 0)

    await watchdog(run(), 1000)
