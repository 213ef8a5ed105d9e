"""Fills the buffers, gives the instructions and takes the words, with stalls and late answers."""

import json
import random
from pathlib import Path

import cocotb
from cocotb.triggers import FallingEdge, RisingEdge

from tests.hw.harness import StreamSink, StreamSource, parameters, start, watchdog


async def fill(dut, rows):
    """rows: write port -> data of its rows."""
    for port, data in rows.items():
        getattr(dut, port).value = 1
        for row, word in enumerate(data):
            dut.write_row.value, dut.write_data.value = row, word
            await RisingEdge(dut.clk)
        getattr(dut, port).value = 0


async def answers(dut, rng, answered_words):
    """Every word is answered some cycles after it was taken, in order."""
    due = []
    cycle = 0
    while True:
        await FallingEdge(dut.clk)
        if int(dut.words__valid.value) and int(dut.words__ready.value):
            due.append(max(cycle + rng.randrange(2, 30), due[-1] + 1 if due else 0))
        answered = bool(due) and due[0] <= cycle
        if answered:
            due.pop(0)
            answered_words.append(cycle)
        await RisingEdge(dut.clk)
        dut.answered.value = int(answered)
        cycle += 1


async def finishes(dut, answered_words, count):
    """How many words were answered when each of `count` instructions finished."""
    found = []
    while len(found) < count:
        await FallingEdge(dut.clk)
        if int(dut.finished.value):
            found.append(len(answered_words))
        await RisingEdge(dut.clk)
    return found


@cocotb.test()
async def instructions(dut):
    given = parameters()
    inputs = json.loads(Path(given["inputs"]).read_text())
    ports = ("write_x", "write_values", "write_index", "write_row", "write_data", "answered")
    await start(dut, inputs=dict.fromkeys((*ports, "mm__valid", "words__ready"), 0))
    await fill(dut, inputs["rows"])
    stall, answered_words = given["stall"], []
    source, sink = StreamSource(dut, "mm", stall=stall), StreamSink(dut, "words", stall=stall)
    for _ in range(130):  # what lies in delays after a reset
        await RisingEdge(dut.clk)
    cocotb.start_soon(answers(dut, random.Random(3), answered_words))
    ends = cocotb.start_soon(finishes(dut, answered_words, len(inputs["instructions"])))
    cocotb.start_soon(source.send(inputs["instructions"]))
    words = await watchdog(sink.receive(inputs["words"]), 200_000)
    ended = await watchdog(ends, 1000)
    await FallingEdge(dut.clk)
    assert not int(dut.busy.value)
    Path(given["results"]).write_text(json.dumps({"words": words, "ends": ended}))
