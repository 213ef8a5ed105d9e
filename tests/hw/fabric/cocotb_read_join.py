"""Masters that read at random through one port: everyone gets the beats of its own requests, in order."""

import random
from collections import deque
from itertools import pairwise

import cocotb
from cocotb.triggers import FallingEdge, RisingEdge
from cocotb.utils import get_sim_time

from tests.hw.fabric.read_memory import ReadMemory
from tests.hw.harness import PERIOD_NS, parameters, start, watchdog

BITS = 64
BEAT = BITS // 8
INPUTS = {f"port__{name}": 0 for name in ("arready", "rvalid", "rresp", "rlast", "rdata")}


def word_at(address):
    return (address * 0x9E3779B97F4A7C15 + 1) % (1 << BITS)


class Master:
    """Sends `requests` (address, beats) and takes what comes; `asked_at`: the cycles."""

    def __init__(self, dut, number, requests, stall):
        self.dut, self.prefix, self.requests = dut, f"masters__{number}__", requests
        self.rng, self.stall = random.Random(number), stall
        self.taken, self.asked_at = [], []
        for name in ("araddr", "arlen", "arvalid", "rready"):
            self.port(name).value = 0

    def port(self, name):
        return getattr(self.dut, self.prefix + name)

    async def ask(self):
        for address, beats in self.requests:
            while self.rng.random() < self.stall:
                await RisingEdge(self.dut.clk)
            self.port("arvalid").value, self.port("araddr").value = 1, address
            self.port("arlen").value = beats - 1
            taken = False
            while not taken:
                await FallingEdge(self.dut.clk)
                taken = self.port("arready").value == 1
                await RisingEdge(self.dut.clk)
            self.asked_at.append(get_sim_time("ns") // PERIOD_NS)
            self.port("arvalid").value = 0

    async def take(self):
        while len(self.taken) < sum(beats for _, beats in self.requests):
            ready = self.rng.random() >= self.stall
            self.port("rready").value = int(ready)
            await FallingEdge(self.dut.clk)
            if ready and self.port("rvalid").value == 1:
                self.taken.append(tuple(int(self.port(name).value) for name in ("rdata", "rlast", "rresp")))
            await RisingEdge(self.dut.clk)
        self.port("rready").value = 0


def expected(requests, bad=()):
    return [
        (word_at(address + i * BEAT), int(i == beats - 1), 2 if address + i * BEAT in bad else 0)
        for address, beats in requests for i in range(beats)
    ]  # fmt: skip


async def all_of(tasks):
    for task in tasks:
        await task


async def play(dut, requests, *, stall=0.0, latency=1, bad=()):
    """(masters, memory, cycles): all `requests`, a list for each master, are answered as they must be."""
    memory = ReadMemory(dut, "port__", beat=BEAT, word_at=word_at, stall=stall, latency=latency, bad=bad)
    slave = cocotb.start_soon(memory.run())
    masters = [Master(dut, number, of_one, stall) for number, of_one in enumerate(requests)]
    begin = get_sim_time("ns")
    tasks = [cocotb.start_soon(task) for master in masters for task in (master.ask(), master.take())]
    await watchdog(all_of(tasks), 40_000)
    cycles = (get_sim_time("ns") - begin) // PERIOD_NS
    slave.cancel()
    for master in masters:
        assert master.taken == expected(master.requests, bad), master.prefix
    assert sorted(memory.asked) == sorted(request for of_one in requests for request in of_one)
    assert memory.most <= parameters()["depth"]
    return masters, memory, cycles


@cocotb.test()
@cocotb.parametrize((("stall", "latency"), [(0.0, 1), (0.5, 1), (0.0, 20), (0.5, 20), (0.8, 3)]))
async def everyone_gets_its_beats(dut, stall, latency):
    await start(dut, inputs=INPUTS)
    rng = random.Random(latency)
    requests = [
        [(rng.randrange(1 << 30) * BEAT, rng.choice([1, 1, 2, 16, rng.randrange(1, 257)]) if number else 1)
         for _ in range(60)] for number in range(parameters()["masters"])
    ]  # fmt: skip
    bad = {rng.choice(of_one)[0] for of_one in requests for _ in range(3)}
    _, memory, _ = await play(dut, requests, stall=stall, latency=latency, bad=bad)
    if latency == 20:
        assert memory.most > 1


@cocotb.test()
async def single_beats_at_one_a_cycle(dut):
    """From one master and from all of them; then each waits for the others' turns only."""
    await start(dut, inputs=INPUTS)
    masters = parameters()["masters"]
    for busy in (1, masters):
        requests = [[(number << 20 | i * BEAT, 1) for i in range(300 // busy)] if number < busy else []
                    for number in range(masters)]  # fmt: skip
        asked, _, cycles = await play(dut, requests)
        assert cycles <= 300 + 4, f"{cycles} cycles of {busy} masters"
        first = min(master.asked_at[0] for master in asked[:busy])
        for master in asked[:busy]:
            gaps = [b - a for a, b in pairwise([first, *master.asked_at])]
            assert max(gaps) <= busy, f"{master.prefix} waited {max(gaps)} cycles"


@cocotb.test()
async def no_more_than_depth_requests(dut):
    """No beat comes: `depth` requests leave, no more."""
    await start(dut, inputs=INPUTS)
    depth, left = parameters()["depth"], deque()
    dut.port__arready.value = dut.masters__0__arvalid.value = 1
    for _ in range(3 * depth):
        await FallingEdge(dut.clk)
        if dut.port__arvalid.value == 1:
            left.append(1)
        await RisingEdge(dut.clk)
    assert len(left) == depth
