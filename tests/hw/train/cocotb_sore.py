"""Blocks of all patterns against `golden.train.prune.pieces`; a row a cycle; latency; what waits for what."""

import random
from itertools import pairwise, product

import cocotb
from cocotb.triggers import FallingEdge, RisingEdge

from golden.train.params import GROUP, slots
from golden.train.prune import pieces
from hw.train.sore import Sore
from tests.hw.harness import StreamSink, StreamSource, exchange, parameters, reset, start, watchdog
from tests.hw.train.prune_bench import ALL, blocks, piece_words, row_words

EACH = cocotb.parametrize(pattern=ALL)
INPUTS = {"sore__i__valid": 0, "sore__o__ready": 0}


def stream(made, patterns):
    """(rows, pieces) of blocks."""
    rows = [word for block, pattern in zip(made, patterns, strict=True) for word in row_words(block, pattern)]
    return rows, [word for block, pattern in zip(made, patterns, strict=True)
                  for word in piece_words(pieces(block, *pattern))]  # fmt: skip


async def check(dut, rows, want, stall, max_cycles=None):
    received = await exchange(dut, sends={"sore__i": rows}, receives={"sore__o": len(want)}, stall=stall,
                              max_cycles=max_cycles or 20 * len(rows) + 100)  # fmt: skip
    assert received["sore__o"] == want


@cocotb.test()
@EACH
async def a_row_a_cycle(dut, pattern):
    """With stalls: only the pieces. Without: as many cycles as rows, and LATENCY until the last group's are out."""
    stall = parameters()["stall"]
    await start(dut, inputs=INPUTS)
    made = blocks(random.Random(str(pattern)), 21)
    rows, want = stream(made, [pattern] * len(made))
    await check(dut, rows, want, stall, None if stall else len(rows) + Sore.LATENCY + min(4, pattern[0]))


@cocotb.test()
async def changes(dut):
    """Each pattern behind each other one; a block waits for at most N pieces of the one before."""
    stall = parameters()["stall"]
    await start(dut, inputs=INPUTS)
    patterns = [pattern for pair in product(ALL, ALL) for pattern in pair]
    made = blocks(random.Random(2), len(patterns))
    rows, want = stream(made, patterns)
    kept = [1 if n > 4 else n for n, _ in patterns]
    waits = sum(before for before, n in pairwise(kept) if n != before)
    await check(dut, rows, want, stall, None if stall else len(rows) + waits + Sore.LATENCY + kept[-1])


@cocotb.test()
@EACH
async def latency(dut, pattern):
    """A group's pieces come without further rows, the first one LATENCY cycles after the last row, not before."""
    await start(dut, inputs=INPUTS)
    n, m = pattern if pattern[0] < GROUP else (1, 1)
    rows, want = stream(blocks(random.Random(3), 2), [pattern] * 2)
    source, sink = StreamSource(dut, "sore__i"), StreamSink(dut, "sore__o")
    for group in range(len(rows) // m):
        for row in rows[group * m : (group + 1) * m]:
            assert not int(dut.sore__o__valid.value)
            await watchdog(source.send([row]), 2)
        for cycle in range(1, Sore.LATENCY + 1):
            await FallingEdge(dut.clk)
            assert int(dut.sore__o__valid.value) == (cycle == Sore.LATENCY)
            await RisingEdge(dut.clk)
        assert await watchdog(sink.receive(n), n + 1) == want[group * n : (group + 1) * n]
        await FallingEdge(dut.clk)
        assert not int(dut.sore__o__valid.value)
        await RisingEdge(dut.clk)


@cocotb.test()
@EACH
async def places(dut, pattern):
    """Pieces that have left make place for as many rows; the others, and the rows, keep theirs."""
    await start(dut, inputs=INPUTS)
    n, m = pattern if pattern[0] < GROUP else (1, 1)
    taken, sent = [], []
    rows, want = stream(blocks(random.Random(4), 4), [pattern] * 4)
    source, sink = StreamSource(dut, "sore__i"), StreamSink(dut, "sore__o")

    async def send(count):
        some = rows[len(sent) : len(sent) + count]
        await watchdog(source.send(some), count + 1)
        sent.extend(some)

    for group in range(len(rows) // m - 1):
        before = min(n, group % (n + 1))  # pieces that leave before the next rows
        await send(m - len(sent) + group * m)
        taken += await watchdog(sink.receive(before), n + 1)
        await send(min(before, m - 1))
        if before < n:
            dut.sore__i__valid.value, dut.sore__i__payload.value = 1, rows[len(sent)]
            for _ in range(3):
                await FallingEdge(dut.clk)
                assert not int(dut.sore__i__ready.value)
                await RisingEdge(dut.clk)
            dut.sore__i__valid.value = 0
        taken += await watchdog(sink.receive(n - before), n + 1)
    assert taken == want[: len(taken)]
    assert len(taken) == slots(*pattern) * 4 - n


@cocotb.test()
async def reset_between(dut):
    """A reset in the middle of a group, and with pieces that wait."""
    await start(dut, inputs=INPUTS)
    for pattern in ALL:
        m = pattern[1] if pattern[0] < GROUP else 1
        rows, _ = stream(blocks(random.Random(5), 1), [pattern])
        for count in (m // 2, m):
            await watchdog(StreamSource(dut, "sore__i").send(rows[:count]), count + 1)
            await reset(dut, inputs=INPUTS)
            assert not int(dut.sore__o__valid.value)
            await check(dut, *stream(blocks(random.Random(6), 2), [(4, 8), pattern]), parameters()["stall"])
            await reset(dut, inputs=INPUTS)
