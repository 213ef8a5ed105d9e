"""Stores against the golden executor: what memory holds afterwards, and when."""

import random

import cocotb
import numpy as np
from cocotb.triggers import FallingEdge, RisingEdge

from golden import float32 as f32
from golden.llm.executor import Executor
from golden.llm.stream import kv_together
from golden.params import BLOCK, LlmParams
from hw.fabric.answers import AnswerWatch
from hw.fabric.axi import beat_layout
from hw.llm.layouts import block_layout
from hw.llm.store import store_layout
from tests.hw.harness import StreamSink, StreamSource, parameters, start, watchdog
from tests.hw.packing import packed

MEMORY = 1 << 20


class Bench:
    """Plays global buffer, activation buffers and writers."""

    def __init__(self, dut, params, seed, stall):
        self.dut, self.p, self.seed, self.stall = dut, params, seed, stall
        self.random = random.Random(seed)
        rng = np.random.default_rng(seed)
        ports = ["v", *(f"w{c}" for c in range(params.channels))]
        old = {port: rng.integers(0, 256, MEMORY, np.uint8) for port in ports}
        self.memory = {port: image.copy() for port, image in old.items()}
        self.golden = Executor(params, [], old)
        self.golden.vmem[:] = rng.standard_normal(self.golden.vmem.shape)
        self.golden.q[:] = rng.integers(-128, 128, self.golden.q.shape)
        layout = block_layout()
        self.blocks = [[packed(layout, {"q": q, "shift": 3}) for q in column]
                       for column in self.golden.q[0].tolist()]  # fmt: skip
        rows = f32.to_bits(self.golden.vmem).tolist()
        self.rows = [sum(word << 32 * k for k, word in enumerate(row)) for row in rows]
        self.base = {port: (i + 1) << 34 for i, port in enumerate(ports)}
        self.beats, self.waiting = 0, dict.fromkeys(ports, 0)

    def port(self, name):
        return getattr(self.dut, f"store__{name}")

    async def begin(self):
        channels = range(self.p.channels)
        inputs = {name: 0 for name in ("command__valid", "vector__ready", "answered", "read_data", "read_grant")}
        inputs |= {f"channels__{c}__ready": 0 for c in channels} | {f"peek_data__{c}": 0 for c in range(self.p.ksplit)}
        inputs |= {"base": self.base["v"], **{f"bases__{c}": self.base[f"w{c}"] for c in channels}}
        await start(self.dut, inputs={f"store__{name}": value for name, value in inputs.items()})
        return [cocotb.start_soon(task) for task in (
            self.buffers(), self.responses(), self.writer("v", "store__vector"),
            *(self.writer(f"w{c}", f"store__channels__{c}") for c in channels),
        )]  # fmt: skip

    async def buffers(self):
        """Reads take a cycle; the vector unit keeps the global buffer for itself now and then."""
        while True:
            grant = self.random.random() >= self.stall
            self.port("read_grant").value = int(grant)
            await FallingEdge(self.dut.clk)
            row, block = int(self.port("read_row").value), int(self.port("peek_block").value)
            await RisingEdge(self.dut.clk)
            if grant:
                self.port("read_data").value = self.rows[row]
            else:
                self.port("read_data").value = self.random.getrandbits(32 * self.p.sfu_lanes)
            for c in range(self.p.ksplit):
                self.port(f"peek_data__{c}").value = self.blocks[c][block]

    async def writer(self, port, name):
        sink = StreamSink(self.dut, name, seed=self.seed, stall=self.stall)
        while True:
            (value,) = await sink.receive(1)
            beat = beat_layout(self.p.axi_bits).from_bits(value)
            at = beat.address - self.base[port]
            assert at % self.p.beat_bytes == 0, f"{port}: {at:#x} is not aligned"
            for i in range(self.p.beat_bytes):
                if beat.strobe >> i & 1:
                    self.memory[port][at + i] = beat.data >> 8 * i & 0xFF
            self.beats += 1
            self.waiting[port] += 1
            assert self.waiting[port] <= AnswerWatch.OUTSTANDING

    async def responses(self):
        ports = [*(f"w{c}" for c in range(self.p.channels)), "v"]
        while True:
            answered = [self.waiting[port] > 0 and self.random.random() >= self.stall for port in ports]
            self.port("answered").value = sum(1 << i for i, yes in enumerate(answered) if yes)
            for port, yes in zip(ports, answered, strict=True):
                self.waiting[port] -= yes
            await RisingEdge(self.dut.clk)

    async def run(self, **fields):
        """Until the unit is idle; cycles busy, beats written."""
        before = self.beats
        value = packed(store_layout(self.p), fields)
        await StreamSource(self.dut, "store__command").send([value])
        cycles = 0
        while True:
            await FallingEdge(self.dut.clk)
            if self.port("busy").value == 0:
                break
            cycles += 1
        assert not any(self.waiting.values()), "finished before the last response"
        await RisingEdge(self.dut.clk)
        return cycles, self.beats - before

    def check(self, where):
        for port, image in self.golden.images.items():
            different = np.flatnonzero(image != self.memory[port])
            assert not len(different), f"{where}: port {port}, bytes {different[:8]}"


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.5])
async def vectors(dut, stall):
    params = LlmParams(**parameters()["params"])
    lanes = params.sfu_lanes
    bench = Bench(dut, params, 3, stall)
    tasks = await bench.begin()
    counts = [0, 2, lanes - 1, lanes, lanes + 1, 4 * lanes, 4 * lanes + 3, 0]
    for n in counts + [bench.random.randrange(2, 9 * lanes) for _ in range(20)]:
        fields = {"a": bench.random.randrange(1000) * 4 * lanes, "b": bench.random.randrange(params.vmem_rows - 9),
                  "n": n}  # fmt: skip
        cycles, beats = await watchdog(bench.run(**fields), 3000)
        bench.golden._stv(fields)
        bench.check(f"STV {fields}")
        assert beats == -(-n // lanes)
        assert stall or cycles <= 3 * beats + 4, f"{cycles} cycles for {beats} rows"
    for task in tasks:
        task.cancel()


@cocotb.test()
async def parts_of_a_row(dut):
    """From every place of a memory word on."""
    params = LlmParams(**parameters()["params"])
    bench = Bench(dut, params, 4, 0.3)
    tasks = await bench.begin()
    for place in range(params.beat_bytes // 4):
        room = params.sfu_lanes - place % params.sfu_lanes
        fields = {"a": 7 * params.beat_bytes + 4 * place, "b": place, "n": bench.random.choice([1, 2, room])}
        fields["n"] = min(fields["n"], room)
        _, beats = await watchdog(bench.run(**fields), 200)
        bench.golden._stv(fields)
        bench.check(f"STV {fields}")
        assert beats == 1
    for task in tasks:
        task.cancel()


def appends(params, rng):
    """STK's fields for images of K and V with tiles of some rows and blocks."""
    for rows in (1, 4, params.acc_depth):
        for blocks in (1, 2, 8):
            for count in (0, 1, 2, 4, rng.randrange(1, 9)):
                place = {"a": rng.randrange(8) * params.beat_bytes, "b": rng.randrange(8)}
                of_one_tile = min(count, blocks * params.ksplit) * BLOCK
                row = rng.randrange(3 * rows * params.row_groups)
                yield {"rows": rows, "blocks": blocks, "value": 0, **place, **tokens(params, rng, row, False),
                       "count": of_one_tile}
                column = rng.randrange(300)
                yield {"rows": rows, "blocks": blocks, "value": 1, **place, **tokens(params, rng, column, True),
                       "count": count * BLOCK}


def tokens(params, rng, first, value):
    """One token from `first` on, or as many as its words hold, or some."""
    together = min(16, kv_together(params, value))
    most = together - first % together
    count = rng.choice([1, most, rng.randint(1, most)])
    return {"n": first, "repeat": count - 1, "stride_b": rng.randrange((params.xbuf_blocks - 16) // count + 1)}


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.4])
async def cache_rows_and_columns(dut, stall):
    params = LlmParams(**parameters()["params"])
    bench = Bench(dut, params, 5, stall)
    tasks = await bench.begin()
    for fields in appends(params, bench.random):
        cycles, beats = await watchdog(bench.run(**fields, cache=1), 10_000)
        bench.golden._stk(fields)
        bench.check(f"STK {fields}")
        bytes_of_lanes = min(BLOCK, params.lanes_per_channel, params.row_groups)
        assert beats == fields["count"] // (bytes_of_lanes if fields["value"] else params.lane_bits // 8)
        blocks = fields["count"] // BLOCK
        most = (fields["repeat"] + 2) * beats + blocks + 5
        assert stall or cycles <= most, f"{cycles} cycles for {beats} beats: {fields}"
    for task in tasks:
        task.cancel()
