"""Reads take turns among the memory's banks; blocks come in the order of the asking."""

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
    await start(dut, inputs={"blocks__valid": 0, "contents__ready": 0, "clear": 0, "base": BASE})
    model = ReadMemory(dut, "axi__", beat=p.beat_bytes, word_at=word_at, **memory)
    cocotb.start_soon(model.run())
    return p, model


def content(p, block):
    first = BASE + block * p.block_lines * p.beat_bytes
    words = (word_at(first + i * p.beat_bytes) for i in range(p.block_lines))
    return sum(word << i * p.axi_bits for i, word in enumerate(words))


async def read(dut, p, blocks, stall=0.0):
    sending = cocotb.start_soon(StreamSource(dut, "blocks", seed=1, stall=stall).send(blocks))
    found = await watchdog(StreamSink(dut, "contents", seed=2, stall=stall).receive(len(blocks)), 100_000)
    await sending
    assert found == [content(p, block) for block in blocks]


@cocotb.test()
@cocotb.parametrize((("stall", "latency"), [(0.0, 1), (0.5, 1), (0.0, 40), (0.5, 40)]))
async def blocks_in_order(dut, stall, latency):
    rng = random.Random(3)
    p, memory = await begin(dut, stall=stall, latency=lambda: rng.randint(1, latency))
    highest = (1 << FIRST_BITS) // p.lanes // p.block_lines
    await read(dut, p, [rng.randrange(highest) for _ in range(500)], stall)
    await read(dut, p, list(range(highest - 200, highest)), stall)
    assert memory.most <= p.in_flight
    assert dut.error.value == 0


@cocotb.test()
async def banks_take_turns(dut):
    """Blocks of one bank come first, yet those of the others are read between them."""
    p, memory = await begin(dut, stall=0.8)
    per_queue = (1 << p.miss_bit) // p.beat_bytes // p.block_lines
    count = min(MissQueue.QUEUE_DEPTH, p.outstanding // p.miss_queues)
    blocks = [queue * per_queue + i % per_queue for queue in range(p.miss_queues) for i in range(count)]
    await read(dut, p, blocks)
    asked = [(address - BASE >> p.miss_bit) % p.miss_queues for address, _ in memory.asked]
    assert len(asked) == len(blocks)
    for queue in range(1, p.miss_queues if count > 4 else 0):
        assert asked.index(queue) < 3 * queue + 3 < len(asked) - 1 - asked[::-1].index(0), asked


@cocotb.test()
async def a_beat_a_cycle(dut):
    p, memory = await begin(dut, latency=1)
    cocotb.start_soon(StreamSource(dut, "blocks").send(range(200)))
    times = []

    async def take():
        cycle = 0
        dut.contents__ready.value = 1
        while len(times) < 200:
            await FallingEdge(dut.clk)
            if int(dut.contents__valid.value):
                times.append(cycle)
            await RisingEdge(dut.clk)
            cycle += 1

    await watchdog(take(), 1000)
    if p.in_flight * p.block_lines > MissQueue.LATENCY:
        assert times[-1] - times[0] == 199 * p.block_lines
    assert times[0] == MissQueue.LATENCY + p.block_lines
    assert not memory.beats


@cocotb.test()
async def an_error_response(dut):
    p, _ = await begin(dut, bad=[BASE + 64 * 7])
    await read(dut, p, [7 * 64 // p.beat_bytes // p.block_lines])
    assert dut.error.value == 1
    dut.clear.value = 1
    await RisingEdge(dut.clk)
    dut.clear.value = 0
    await RisingEdge(dut.clk)
    await FallingEdge(dut.clk)
    assert dut.error.value == 0
