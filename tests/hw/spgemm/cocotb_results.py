"""Words behind two cursors, then the record."""

import random

import cocotb
from cocotb.triggers import FallingEdge, RisingEdge

from golden.spgemm.record import record_words
from hw.fabric.axi import beat_layout
from hw.spgemm.element_queue import ElementQueue
from hw.spgemm.layouts import NUMBER_BITS, held_layout, stored_layout
from hw.spgemm.number_words import NumberWords
from hw.spgemm.results import Results
from tests.hw.harness import StreamSink, start, watchdog
from tests.hw.packing import packed, unpacked
from tests.hw.spgemm.bench import shape_params
from tests.hw.spgemm.ports import ElementSource, NumberSource, element_bits, packed_words

BASE, C, N, WORDS = 3 << 33, 1000, 40, 60


async def begin(dut):
    await start(dut, inputs={"start": 0, "alone": 0, "record": 0, "base": BASE, "c": C, "n": N, "elements__mask": 0,
                             "numbers__valid": 0, "beats__ready": 0})
    await strobe(dut, "start")


async def strobe(dut, name):
    getattr(dut, name).value = 1
    await RisingEdge(dut.clk)
    getattr(dut, name).value = 0


class Recorded:
    """How often `recorded` was there."""

    def __init__(self, dut):
        self.dut, self.count = dut, 0
        self.task = cocotb.start_soon(self.run())

    async def run(self):
        while True:
            await FallingEdge(self.dut.clk)
            self.count += int(self.dut.recorded.value)


def in_memory(p, bits):
    """An element as it lies in memory."""
    return packed(stored_layout(p), unpacked(held_layout(p), bits))


@cocotb.test()
@cocotb.parametrize(rest=[0, 1, 3])
async def two_cursors(dut, rest):
    """Twice the same run: words of elements, a word of numbers that isn't full, the record behind all of them."""
    p, stall = shape_params()
    rng = random.Random(rest)
    lanes = p.axi_bits // NUMBER_BITS
    await begin(dut)
    recorded = Recorded(dut)
    for _ in range(2):
        elements = [rng.getrandbits(element_bits(p)) for _ in range(WORDS * p.lanes)]
        numbers = [rng.getrandbits(NUMBER_BITS) for _ in range(WORDS * lanes - rest)]
        record = [rng.getrandbits(p.axi_bits) for _ in range(record_words(p))]
        dut.counters.value = packed_words(record, p.axi_bits, len(record))[0]
        sent = {"elements": packed_words([in_memory(p, bits) for bits in elements], 8 * p.element_bytes, p.lanes),
                "numbers": packed_words(numbers, NUMBER_BITS, lanes), "record": record}  # fmt: skip

        async def run(elements=elements, numbers=numbers):
            sources = [cocotb.start_soon(ElementSource(dut, p, stall).send(elements, sizes=range(p.lanes + 1))),
                       cocotb.start_soon(NumberSource(dut, stall).send(numbers))]  # fmt: skip
            sink = StreamSink(dut, "beats", stall=stall)
            taking = cocotb.start_soon(sink.receive(2 * WORDS + record_words(p)))
            for source in sources:
                await source
            for _ in range(ElementQueue.LATENCY):
                await RisingEdge(dut.clk)
            await strobe(dut, "record")
            return [unpacked(beat_layout(p.axi_bits), beat) for beat in await taking]

        beats = await watchdog(run(), 16 * WORDS * lanes if stall else WORDS * lanes + NumberWords.DEPTH)
        assert {beat["strobe"] for beat in beats} == {(1 << p.beat_bytes) - 1}
        for name, first in (("elements", C), ("numbers", N + record_words(p)), ("record", N)):
            number = len(sent[name])
            mine = [beat for beat in beats if (beat["address"] - BASE) // p.beat_bytes in range(first, first + number)]
            assert [beat["address"] for beat in mine] == [BASE + (first + i) * p.beat_bytes for i in range(number)]
            assert [beat["data"] for beat in mine] == sent[name]
        assert beats[-len(sent["record"]) :] == mine
        await strobe(dut, "start")
    recorded.task.cancel()
    assert recorded.count == 2


async def watch(dut, cycles):
    valid = ""
    for _ in range(cycles):
        await FallingEdge(dut.clk)
        valid += str(int(dut.beats__valid.value))
        await RisingEdge(dut.clk)
    return valid


@cocotb.test()
async def elements_leave_in_runs(dut):
    """None before RUN words wait, then all without a gap, also those that come meanwhile."""
    p, _ = shape_params()
    await begin(dut)
    dut.beats__ready.value = 1
    source, run = ElementSource(dut, p), Results.RUN
    await source.send(range((run - 1) * p.lanes))
    assert "1" not in await watch(dut, 20)
    cocotb.start_soon(source.send(range(2 * p.lanes)))
    assert (await watch(dut, run + 12)).strip("0") == "1" * (run + 1)


@cocotb.test()
async def words_leave_at_once_when_nothing_is_read(dut):
    p, _ = shape_params()
    await begin(dut)
    dut.beats__ready.value = 1
    source = ElementSource(dut, p)
    await source.send(range(2 * p.lanes))
    await NumberSource(dut).send(range(p.axi_bits // NUMBER_BITS + 1))
    assert "1" not in await watch(dut, 20)
    dut.alone.value = 1
    assert (await watch(dut, 20)).strip("0") == "111"
    await source.send(range(p.lanes))
    assert (await watch(dut, 20)).count("1") == 1


@cocotb.test()
async def numbers_wait_for_a_run(dut):
    """Of elements, before whose words theirs leave, or two words of their own."""
    p, _ = shape_params()
    await begin(dut)
    dut.beats__ready.value = 1
    lanes = p.axi_bits // NUMBER_BITS
    numbers = NumberSource(dut)
    await numbers.send(range(2 * lanes - 1))
    assert "1" not in await watch(dut, 20)
    sending = cocotb.start_soon(ElementSource(dut, p).send(range(Results.RUN * p.lanes)))
    taken = cocotb.start_soon(StreamSink(dut, "beats").receive(Results.RUN + 1))
    beats = [unpacked(beat_layout(p.axi_bits), beat)["address"] for beat in await watchdog(taken, 200)]
    await sending
    first = BASE + (N + record_words(p)) * p.beat_bytes
    assert beats[0] == first
    dut.beats__ready.value = 1
    assert all(address >= BASE + C * p.beat_bytes for address in beats[1:])
    await numbers.send(range(lanes))
    assert "1" not in await watch(dut, 20)
    await numbers.send([1])
    assert "1" in await watch(dut, 20)


@cocotb.test()
async def the_record(dut):
    p, stall = shape_params()
    await begin(dut)
    counters = random.Random(2).getrandbits(512)
    dut.counters.value, dut.record.value = counters, 1
    recorded = Recorded(dut)
    await RisingEdge(dut.clk)
    dut.record.value = 0
    beats = await watchdog(StreamSink(dut, "beats", stall=stall).receive(record_words(p)), 200)
    recorded.task.cancel()
    found = [unpacked(beat_layout(p.axi_bits), beat) for beat in beats]
    assert [beat["address"] for beat in found] == [BASE + (N + i) * p.beat_bytes for i in range(record_words(p))]
    assert sum(beat["data"] << i * p.axi_bits for i, beat in enumerate(found)) == counters
    assert recorded.count == 1
