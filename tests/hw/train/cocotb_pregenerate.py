"""Blocks against `golden.train.prune.compact_block`: two takers, one for both, one that waits; a row a cycle."""

import random
from itertools import product

import cocotb
from cocotb.triggers import FallingEdge, RisingEdge, Timer

from golden.train.params import GROUP, slots
from golden.train.prune import compact_block
from hw.train.pregenerate import Pregenerate
from tests.hw.harness import StreamSink, StreamSource, exchange, parameters, start, watchdog
from tests.hw.train.prune_bench import ALL, DENSE, blocks, piece_words, row_words

INPUTS = {"pregenerate__i__valid": 0, "pregenerate__ff__ready": 0, "pregenerate__bp__ready": 0}
SPARSE = [pattern for pattern in ALL if pattern != DENSE]


def stream(made, patterns):
    """(rows, pieces for FF, pieces for BP) of blocks, each with its (FF, BP) patterns."""
    rows, ff, bp = [], [], []
    for block, pair in zip(made, patterns, strict=True):
        rows += row_words(block, *pair)
        for_ff, for_bp = compact_block(block, *pair)
        ff += piece_words(for_ff)
        bp += piece_words(for_bp)
    return rows, ff, bp


async def two_takers(dut, rows, ff, bp, **options):
    received = await exchange(
        dut, sends={"pregenerate__i": rows}, receives={"pregenerate__ff": len(ff), "pregenerate__bp": len(bp)},
        **options,
    )  # fmt: skip
    assert received["pregenerate__ff"] == ff
    assert received["pregenerate__bp"] == bp


@cocotb.test()
async def changes(dut):
    """All pairs of patterns, two blocks each."""
    stall = parameters()["stall"]
    await start(dut, inputs=INPUTS)
    patterns = [pair for pair in product(ALL, ALL) for _ in range(2)]
    random.Random(1).shuffle(patterns)
    rows, ff, bp = stream(blocks(random.Random(2), len(patterns)), patterns)
    await two_takers(dut, rows, ff, bp, stall=stall,
                     max_cycles=20 * len(rows) if stall else len(rows) + 4 * len(patterns) + 2 * GROUP)


@cocotb.test()
@cocotb.parametrize(pattern=ALL)
async def a_row_a_cycle(dut, pattern):
    """Two takers."""
    await start(dut, inputs=INPUTS)
    rows, ff, bp = stream(blocks(random.Random(3), 7), [(pattern, pattern)] * 7)
    within = len(rows) + GROUP + Pregenerate.BP_LATENCY + min(4, pattern[0])
    await two_takers(dut, rows, ff, bp, max_cycles=within)


@cocotb.test()
@cocotb.parametrize(pattern=SPARSE)
async def one_taker(dut, pattern):
    """A piece a cycle of either, FF's first: up to N - 1 cycles a block more."""
    await start(dut, inputs=INPUTS)
    rows, ff, bp = stream(blocks(random.Random(4), 7), [(pattern, pattern)] * 7)
    taken = {"ff": [], "bp": []}
    sending = cocotb.start_soon(StreamSource(dut, "pregenerate__i").send(rows))
    for _ in range(len(rows) + 7 * (pattern[0] - 1) + GROUP + Pregenerate.BP_LATENCY + pattern[0]):
        await Timer(1, unit="ns")  # `valid` follows the edge
        turn = "ff" if int(dut.pregenerate__ff__valid.value) else "bp"
        dut.pregenerate__ff__ready.value, dut.pregenerate__bp__ready.value = int(turn == "ff"), int(turn == "bp")
        await FallingEdge(dut.clk)
        if int(getattr(dut, f"pregenerate__{turn}__valid").value):
            taken[turn].append(int(getattr(dut, f"pregenerate__{turn}__payload").value))
        await RisingEdge(dut.clk)
    assert taken == {"ff": ff, "bp": bp}
    assert sending.done()


@cocotb.test()
@cocotb.parametrize(pattern=ALL)
async def latency(dut, pattern):
    await start(dut, inputs=INPUTS)
    m = pattern[1] if pattern != DENSE else 1
    rows, ff, bp = stream(blocks(random.Random(5), 1), [(pattern, pattern)])
    source = StreamSource(dut, "pregenerate__i")
    dut.pregenerate__ff__ready.value = 1
    await source.send(rows[:m])
    sending = cocotb.start_soon(source.send(rows[m:]))
    seen = {}
    for cycle in range(1, 3 * GROUP):
        await FallingEdge(dut.clk)
        for name in ("ff", "bp"):
            if int(getattr(dut, f"pregenerate__{name}__valid").value):
                seen.setdefault(name, (cycle, int(getattr(dut, f"pregenerate__{name}__payload").value)))
        await RisingEdge(dut.clk)
    assert sending.done()
    assert seen["ff"] == (Pregenerate.FF_LATENCY, ff[0])
    assert seen["bp"] == (GROUP - 1 + Pregenerate.BP_LATENCY, bp[0])


@cocotb.test()
@cocotb.parametrize(pattern=ALL)
async def ff_ahead(dut, pattern):
    """While nobody takes pieces for BP, those for FF of two blocks come; then everything else does."""
    await start(dut, inputs=INPUTS)
    rows, ff, bp = stream(blocks(random.Random(6), 5), [(pattern, pattern)] * 5)
    ahead = 3 if pattern[1] == GROUP and pattern != DENSE else 2
    sending = cocotb.start_soon(StreamSource(dut, "pregenerate__i").send(rows))
    sinks = {name: StreamSink(dut, f"pregenerate__{name}") for name in ("ff", "bp")}
    taken = await watchdog(sinks["ff"].receive(slots(*pattern) * ahead), (ahead + 1) * GROUP)
    tasks = {name: cocotb.start_soon(sinks[name].receive(count))
             for name, count in (("ff", len(ff) - len(taken)), ("bp", len(bp)))}  # fmt: skip
    assert taken + await watchdog(tasks["ff"], 200) == ff
    assert await watchdog(tasks["bp"], 200) == bp
    assert sending.done()


@cocotb.test()
@cocotb.parametrize(pattern=SPARSE)
async def bp_after_ff(dut, pattern):
    """All pieces for FF of a block but the last N suffice for those for BP to come."""
    await start(dut, inputs=INPUTS)
    n = pattern[0]
    rows, ff, bp = stream(blocks(random.Random(7), 4), [(pattern, pattern)] * 4)
    sending = cocotb.start_soon(StreamSource(dut, "pregenerate__i").send(rows))
    sinks = {name: StreamSink(dut, f"pregenerate__{name}") for name in ("ff", "bp")}
    taken = {"ff": [], "bp": []}
    count = slots(*pattern)
    for block in range(4):
        for name, number in (("ff", count - n if not block else count), ("bp", count)):
            taken[name] += await watchdog(sinks[name].receive(number), 4 * GROUP)
    taken["ff"] += await watchdog(sinks["ff"].receive(n), GROUP)
    assert taken == {"ff": ff, "bp": bp}
    assert sending.done()
