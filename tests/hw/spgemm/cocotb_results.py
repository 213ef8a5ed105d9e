"""Words behind two cursors, then the record."""

import random

import cocotb
from cocotb.triggers import FallingEdge, RisingEdge

from golden.spgemm.record import record_words
from hw.fabric.axi import beat_layout
from hw.spgemm.results import Results
from tests.hw.harness import StreamSink, StreamSource, start, watchdog
from tests.hw.spgemm.bench import shape_params, unpacked

BASE, C, N, WORDS = 3 << 33, 1000, 40, 60


async def begin(dut):
    await start(dut, inputs={"start": 0, "record": 0, "base": BASE, "c": C, "n": N, "elements__valid": 0,
                             "numbers__valid": 0, "beats__ready": 0})
    await strobe(dut, "start")


async def strobe(dut, name):
    getattr(dut, name).value = 1
    await RisingEdge(dut.clk)
    getattr(dut, name).value = 0


@cocotb.test()
async def two_cursors(dut):
    p, stall = shape_params()
    rng = random.Random(1)
    sent = {name: [rng.getrandbits(p.axi_bits) for _ in range(WORDS)] for name in ("elements", "numbers")}
    await begin(dut)

    async def run():
        sources = [cocotb.start_soon(StreamSource(dut, name, stall=stall).send(words)) for name, words in sent.items()]
        sink = cocotb.start_soon(StreamSink(dut, "beats", stall=stall).receive(2 * WORDS))
        for source in sources:
            await source
        await strobe(dut, "record")
        return [unpacked(beat_layout(p.axi_bits), beat) for beat in await sink]

    beats = await watchdog(run(), 4000 if stall else 2 * WORDS + 8)
    assert {beat["strobe"] for beat in beats} == {(1 << p.beat_bytes) - 1}
    for name, first in (("elements", C), ("numbers", N + record_words(p))):
        mine = [beat for beat in beats if (beat["address"] - BASE) // p.beat_bytes in range(first, first + WORDS)]
        assert [beat["address"] for beat in mine] == [BASE + (first + i) * p.beat_bytes for i in range(WORDS)]
        assert [beat["data"] for beat in mine] == sent[name]


@cocotb.test()
@cocotb.parametrize((("name", "half"), [("elements", Results.ELEMENTS // 2), ("numbers", Results.NUMBERS // 2)]))
async def words_leave_in_runs(dut, name, half):
    """None before half of a queue is full, then all without a gap, also those that come meanwhile."""
    await begin(dut)
    dut.beats__ready.value = 1
    source = StreamSource(dut, name)
    await source.send(range(half - 1))
    valid = []

    async def watch(cycles):
        for _ in range(cycles):
            await FallingEdge(dut.clk)
            valid.append(int(dut.beats__valid.value))
            await RisingEdge(dut.clk)

    await watch(20)
    assert not any(valid)
    cocotb.start_soon(source.send(range(half - 1, half + 1)))
    await watch(half + 12)
    assert "".join(map(str, valid)).strip("0") == "1" * (half + 1)


@cocotb.test()
async def the_record(dut):
    p, stall = shape_params()
    await begin(dut)
    counters = random.Random(2).getrandbits(512)
    dut.counters.value, dut.record.value = counters, 1
    recorded = []

    async def watch():
        while True:
            await FallingEdge(dut.clk)
            recorded.append(int(dut.recorded.value))

    watching = cocotb.start_soon(watch())
    await RisingEdge(dut.clk)
    dut.record.value = 0
    beats = await watchdog(StreamSink(dut, "beats", stall=stall).receive(record_words(p)), 200)
    watching.cancel()
    found = [unpacked(beat_layout(p.axi_bits), beat) for beat in beats]
    assert [beat["address"] for beat in found] == [BASE + (N + i) * p.beat_bytes for i in range(record_words(p))]
    assert sum(beat["data"] << i * p.axi_bits for i, beat in enumerate(found)) == counters
    assert sum(recorded) == 1
