"""Numbers in, words out: full, at full speed, and with zeros behind the last one."""

import random

import cocotb
from cocotb.triggers import FallingEdge, RisingEdge

from hw.spgemm.layouts import NUMBER_BITS
from hw.spgemm.number_words import NumberWords
from tests.hw.harness import StreamSink, start, watchdog
from tests.hw.spgemm.bench import shape_params
from tests.hw.spgemm.ports import NumberSource, packed_words


async def begin(dut):
    p, stall = shape_params()
    await start(dut, inputs={"numbers__valid": 0, "numbers__number": 0, "finish": 0, "words__ready": 0})
    return p.axi_bits // NUMBER_BITS, stall


def some(rng, number):
    return [rng.getrandbits(NUMBER_BITS) for _ in range(number)]


async def cycles(dut, number):
    for _ in range(number):
        await RisingEdge(dut.clk)


@cocotb.test()
async def every_rest(dut):
    """A word that has begun leaves when nothing comes any more, at once or after words that waited."""
    lanes, stall = await begin(dut)
    rng = random.Random(1)
    sink = StreamSink(dut, "words", stall=stall)
    for rest in range(lanes):
        for whole in (0, 3, 20):
            numbers = some(rng, whole * lanes + rest)
            words = packed_words(numbers, NUMBER_BITS, lanes)
            sending = cocotb.start_soon(NumberSource(dut, stall=stall).send(numbers))
            late = min(whole, 2)  # words that are taken after `finish`
            got = await watchdog(sink.receive(whole - late), 100 * len(numbers) + 100)
            await sending
            await cycles(dut, 3 * lanes)
            assert int(dut.busy.value) == (rest + late > 0)
            assert int(dut.words__valid.value) == (late > 0)
            dut.finish.value = 1
            got += await watchdog(sink.receive(len(words) - len(got)), 100 * lanes)
            assert got == words
            await cycles(dut, 5)
            assert not int(dut.busy.value)
            assert not int(dut.words__valid.value)
            dut.finish.value = 0


@cocotb.test()
async def full(dut):
    """As many as it holds, then all of them."""
    lanes, stall = await begin(dut)
    rng = random.Random(2)
    source, sink = NumberSource(dut), StreamSink(dut, "words", stall=stall)
    for words in (20, 23):
        numbers = some(rng, words * lanes)
        sending = cocotb.start_soon(source.send(numbers))
        await cycles(dut, 200)
        assert source.without_room > 50
        assert int(dut.waiting.value) > NumberWords.DEPTH - NumberWords.MARGIN
        assert await watchdog(sink.receive(words), 100 * words * lanes) == packed_words(numbers, NUMBER_BITS, lanes)
        await sending


@cocotb.test()
async def a_number_a_cycle(dut):
    lanes, _ = await begin(dut)
    numbers = some(random.Random(3), 30 * lanes)
    source = NumberSource(dut)
    sending = cocotb.start_soon(source.send(numbers))
    got = await watchdog(StreamSink(dut, "words").receive(30), len(numbers) + NumberWords.LATENCY + 1)
    assert got == packed_words(numbers, NUMBER_BITS, lanes)
    await sending
    assert not source.most_without_room


@cocotb.test()
async def latency(dut):
    """A word is offered LATENCY cycles after its last number, not before."""
    lanes, _ = await begin(dut)
    source, sink = NumberSource(dut), StreamSink(dut, "words")
    for number in range(3):
        await source.send([number] * (lanes - 1))
        await cycles(dut, 10)
        assert not int(dut.words__valid.value)
        await source.send([number])
        for cycle in range(1, NumberWords.LATENCY + 1):
            await FallingEdge(dut.clk)
            assert int(dut.words__valid.value) == (cycle == NumberWords.LATENCY)
            await RisingEdge(dut.clk)
        assert await sink.receive(1) == packed_words([number] * lanes, NUMBER_BITS, lanes)
