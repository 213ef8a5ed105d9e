"""Elements in, words out: full, around the RAM's end, at full speed, and not before they are whole."""

import random

import cocotb
from cocotb.triggers import FallingEdge, RisingEdge

from hw.spgemm.element_queue import ElementQueue
from tests.hw.harness import StreamSink, start, watchdog
from tests.hw.spgemm.bench import shape_params
from tests.hw.spgemm.ports import ElementSource, element_bits, packed_words

DEPTH = ElementQueue.DEPTH


async def begin(dut):
    p, stall = shape_params()
    await start(dut, inputs={"elements__mask": 0, "elements__data": 0, "words__ready": 0})
    return p, stall


def some(rng, p, number):
    return [rng.getrandbits(element_bits(p)) for _ in range(number)]


async def cycles(dut, number):
    for _ in range(number):
        await RisingEdge(dut.clk)


@cocotb.test()
@cocotb.parametrize(slow=["none", "in", "out"])
async def around_the_end(dut, slow):
    """Groups of every size, several times the RAM's depth."""
    p, stall = await begin(dut)
    rng = random.Random(1)
    elements = some(rng, p, p.lanes * DEPTH * 5 // 2)
    source = ElementSource(dut, p, stall=0.9 if slow == "in" else stall)
    sink = StreamSink(dut, "words", stall=0.9 if slow == "out" else stall)
    sending = cocotb.start_soon(source.send(elements, sizes=range(p.lanes + 1)))
    words = packed_words(elements, element_bits(p), p.lanes)
    assert await watchdog(sink.receive(len(words)), 200 * len(words)) == words
    await sending
    await FallingEdge(dut.clk)
    assert not int(dut.words__valid.value)


@cocotb.test()
async def full(dut):
    """As many words as it holds, with groups across words' ends, several times over."""
    p, _ = await begin(dut)
    rng = random.Random(2)
    source, sink = ElementSource(dut, p), StreamSink(dut, "words")
    for _ in range(4):
        elements = some(rng, p, p.lanes * (DEPTH + 40))
        words = packed_words(elements, element_bits(p), p.lanes)
        source.most_without_room = 0
        sending = cocotb.start_soon(source.send(elements, sizes=[p.lanes - 1, *[p.lanes] * 20]))
        await cycles(dut, DEPTH + 100)
        assert source.without_room > 50
        taken = await watchdog(sink.receive(DEPTH), 2 * DEPTH)
        assert taken + await watchdog(sink.receive(40), 400) == words
        await sending


@cocotb.test()
async def a_word_a_cycle(dut):
    p, _ = await begin(dut)
    rng = random.Random(3)
    for lead in (0, 50):
        elements = some(rng, p, p.lanes * 3 * DEPTH)
        sending = cocotb.start_soon(ElementSource(dut, p).send(elements))
        await cycles(dut, lead)
        words = packed_words(elements, element_bits(p), p.lanes)
        within = len(words) + (0 if lead else ElementQueue.LATENCY)
        assert await watchdog(StreamSink(dut, "words").receive(len(words)), within + 1) == words
        await sending


@cocotb.test()
async def latency(dut):
    """A word is offered LATENCY cycles after its last element, not before."""
    p, _ = await begin(dut)
    rng = random.Random(4)
    source, sink = ElementSource(dut, p), StreamSink(dut, "words")
    for _ in range(5):
        elements = some(rng, p, p.lanes)
        for element in elements[:-1]:
            await source.send([element])
        await cycles(dut, 10)
        assert not int(dut.words__valid.value)
        await source.send(elements[-1:])
        for cycle in range(1, ElementQueue.LATENCY + 1):
            await FallingEdge(dut.clk)
            assert int(dut.words__valid.value) == (cycle == ElementQueue.LATENCY)
            await RisingEdge(dut.clk)
        assert await sink.receive(1) == packed_words(elements, element_bits(p), p.lanes)


@cocotb.test()
async def waiting(dut):
    """Words behind the one that is offered, a cycle ago; a row of the RAM is free as soon as its word is offered."""
    p, _ = await begin(dut)
    rng = random.Random(5)
    source, sink = ElementSource(dut, p), StreamSink(dut, "words")
    here = 0
    for sent, taken in ((3, 1), (100, 0), (300, 399), (0, 3)):
        await source.send(some(rng, p, p.lanes * sent))
        await sink.receive(taken)
        here += sent - taken
        await cycles(dut, 5)
        assert int(dut.waiting.value) == max(0, here - 1)
