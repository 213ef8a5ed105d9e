"""Loads against the golden executor: the commands for the memory ports, and the rows written."""

import random

import cocotb
import numpy as np
from cocotb.triggers import FallingEdge, RisingEdge, gather

from golden import float32 as f32
from golden.llm.executor import Executor
from golden.params import LlmParams
from hw.fabric.axi import command_layout
from hw.llm.load import load_layout
from tests.hw.harness import StreamSink, StreamSource, parameters, start, watchdog
from tests.hw.packing import packed

MEMORY = 1 << 16


class Bench:
    def __init__(self, dut, params, seed, stall):
        self.dut, self.p, self.seed, self.stall = dut, params, seed, stall
        self.random = random.Random(seed)
        rng = np.random.default_rng(seed)
        self.image = f32.to_bits(rng.standard_normal(MEMORY // 4).astype(np.float32)).view(np.uint8)
        self.golden = Executor(params, [], {"v": self.image})
        self.golden.vmem[:] = rng.standard_normal(self.golden.vmem.shape)
        self.rows = f32.to_bits(self.golden.vmem).copy()
        self.base, self.bases = 3 << 33, [(5 + c) << 34 for c in range(params.channels)]

    def port(self, name):
        return getattr(self.dut, f"load__{name}")

    async def begin(self):
        channels = range(self.p.channels)
        inputs = {f"load__{name}": 0 for name in ("command__valid", "vector__ready", "words__valid", "write_ready")}
        inputs |= {f"load__channels__{c}__ready": 0 for c in channels}
        inputs |= {"load__base": self.base, **{f"load__bases__{c}": self.bases[c] for c in channels}}
        await start(self.dut, inputs=inputs)

    async def memory(self):
        """The vector channel's reader: takes a command, passes its words on."""
        commands = StreamSink(self.dut, "load__vector", seed=self.seed, stall=self.stall)
        words = StreamSource(self.dut, "load__words", seed=self.seed, stall=self.stall)
        while True:
            (value,) = await commands.receive(1)
            command = command_layout().from_bits(value)
            at, count = command.address - self.base, command.beats * self.p.beat_bytes
            assert at % self.p.beat_bytes == 0, f"{at:#x} is not aligned"
            data = self.image[at : at + count].tobytes()
            await words.send(int.from_bytes(data[i : i + self.p.beat_bytes], "little")
                             for i in range(0, count, self.p.beat_bytes))  # fmt: skip

    async def buffer(self):
        """The global buffer, now and then busy with others."""
        while True:
            ready = self.random.random() >= self.stall
            self.port("write_ready").value = int(ready)
            await FallingEdge(self.dut.clk)
            if ready and self.port("write_valid").value == 1:
                row, data = int(self.port("write_row").value), int(self.port("write_data").value)
                elements = int(self.port("write_elements").value)
                for k in range(self.p.sfu_lanes):
                    if elements >> k & 1:
                        self.rows[row, k] = data >> 32 * k & 0xFFFFFFFF
            await RisingEdge(self.dut.clk)

    async def run(self, **fields):
        """Until the unit is idle; cycles busy."""
        value = packed(load_layout(self.p), fields)
        await StreamSource(self.dut, "load__command").send([value])
        cycles = 0
        while True:
            await FallingEdge(self.dut.clk)
            if self.port("busy").value == 0:
                break
            cycles += 1
        await RisingEdge(self.dut.clk)
        return cycles

    def check(self, where):
        assert np.array_equal(self.rows, f32.to_bits(self.golden.vmem)), where


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.5])
async def vectors(dut, stall):
    params = LlmParams(**parameters()["params"])
    lanes = params.sfu_lanes
    beat = params.beat_bytes // 4
    bench = Bench(dut, params, 3, stall)
    await bench.begin()
    tasks = [cocotb.start_soon(bench.memory()), cocotb.start_soon(bench.buffer())]
    counts = [0, 1, 2, lanes - 1, lanes, lanes + 1, beat - 1, beat, beat + 1, 3 * beat, 3 * beat + lanes + 1, 0]
    for n in counts + [bench.random.randrange(1, 12 * lanes) for _ in range(20)]:
        fields = {"a": bench.random.randrange(MEMORY // 2 // params.beat_bytes) * params.beat_bytes,
                  "b": bench.random.randrange(params.vmem_rows - 20), "n": n}  # fmt: skip
        cycles = await watchdog(bench.run(**fields), 5000)
        bench.golden._ldv(fields)
        bench.check(f"LDV {fields}")
        rows = -(-n // lanes)
        assert stall or cycles == (rows + 3 if n else 1), f"{cycles} cycles for {rows} rows"
    for task in tasks:
        task.cancel()


@cocotb.test()
async def gathered_rows(dut):
    """The index at every place of its word; only 24 of its bits count."""
    params = LlmParams(**parameters()["params"])
    bench = Bench(dut, params, 4, 0.3)
    await bench.begin()
    tasks = [cocotb.start_soon(bench.memory()), cocotb.start_soon(bench.buffer())]
    numbers = bench.image[MEMORY // 2 :].view("<u4")
    for place in range(2 * params.beat_bytes // 4):
        n, stride = bench.random.randrange(1, 5 * params.sfu_lanes), params.beat_bytes * bench.random.randrange(1, 4)
        table = params.beat_bytes * bench.random.randrange(100)
        numbers[place] = bench.random.randrange(100) + 0xAB000000
        fields = {"a": MEMORY // 2 + 4 * place, "b": bench.random.randrange(params.vmem_rows - 20), "n": n,
                  "table": table, "stride": stride}  # fmt: skip
        await watchdog(bench.run(**fields, gather=1), 5000)
        bench.golden._ldg(fields)
        bench.check(f"LDG {fields}, row {numbers[place]:#x}")
    for task in tasks:
        task.cancel()


@cocotb.test()
async def far_rows(dut):
    """The largest products of row number and stride reach the address."""
    params = LlmParams(**parameters()["params"])
    bench = Bench(dut, params, 5, 0.0)
    await bench.begin()
    numbers = bench.image.view("<u4")
    for number, stride in [(0xFFFFFF, 32), (0x10001, 0xFFE0), (1, 0xFFFFE0), (0x7FF, 0x1FFFE0), (0, 0xFFFFE0)]:
        numbers[0] = number
        commands = cocotb.start_soon(StreamSink(dut, "load__vector").receive(2))
        running = cocotb.start_soon(bench.run(a=0, b=0, n=1, table=64, stride=stride, gather=1))
        word = int.from_bytes(bench.image[: params.beat_bytes].tobytes(), "little")
        await StreamSource(dut, "load__words").send([word])
        dut.load__write_ready.value = 1
        await StreamSource(dut, "load__words").send([0])
        await watchdog(running, 100)
        index, row = (command_layout().from_bits(value) for value in await commands)
        assert (index.address, index.beats) == (bench.base, 1)
        assert row.address == bench.base + (64 + number * stride) % (1 << 32), f"{number:#x} * {stride:#x}"


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.7])
async def weights(dut, stall):
    """Every channel gets every command once, in order, however long another one takes; none of 0 words."""
    params = LlmParams(**parameters()["params"])
    bench = Bench(dut, params, 6, stall)
    await bench.begin()
    loads = [(bench.random.randrange(1 << 26) * params.beat_bytes, n) for n in (1, 0, 5, 1 << 20, 0, 3, 1)]
    count = sum(n > 0 for _, n in loads)
    sinks = [cocotb.start_soon(StreamSink(dut, f"load__channels__{c}", seed=c, stall=stall).receive(count))
             for c in range(params.channels)]  # fmt: skip
    for a, n in loads:
        cycles = await watchdog(bench.run(lanes=1, a=a, n=n), 200)
        assert stall or cycles == (2 if n else 1), f"{cycles} cycles for {n} words"
    for c, sink in enumerate(sinks):
        commands = [command_layout().from_bits(value) for value in await sink]
        expected = [(bench.bases[c] + a, n * params.lane_words) for a, n in loads if n]
        assert [(command.address, command.beats) for command in commands] == expected


@cocotb.test()
async def weights_behind_a_vector(dut):
    """They reach their channels while the vector waits for memory; all finish in order, the vector first."""
    params = LlmParams(**parameters()["params"])
    bench = Bench(dut, params, 7, 0.0)
    await bench.begin()
    dut.load__write_ready.value = 1
    loads = [packed(load_layout(params), {"lanes": 1, "a": params.beat_bytes * i, "n": 1}) for i in range(1, 6)]
    vector = packed(load_layout(params), {"a": 0, "b": 3, "n": params.sfu_lanes})
    sinks = [cocotb.start_soon(StreamSink(dut, f"load__channels__{c}").receive(len(loads)))
             for c in range(params.channels)]  # fmt: skip
    words = [vector, *loads]
    await watchdog(StreamSource(dut, "load__command").send(words), 100)
    await watchdog(gather(*sinks), 100)
    for _ in range(5):
        await FallingEdge(dut.clk)
        assert (dut.load__finished.value, dut.load__busy.value) == (0, 1)
    await RisingEdge(dut.clk)
    tasks = [cocotb.start_soon(bench.memory())]
    finished = written = 0
    while finished < len(words):
        await FallingEdge(dut.clk)
        written += int(dut.load__write_valid.value)
        finished += int(dut.load__finished.value)
        assert not finished or written == 1, "a load behind the vector has finished before it"
        await RisingEdge(dut.clk)
    await FallingEdge(dut.clk)
    assert (dut.load__finished.value, dut.load__busy.value) == (0, 0)
    for task in tasks:
        task.cancel()
