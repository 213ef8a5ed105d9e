"""Entries of chunks come in order, and no response ever waits for whoever takes them."""

import random

import cocotb
from cocotb.triggers import FallingEdge, RisingEdge

from hw.spgemm.fetch import BURSTS
from hw.spgemm.layouts import chunk_layout
from tests.hw.fabric.read_memory import ReadMemory
from tests.hw.harness import StreamSink, StreamSource, start, watchdog
from tests.hw.packing import packed, unpacked
from tests.hw.spgemm.bench import shape_params

BASE = 5 << 33


def word_at(address):
    return address * 0x10001


async def begin(dut, p, stall, **memory):
    await start(dut, inputs={"chunks__valid": 0, "walk__ready": 0, "words__ready": 0, "base": BASE, "clear": 0})
    model = ReadMemory(dut, "axi__", beat=p.beat_bytes, word_at=word_at, stall=stall, **memory)
    cocotb.start_soon(model.run())
    return model


def some_chunks(p, rng):
    return [{"id": number, "word": rng.randrange(1 << 20), "entries": rng.randrange(1, 40 * p.lanes)}
            for number in range(12)]


def words_of(p, chunks):
    return [word_at(BASE + (chunk["word"] + i) * p.beat_bytes)
            for chunk in chunks for i in range(-(-chunk["entries"] // p.lanes))]


async def busy_without_gaps(dut, p):
    """From the cycle after a chunk is taken until all of its words, and itself, have been handed on."""
    words = walks = 0
    while True:
        await FallingEdge(dut.clk)
        assert int(dut.busy.value) or not (words or walks)
        if dut.chunks__valid.value == 1 and dut.chunks__ready.value == 1:
            entries = unpacked(chunk_layout(), int(dut.chunks__payload.value))["entries"]
            words, walks = words - (-entries // p.lanes), walks + 1
        words -= int(dut.words__valid.value == 1 and dut.words__ready.value == 1)
        walks -= int(dut.walk__valid.value == 1 and dut.walk__ready.value == 1)
        await RisingEdge(dut.clk)


@cocotb.test()
async def all_chunks(dut):
    p, stall = shape_params()
    rng = random.Random(1)
    await begin(dut, p, stall, latency=lambda: rng.randrange(1, 60))
    chunks = some_chunks(p, rng)
    expected = words_of(p, chunks)
    watch = cocotb.start_soon(busy_without_gaps(dut, p))

    async def run():
        sending = cocotb.start_soon(StreamSource(dut, "chunks", stall=stall).send(
            packed(chunk_layout(), chunk) for chunk in chunks))
        walking = cocotb.start_soon(StreamSink(dut, "walk", stall=stall).receive(len(chunks)))
        words = await StreamSink(dut, "words", stall=stall).receive(len(expected))
        await sending
        return await walking, words

    walk, words = await watchdog(run(), 50_000)
    assert [unpacked(chunk_layout(), chunk) for chunk in walk] == chunks
    assert words == expected
    await RisingEdge(dut.clk)
    await FallingEdge(dut.clk)
    assert (int(dut.busy.value), int(dut.error.value)) == (0, 0)
    assert not watch.done()
    watch.cancel()


@cocotb.test()
async def nothing_is_asked_for_without_room(dut):
    p, _ = shape_params()
    chunk = {"id": 0, "word": 0, "entries": 50 * p.lanes}
    memory = await begin(dut, p, 0.0, latency=5)
    cocotb.start_soon(StreamSource(dut, "chunks").send([packed(chunk_layout(), chunk)]))
    for _ in range(200):
        await RisingEdge(dut.clk)
    assert sum(beats for _, beats in memory.asked) == BURSTS * p.burst_beats
    assert not memory.beats
    words = await watchdog(StreamSink(dut, "words").receive(50), 400)
    assert words == words_of(p, [chunk])


@cocotb.test()
async def a_bad_response(dut):
    p, _ = shape_params()
    await begin(dut, p, 0.0, bad={BASE + p.beat_bytes})
    chunk = {"id": 0, "word": 0, "entries": 3 * p.lanes}
    cocotb.start_soon(StreamSource(dut, "chunks").send([packed(chunk_layout(), chunk)]))
    await watchdog(StreamSink(dut, "words").receive(3), 200)
    assert int(dut.error.value) == 1
    dut.clear.value = 1
    await RisingEdge(dut.clk)
    dut.clear.value = 0
    await RisingEdge(dut.clk)
    await FallingEdge(dut.clk)
    assert int(dut.error.value) == 0
