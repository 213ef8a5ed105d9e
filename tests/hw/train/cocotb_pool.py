"""A memory behind the unit's streams, and instructions one after the other; the memory afterwards goes to a file."""

import json
import random
from collections import deque
from pathlib import Path

import cocotb
from cocotb.triggers import FallingEdge, RisingEdge

from golden.train.params import TrainParams
from hw.train.layouts import addressed_layout
from hw.train.tensor_pass import request_layout
from tests.hw.harness import parameters, reset, start, watchdog

STALLS = ((0.6, 0.0), (0.0, 0.8), (0.5, 0.5))
"""Of what is read and of what is written, one instruction after the other."""
INPUTS = dict.fromkeys(("start", "instruction", "requests__ready", "beats__valid", "beats__payload", "words__ready"), 0)


class Bench:
    """Ports sampled at falling edges, driven behind rising ones. What was read since `restart`: `beats_at`."""

    def __init__(self, dut, given):
        self.dut, self.stall, self.latency = dut, given["stall"], given["latency"]
        p = TrainParams(**given["params"])
        self.request, self.word = request_layout(), addressed_layout(p)
        self.words = json.loads(Path(given["memory"]).read_text())
        self.rng, self.cycle, self.number = random.Random(7), 0, 0
        self.restart()

    def restart(self):
        self.beats, self.beat, self.waiting = deque(), None, {}
        self.taken, self.given = [], []

    def goes(self, what):
        return not self.stall or self.rng.random() >= STALLS[self.number % len(STALLS)][what]

    async def step(self, **inputs):
        """A cycle with these inputs; what `wrong` and `done` are in it."""
        dut = self.dut
        if self.beat is None and self.beats and self.beats[0][0] <= self.cycle and self.goes(0):
            self.beat = self.beats.popleft()[1]
        values = {"requests__ready": self.goes(0), "words__ready": self.goes(1), "beats__valid": self.beat is not None,
                  "beats__payload": self.beat or 0, "start": 0, **inputs}
        for name, value in values.items():
            getattr(dut, name).value = int(value)
        await FallingEdge(dut.clk)
        if self.offered("requests", values):
            asked = self.request.from_bits(int(dut.requests__payload.value))
            assert asked.words
            self.beats += [(self.cycle + self.latency, self.words[asked.address + i]) for i in range(asked.words)]
        if self.beat is not None and int(dut.beats__ready.value):
            self.beat = None
            self.taken.append(self.cycle)
        if self.offered("words", values):
            word = self.word.from_bits(int(dut.words__payload.value))
            self.words[word.address] = word.data
            self.given.append(self.cycle)
        seen = int(dut.wrong.value), int(dut.done.value)
        await RisingEdge(dut.clk)
        self.cycle += 1
        return seen

    def offered(self, name, values):
        """It is taken; what waits does not change."""
        if not int(getattr(self.dut, f"{name}__valid").value):
            assert name not in self.waiting, f"{name}: withdrawn"
            return False
        payload = int(getattr(self.dut, f"{name}__payload").value)
        assert self.waiting.pop(name, payload) == payload, f"{name}: changed"
        if not values[f"{name}__ready"]:
            self.waiting[name] = payload
        return values[f"{name}__ready"]

    async def run(self, instruction):
        """Cycles from the start to the last word."""
        self.restart()
        first, self.number = self.cycle, self.number + 1
        seen = await self.step(start=1, instruction=instruction)
        while not seen[1]:
            assert not seen[0], "wrong"
            seen = await self.step()
        assert self.beat is None
        assert not self.beats
        return self.given[-1] - first


@cocotb.test()
async def instructions(dut):
    given = parameters()
    await start(dut, inputs=INPUTS)
    bench = Bench(dut, given)
    for instruction in given["wrong"]:
        assert await bench.step(start=1, instruction=instruction) == (1, 0)
        for _ in range(6):
            assert await bench.step() == (0, 0)
        assert not bench.beats
    for instruction, cycles in given["broken"]:
        await bench.step(start=1, instruction=instruction)
        for _ in range(cycles):
            await bench.step()
        bench.restart()
        await reset(dut, inputs=INPUTS)

    async def run():
        return [await bench.run(instruction) for instruction in given["instructions"]]

    cycles = await watchdog(run(), 200_000)
    if not bench.stall:  # from its first beat on, one every cycle
        assert bench.taken == list(range(bench.taken[0], bench.taken[0] + len(bench.taken)))
    Path(given["results"]).write_text(json.dumps({"memory": bench.words, "cycles": cycles}))
