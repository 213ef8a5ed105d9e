"""A memory behind the unit's streams, and instructions one after the other."""

import json
import random
from collections import deque
from pathlib import Path

import cocotb
from cocotb.triggers import FallingEdge, RisingEdge

from tests.hw.harness import parameters, reset, start, watchdog

BASE = 0x7_FFFF_F000
ANSWER = 20
STALLS = ((0.6, 0.0), (0.0, 0.8), (0.5, 0.5))
"""Of what is read and of what is written, one instruction after the other."""
INPUTS = ("upd__valid", "upd__payload", "commands__ready", "beats__valid", "beats__payload", "words__ready", "answered")


class Bench:
    """Ports sampled at falling edges, driven behind rising ones."""

    def __init__(self, dut, given):
        self.dut, self.size, self.latency, self.stall = dut, given["size"], given["latency"], given["stall"]
        self.image = bytearray(Path(given["image"]).read_bytes())
        self.instructions = deque(given["instructions"])
        self.rng, self.cycle = random.Random(5), 0
        self.beats, self.answers = deque(), deque()  # (cycle from which on it may come, data)
        self.offered, self.taken, self.cycles = None, None, []
        self.unanswered = 0
        self.layout = (32, 8 * self.size, self.size)

    def on(self, name):
        return bool(int(getattr(self.dut, name).value))

    def goes(self, what):
        return not self.stall or self.rng.random() >= STALLS[len(self.cycles) % len(STALLS)][what]

    def see(self):
        dut = self.dut
        if self.on("commands__valid") and self.on("commands__ready"):
            self.ask(int(dut.commands__payload.value))
        if self.on("beats__valid"):
            self.beats.popleft()
        if self.on("words__valid"):
            word = int(dut.words__payload.value)
            assert self.offered in (None, word), "a word changed while it waited"
            self.offered = None if self.on("words__ready") else word
            if self.offered is None:
                self.write(word)
        else:
            assert self.offered is None, "a word was withdrawn"
        if self.on("answered"):
            self.unanswered -= 1
        if self.on("finished"):
            assert self.unanswered == 0
            assert self.taken is not None
            self.cycles.append(self.cycle - self.taken)
            self.taken = None
        if self.on("upd__valid") and self.on("upd__ready"):
            assert self.taken is None
            self.taken = self.cycle
            self.instructions.popleft()

    def ask(self, command):
        address, count = command & (1 << 64) - 1, command >> 64
        for beat in range(count):
            at = address - BASE + beat * self.size
            self.beats.append((self.cycle + self.latency + self.rng.randrange(26 if self.stall else 1),
                               int.from_bytes(self.image[at : at + self.size], "little")))

    def write(self, word):
        address, data, strobe = word & (1 << 32) - 1, word >> 32, word >> 32 + 8 * self.size
        for byte in range(self.size):
            if strobe >> byte & 1:
                self.image[address * self.size + byte] = data >> 8 * byte & 255
        self.unanswered += 1
        self.answers.append(self.cycle + ANSWER + self.rng.randrange(26 if self.stall else 1))

    def drive(self):
        dut = self.dut
        self.cycle += 1
        dut.upd__valid.value = int(bool(self.instructions))
        dut.upd__payload.value = self.instructions[0] if self.instructions else 0
        dut.commands__ready.value = int(self.goes(0))
        comes = bool(self.beats) and self.beats[0][0] <= self.cycle and self.goes(0)
        dut.beats__valid.value = int(comes)
        dut.beats__payload.value = self.beats[0][1] if comes else 0
        dut.words__ready.value = int(self.unanswered < 30 and self.goes(1))
        answers = bool(self.answers) and self.answers[0] <= self.cycle
        if answers:
            self.answers.popleft()
        dut.answered.value = int(answers)


@cocotb.test()
async def instructions(dut):
    given = parameters()
    settings = given["settings"]
    await start(dut, inputs=dict.fromkeys(INPUTS, 0) | settings | {"base": BASE})
    bench, count = Bench(dut, given), len(given["instructions"])

    for _ in range(given.get("wrong", 0)):
        dut.upd__valid.value, dut.upd__payload.value = 1, bench.instructions.popleft()
        for cycle in range(4):
            await FallingEdge(dut.clk)
            assert bench.on("wrong") == (cycle == 1)
            assert not bench.on("commands__valid")
            await RisingEdge(dut.clk)
            dut.upd__valid.value = 0
        count -= 1
        await reset(dut)

    async def run():
        while len(bench.cycles) < count:
            await FallingEdge(dut.clk)
            assert not bench.on("wrong")
            bench.see()
            await RisingEdge(dut.clk)
            bench.drive()
        await FallingEdge(dut.clk)
        assert bench.on("upd__ready")

    await watchdog(run(), 60_000)
    Path(given["found"]).write_bytes(bytes(bench.image))
    Path(given["cycles"]).write_text(json.dumps(bench.cycles))
