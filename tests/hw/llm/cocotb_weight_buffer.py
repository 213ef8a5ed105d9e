"""Runs in the simulator: WeightBuffer against a queue."""

import random
from collections import deque

import cocotb
from cocotb.triggers import FallingEdge, RisingEdge

from hw.llm.weight_buffer import WeightBuffer
from tests.hw.harness import parameters, start, watchdog


class Bench:
    """Offers random words, takes what leaves; `words` in order, none lost, none twice."""

    def __init__(self, dut, *, seed):
        self.dut, self.random, self.together = dut, random.Random(seed), parameters()["together"]
        self.expected, self.level = deque(), 0
        self.room = deque([0] * (WeightBuffer.LATENCY + 1), maxlen=WeightBuffer.LATENCY + 1)

    async def cycle(self, offer, room):
        """One cycle; (word taken in, word that left)."""
        dut, word = self.dut, self.random.getrandbits(len(self.dut.i__payload))
        dut.i__payload.value, dut.i__valid.value, dut.room.value = word, offer, room
        self.room.append(room)
        await FallingEdge(dut.clk)
        taken, left = offer and int(dut.i__ready.value), int(dut.valid.value)
        if left:
            assert self.room[0], "a word left that nobody had room for"
            leaving, width = int(dut.word.value), len(dut.i__payload)
            for part in range(self.together):
                assert leaving >> width * part & (1 << width) - 1 == self.expected.popleft()
        if taken:
            self.expected.append(word)
        await RisingEdge(dut.clk)
        return taken, left


@cocotb.test()
async def order_and_room(dut):
    """Random offers and room, from rare to always; everything comes out in order."""
    settings = parameters()
    bench = Bench(dut, seed=settings["seed"])
    await start(dut, inputs={"i__valid": 0, "i__payload": 0, "room": 0})

    async def run():
        for offers, rooms in ((0.9, 0.1), (0.1, 0.9), (0.5, 0.5), (1, 1), (1, 0.3)):
            for _ in range(4 * settings["depth"] + 200):
                await bench.cycle(bench.random.random() < offers, bench.random.random() < rooms)
        while len(bench.expected) >= bench.together:
            await bench.cycle(0, 1)
        for _ in range(8):
            assert await bench.cycle(0, 1) == (0, 0)

    await watchdog(run(), 100_000)


@cocotb.test()
async def full_and_throughput(dut):
    """Takes exactly `depth` words without room; then a word a cycle in and, together, out, the first LATENCY cycles
    later."""
    depth, together = parameters()["depth"], parameters()["together"]
    bench = Bench(dut, seed=3)
    await start(dut, inputs={"i__valid": 0, "i__payload": 0, "room": 0})
    assert sum([(await bench.cycle(1, 0))[0] for _ in range(depth + 5)]) == depth
    left = [(await bench.cycle(0, 1))[1] for _ in range(WeightBuffer.LATENCY + depth // together)]
    assert left == [0] * WeightBuffer.LATENCY + [1] * (depth // together)
    moved = [await bench.cycle(1, 1) for _ in range(3 * depth)]
    assert all(taken for taken, _ in moved)
    assert sum(left for _, left in moved) == (3 * depth - 1 - WeightBuffer.LATENCY) // together
