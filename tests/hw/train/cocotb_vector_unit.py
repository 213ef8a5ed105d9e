"""Gives the instructions; memory answers reads and takes words, with stalls; the memory afterwards goes to a file."""

import json
import random
from pathlib import Path

import cocotb
from cocotb.triggers import FallingEdge, RisingEdge

from golden.train.params import TrainParams
from hw.fabric.axi import command_layout
from hw.train.layouts import addressed_layout
from tests.hw.harness import StreamSource, parameters, start, watchdog

BASE = 0x4000_0000


class Words:
    """A memory of words: requests are answered in order, words taken are answered later."""

    def __init__(self, dut, words, p, stall):
        self.dut, self.words, self.layout = dut, words, addressed_layout(p)
        self.stall, self.size = stall, p.axi_bits // 8
        self.random, self.cycle, self.due, self.answers = random.Random(5), 0, [], []

    def goes(self):
        return self.random.random() >= self.stall

    async def run(self):
        dut, command, offered = self.dut, command_layout(), False
        while True:
            if not offered and self.due and self.due[0][0] <= self.cycle and self.goes():
                dut.beats__payload.value, offered = self.due[0][1], True
            dut.beats__valid.value = int(offered)
            dut.commands__ready.value, dut.words__ready.value = int(self.goes()), int(self.goes())
            answered = bool(self.answers) and self.answers[0] <= self.cycle
            dut.answered.value = int(answered)
            await FallingEdge(dut.clk)
            if answered:
                self.answers.pop(0)
            if offered and int(dut.beats__ready.value):
                self.due.pop(0)
                offered = False
            if int(dut.commands__valid.value) and int(dut.commands__ready.value):
                asked = command.from_bits(int(dut.commands__payload.value))
                first = (asked.address - BASE) // self.size
                self.due += [(self.cycle + 20, self.words[first + i]) for i in range(asked.beats)]
            if int(dut.words__valid.value) and int(dut.words__ready.value):
                given = self.layout.from_bits(int(dut.words__payload.value))
                self.words[given.address] = given.data
                self.answers.append(self.cycle + (self.random.randrange(1, 20) if self.stall else 10))
            await RisingEdge(dut.clk)
            self.cycle += 1


async def finishes(dut, count, memory):
    """Cycles in which instructions were finished."""
    cycles = []
    while len(cycles) < count:
        await FallingEdge(dut.clk)
        if int(dut.finished.value):
            cycles.append(memory.cycle)
        await RisingEdge(dut.clk)
    return cycles


@cocotb.test()
async def instructions(dut):
    given = parameters()
    inputs = json.loads(Path(given["inputs"]).read_text())
    p = TrainParams(**given["params"])
    ports = ("instructions__valid", "commands__ready", "beats__valid", "words__ready", "answered")
    await start(dut, inputs=dict.fromkeys(ports, 0) | {"base": BASE} | {
        f"arguments__{number}": argument for number, argument in enumerate(given["arguments"])})
    memory = Words(dut, inputs["memory"], p, given["stall"])
    cocotb.start_soon(memory.run())
    cocotb.start_soon(StreamSource(dut, "instructions", stall=given["stall"]).send(inputs["instructions"]))
    finished = await watchdog(finishes(dut, len(inputs["instructions"]), memory), 100_000)
    assert not memory.due
    assert not memory.answers
    Path(given["results"]).write_text(json.dumps({"memory": memory.words, "finished": finished}))
