"""Blocks of numbers that are all different, transposed; a row a cycle; latency; how many rows it holds."""

import random

import cocotb
from cocotb.triggers import FallingEdge, RisingEdge

from golden.train.params import GROUP
from hw.train.transpose import Transposer
from tests.hw.harness import StreamSink, StreamSource, exchange, parameters, reset, start, watchdog
from tests.hw.train.prune_bench import TAG_BITS, packed

INPUTS = {"transposer__i__valid": 0, "transposer__o__ready": 0}
HELD = 2 * GROUP


def stream(rng, count):
    """(rows, rows of the transposed blocks), words with tags."""
    rows, want = [], []
    for _ in range(count):
        numbers = rng.sample(range(1 << 16), GROUP * GROUP)
        block = [numbers[at : at + GROUP] for at in range(0, GROUP * GROUP, GROUP)]
        tag = rng.getrandbits(TAG_BITS)
        rows += [packed(row, 16) | (rng.getrandbits(TAG_BITS) if at else tag) << 16 * GROUP
                 for at, row in enumerate(block)]  # fmt: skip
        want += [packed(column, 16) | tag << 16 * GROUP for column in zip(*block, strict=True)]
    return rows, want


@cocotb.test()
async def a_row_a_cycle(dut):
    stall = parameters()["stall"]
    await start(dut, inputs=INPUTS)
    rows, want = stream(random.Random(1), 40)
    within = 20 * len(rows) if stall else len(rows) + GROUP + Transposer.LATENCY
    received = await exchange(dut, sends={"transposer__i": rows}, receives={"transposer__o": len(want)}, stall=stall,
                              max_cycles=within)  # fmt: skip
    assert received["transposer__o"] == want


@cocotb.test()
async def latency(dut):
    await start(dut, inputs=INPUTS)
    rows, want = stream(random.Random(2), 3)
    source, sink = StreamSource(dut, "transposer__i"), StreamSink(dut, "transposer__o")
    for first in range(0, len(rows), GROUP):
        await watchdog(source.send(rows[first : first + GROUP]), GROUP + 1)
        for cycle in range(1, Transposer.LATENCY + 1):
            await FallingEdge(dut.clk)
            assert int(dut.transposer__o__valid.value) == (cycle == Transposer.LATENCY)
            await RisingEdge(dut.clk)
        assert await watchdog(sink.receive(GROUP), GROUP + 1) == want[first : first + GROUP]


@cocotb.test()
async def full(dut):
    """As many rows as it holds; then, as long as no bank is empty, none."""
    await start(dut, inputs=INPUTS)
    rows, want = stream(random.Random(3), 9)
    source, sink = StreamSource(dut, "transposer__i"), StreamSink(dut, "transposer__o")
    taken = []
    for first in range(0, len(rows), 3 * GROUP):
        await watchdog(source.send(rows[first : first + HELD]), HELD + 1)
        sending = cocotb.start_soon(source.send(rows[first + HELD : first + HELD + GROUP]))
        for received in (0, GROUP - 2):
            taken += await sink.receive(received)
            for _ in range(5):
                await FallingEdge(dut.clk)
                assert not int(dut.transposer__i__ready.value)
                await RisingEdge(dut.clk)
        taken += await sink.receive(1)
        await watchdog(sending, GROUP + 2)
        taken += await watchdog(sink.receive(2 * GROUP + 1), 4 * GROUP)
    assert taken == want


@cocotb.test()
async def reset_between(dut):
    rng = random.Random(4)
    await start(dut, inputs=INPUTS)
    for count in (5, GROUP, 20, HELD):
        await watchdog(StreamSource(dut, "transposer__i").send(stream(rng, 2)[0][:count]), 40)
        await reset(dut, inputs=INPUTS)
        rows, want = stream(rng, 2)
        received = await exchange(dut, sends={"transposer__i": rows}, receives={"transposer__o": len(want)},
                                  max_cycles=100)  # fmt: skip
        assert received["transposer__o"] == want
