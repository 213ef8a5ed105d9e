"""Reads take turns among the memory's banks; words come in the order of the lines."""

import random

import cocotb
from cocotb.triggers import FallingEdge, RisingEdge

from golden.isa.spgemm import FIRST_BITS
from golden.spgemm.params import SpgemmParams
from hw.spgemm.miss_queue import MissQueue
from tests.hw.fabric.read_memory import ReadMemory
from tests.hw.harness import StreamSink, StreamSource, parameters, start, watchdog

BASE = 3 << 33 | 0x1000


def word_at(address):
    return address * 0x10001


async def begin(dut, **memory):
    p = SpgemmParams(**parameters()["params"])
    await start(dut, inputs={"lines__valid": 0, "words__ready": 0, "clear": 0, "base": BASE})
    model = ReadMemory(dut, "axi__", beat=p.beat_bytes, word_at=word_at, **memory)
    cocotb.start_soon(model.run())
    return p, model


async def read(dut, p, lines, stall=0.0):
    sending = cocotb.start_soon(StreamSource(dut, "lines", seed=1, stall=stall).send(lines))
    words = await watchdog(StreamSink(dut, "words", seed=2, stall=stall).receive(len(lines)), 100_000)
    await sending
    assert words == [word_at(BASE + line * p.beat_bytes) for line in lines]


@cocotb.test()
@cocotb.parametrize((("stall", "latency"), [(0.0, 1), (0.5, 1), (0.0, 40), (0.5, 40)]))
async def words_in_order(dut, stall, latency):
    rng = random.Random(3)
    p, memory = await begin(dut, stall=stall, latency=lambda: rng.randint(1, latency))
    highest = (1 << FIRST_BITS) // p.lanes
    await read(dut, p, [rng.randrange(highest) for _ in range(500)], stall)
    await read(dut, p, list(range(highest - 200, highest)), stall)
    assert memory.most <= p.outstanding
    assert dut.error.value == 0


@cocotb.test()
async def banks_take_turns(dut):
    """Lines of one bank come first, yet those of the others are read between them."""
    p, memory = await begin(dut, stall=0.8)
    per_queue = (1 << p.miss_bit) // p.beat_bytes
    count = min(MissQueue.QUEUE_DEPTH, p.outstanding // p.miss_queues)
    lines = [queue * per_queue + i % per_queue for queue in range(p.miss_queues) for i in range(count)]
    await read(dut, p, lines)
    asked = [(address - BASE >> p.miss_bit) % p.miss_queues for address, _ in memory.asked]
    assert len(asked) == len(lines)
    for queue in range(1, p.miss_queues if count > 4 else 0):
        assert asked.index(queue) < 3 * queue + 3 < len(asked) - 1 - asked[::-1].index(0), asked


@cocotb.test()
async def a_word_a_cycle(dut):
    p, memory = await begin(dut, latency=1)
    cocotb.start_soon(StreamSource(dut, "lines").send(range(200)))
    times = []

    async def take():
        cycle = 0
        dut.words__ready.value = 1
        while len(times) < 200:
            await FallingEdge(dut.clk)
            if int(dut.words__valid.value):
                times.append(cycle)
            await RisingEdge(dut.clk)
            cycle += 1

    await watchdog(take(), 1000)
    if p.outstanding > MissQueue.LATENCY + 1:
        assert times[-1] - times[0] == 199
    assert times[0] == MissQueue.LATENCY + 1
    assert not memory.beats


@cocotb.test()
async def an_error_response(dut):
    p, _ = await begin(dut, bad=[BASE + 64 * 7])
    await read(dut, p, [7 * 64 // p.beat_bytes])
    assert dut.error.value == 1
    dut.clear.value = 1
    await RisingEdge(dut.clk)
    dut.clear.value = 0
    await RisingEdge(dut.clk)
    await FallingEdge(dut.clk)
    assert dut.error.value == 0
