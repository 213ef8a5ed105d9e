"""Read-out of random sums, played by the test as the MPUs answer: every row, its place and when it comes."""

import random

import cocotb
import numpy as np
from cocotb.triggers import FallingEdge, RisingEdge

from golden import float32 as f32
from golden.isa.llm import SLOTS
from golden.llm.numerics import convert
from golden.params import LlmParams
from hw.llm.mpu import Mpu
from hw.llm.readout import ReadOut, readout_layout
from tests.hw.harness import parameters, start, watchdog
from tests.hw.packing import packed

SUM = 48
EXPONENTS = (-512, 511, -149, -150, -126, 80, 81, 127, 0)
INPUTS = {f"readout__{name}": 0 for name in ("start", "job", "sums", "exponents")}


def random_sums(rng, shape, columns):
    """Any magnitude, and the largest; the sum over the columns fits 48 bits."""
    limit = (1 << SUM - 1) // columns
    values = rng.integers(-limit, limit, shape) >> rng.integers(0, SUM, shape)
    extreme = rng.choice([-limit, limit - 1, 0, 1, -1], shape)
    return np.where(rng.random(shape) < 0.2, extreme, values)


class Array:
    """MPUs' sums [column, MPU, VPU, row, vector], answered READ_LATENCY cycles after their address."""

    def __init__(self, dut, params, rng):
        self.dut, self.p = dut, params
        self.sums = random_sums(rng, (params.ksplit, params.mpus, params.mpu_vpus, 64, 2), params.ksplit)

    def answer(self, address):
        if address is None:
            return random.getrandbits(SUM * self.p.ksplit * self.p.mpus)
        vpu, row, vector = address
        words = self.sums[:, :, vpu % self.p.mpu_vpus, row, vector].reshape(-1).tolist()
        return sum((word & (1 << SUM) - 1) << SUM * i for i, word in enumerate(words))

    async def run(self, job, exponents):
        """([(row, data)] of the job's writes, cycles busy, how many rows were written when it was told)."""
        dut, clk = self.dut, self.dut.clk
        dut.readout__job.value = packed(readout_layout(self.p), job)
        dut.readout__exponents.value = sum((e & 0x3FF) << 10 * i for i, e in enumerate(exponents))
        dut.readout__start.value = 1
        await RisingEdge(clk)
        dut.readout__start.value = 0
        dut.readout__job.value = 0
        written, addresses, cycles, told = [], [None] * Mpu.READ_LATENCY, 0, []
        while True:
            dut.readout__sums.value = self.answer(addresses.pop(0))
            await FallingEdge(clk)
            if dut.readout__told.value == 1:
                told.append(len(written))
            if dut.readout__busy.value == 0:
                break
            addresses.append(tuple(int(getattr(dut, f"readout__out_{n}").value) for n in ("vpu", "row", "vector")))
            if dut.readout__write_valid.value == 1:
                written.append((int(dut.readout__write_row.value), int(dut.readout__write_data.value)))
            await RisingEdge(clk)
            cycles += 1
        await RisingEdge(clk)
        return written, cycles, told

    def expected(self, job, exponents):
        p = self.p
        columns = self.sums.sum(0)
        for token in range(job["tokens"]):
            exponent = exponents[(job["slot"] + token) % SLOTS] + job["exponent"]
            results = [
                columns[m, token // 2 if job["shared"] else lane, row * p.mpu_vpus + lane if job["shared"] else row,
                        token % 2 if job["shared"] else 0]
                for row in range(job["rows"]) for lane in range(p.mpu_vpus) for m in range(p.mpus)
            ]  # fmt: skip
            bits = f32.to_bits(convert(np.array(results), exponent)).reshape(-1, p.sfu_lanes).tolist()
            for i, lanes in enumerate(bits):
                row = (job["row"] + token * job["stride"] + i) % p.vmem_rows
                yield row, sum(word << 32 * k for k, word in enumerate(lanes))


def jobs(params, rng):
    """MV and MM of one and of many rows and tokens."""
    whole = params.acc_depth
    for shared, rows, tokens in [(0, 1, 1), (0, whole, 1), (0, 5, 1), (1, 1, 1), (1, 3, params.tokens),
                                 (1, whole, params.tokens - 1), (1, whole, params.tokens)]:  # fmt: skip
        rows_written = rows * params.row_groups // params.sfu_lanes
        yield {"shared": shared, "rows": rows, "tokens": tokens, "row": int(rng.integers(params.vmem_rows)),
               "stride": rows_written + int(rng.integers(3)), "slot": int(rng.integers(SLOTS)),
               "exponent": int(rng.integers(-60, 60)),
               "early": int(rng.choice([0, 1, 2, rows_written, tokens * rows_written % 256, 255]))}  # fmt: skip


@cocotb.test()
async def reads_out(dut):
    params = LlmParams(**parameters()["params"])
    await start(dut, inputs=INPUTS)
    rng = np.random.default_rng(3)
    for _ in range(3):
        array = Array(dut, params, rng)
        for job in jobs(params, rng):
            exponents = [int(rng.choice(EXPONENTS)) if rng.random() < 0.3 else int(rng.integers(-180, 60))
                         for _ in range(SLOTS)]  # fmt: skip
            exponents = [min(max(e, -512 - job["exponent"]), 511 - job["exponent"]) for e in exponents]
            written, cycles, told = await watchdog(array.run(job, exponents), 20_000)
            assert written == list(array.expected(job, exponents)), job
            rows = job["tokens"] * job["rows"] * params.row_groups // params.sfu_lanes
            assert told == [min(job["early"] or rows, rows)], job
            assert cycles == rows + ReadOut.LATENCY, f"{cycles} cycles for {rows} rows: {job}"
