"""Rows of random pieces: their requests, the contexts they get, and how fast."""

import random
from itertools import pairwise

import cocotb
from cocotb.triggers import RisingEdge

from golden.isa.spgemm import COUNT_BITS, FIRST_BITS
from golden.spgemm.params import SpgemmParams
from hw.spgemm.layouts import SERIAL_BITS
from hw.spgemm.row_walk import RowWalk
from tests.hw.harness import parameters, start
from tests.hw.spgemm.row_player import INPUTS, RowPlayer, entry, regions

MOST = (1 << COUNT_BITS) - 1


def random_row(rng, entries, *, counts=(1, MOST)):
    row = [entry(rng.randrange(1 << FIRST_BITS) >> rng.choice([0, 12]), rng.randint(*counts),
                 value=rng.getrandbits(32), hint=rng.randrange(2)) for _ in range(entries)]  # fmt: skip
    return finished(row)


def finished(row):
    row[-1] |= {"last": 1}
    return row


def empty_row(rng):
    return [entry(rng.randrange(1 << FIRST_BITS), 0, value=rng.getrandbits(32), hint=rng.randrange(2), last=1)]


def alignments(p):
    """Every first lane with every number of elements, in rows of some."""
    pieces = [entry(7 * p.lanes + at, count, value=count) for at in range(p.lanes) for count in range(1, MOST + 1)]
    for at in range(0, len(pieces), 50):
        yield finished(pieces[at : at + 50])


def single_lines(p, entries, at=0):
    return finished([entry((at + i) * p.lanes, p.lanes, value=i) for i in range(entries)])


def random_chunks(rng, p, rows):
    chunks, number = [], 0
    while rows > 0:
        entries = []
        for _ in range(rng.choice([1, 2, 5, 20])):
            if rng.random() < 0.3:
                entries.append(regions(rng.randrange(p.contexts.bit_length())))
            kind = rng.random()
            if kind < 0.2:
                entries += empty_row(rng)
            elif kind < 0.25:
                entries += random_row(rng, p.ring + rng.randrange(9), counts=(1, 9))
            else:
                entries += random_row(rng, rng.choice([1, 1, 2, 3, 7]), counts=rng.choice([(1, 2), (1, 9), (1, MOST)]))
            rows -= 1
        chunks.append((number * 1001 % 65536, entries))
        number += 1
    return chunks


class Player(RowPlayer):
    @property
    def first_serial(self):
        return parameters()["first_serial"]


async def played(dut, chunks, *, hold=0, hold_order=0, **arguments):
    await start(dut, inputs=INPUTS)
    player = Player(dut, params(), chunks, **arguments)
    player.hold, player.hold_order = hold, hold_order
    await player.play()
    return player


def params():
    return SpgemmParams(**parameters()["params"])


@cocotb.test()
@cocotb.parametrize(
    (("stall", "ends", "releases", "in_order"),
     [(0.0, 0, 0, False), (0.0, 0, 0, True), (0.0, 20, 60, True), (0.0, 50, 9, False), (0.5, 0, 0, False),
      (0.5, 20, 40, False), (0.3, 5, 100, True)])
)  # fmt: skip
async def random_rows(dut, stall, ends, releases, in_order):
    """Over the end of the serials."""
    rng = random.Random(f"{stall}-{ends}-{releases}")
    chunks = random_chunks(rng, params(), 150)
    player = await played(dut, chunks, stall=stall, ends=ends, releases=releases, in_order=in_order)
    assert player.sweeps == [0, (1 << SERIAL_BITS) - parameters()["first_serial"]]


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.5])
async def every_alignment(dut, stall):
    await played(dut, [(5, [e for row in alignments(params()) for e in row])], stall=stall)


@cocotb.test()
async def words_that_a_chunk_does_not_fill(dut):
    """Chunks of 1 .. 2 * lanes + 1 entries, with random bits behind their end."""
    p, rng = params(), random.Random(2)
    await played(dut, [(n, random_row(rng, n, counts=(1, 3))) for n in range(1, 2 * p.lanes + 2)])


@cocotb.test()
async def every_size_of_group(dut):
    p, rng = params(), random.Random(3)
    sizes = [size for a in range(p.contexts.bit_length()) for b in range(p.contexts.bit_length()) for size in (a, b)]
    entries = [e for size in sizes for e in (regions(size), *empty_row(rng), *random_row(rng, 2, counts=(1, 3)))]
    await played(dut, [(1, entries), (2, random_row(rng, 3))], ends=3, releases=9)


@cocotb.test()
async def rows_begin_when_tags_are_free(dut):
    """Of every size, though the values of the rows before them have not been read."""
    p, rng = params(), random.Random(4)
    for size in range(p.contexts.bit_length()):
        rows = [random_row(rng, 1, counts=(1, 3)) for _ in range(2 * p.contexts >> size)]
        player = await played(dut, [(1, [regions(size), *(e for row in rows for e in row)])], ends=3, releases=400)
        assert player.overlaps == {(size, size)}


@cocotb.test()
async def order_waits(dut):
    """Of more chunks and rows than it holds; their requests go on."""
    p, rng = params(), random.Random(5)
    for without_rows in (0, 2 * p.contexts - 2, 2 * p.contexts - 1):
        chunks = [(n, [regions(0)]) for n in range(without_rows)]
        chunks += [(n, random_row(rng, 1, counts=(1, 3))) for n in range(3 * p.contexts)]
        await played(dut, chunks, hold_order=p.slots + 20 * p.contexts)


def longest_gap(times):
    return max(b - a for a, b in pairwise(times))


@cocotb.test()
async def one_row_at_one_request_a_cycle(dut):
    """Pieces of two lines, more of them than the ring holds."""
    p = params()
    pieces = finished([entry(i * p.lanes + 1, p.lanes, value=i) for i in range(3 * p.ring)])
    player = await played(dut, [(1, pieces)], hold=p.slots + 60)
    assert longest_gap(player.times) == 1
    player = await played(dut, [(1, pieces)], hold=p.slots)
    assert len(player.times) == 6 * p.ring


@cocotb.test()
async def four_rows_at_one_request_a_cycle(dut):
    """Pieces of one line: once four rows are in the ring, as long as they last; no row gets more than its turn."""
    p = params()
    length = (p.ring - 1) // 4
    player = await played(dut, [(1, [e for r in range(4) for e in single_lines(p, length, r << 8)])],
                          hold=p.slots + 2 * p.ring + 20)  # fmt: skip
    assert longest_gap(player.times) == 1


@cocotb.test()
async def many_short_rows(dut):
    """Rows of one line each, then of four: what the contexts allow if nothing waits."""
    p = params()
    for length, rows in ((1, 34), (4, 34)):
        entries = [e for r in range(rows) for e in single_lines(p, length, r << 8)]
        player = await played(dut, [(1, entries)], ends=0, releases=0)
        cycles = player.times[-1] - player.times[0] + 1
        cocotb.log.info(f"{rows} rows of {length}: {cycles} cycles for {len(player.times)} requests")
        assert cycles <= (1.1 if p.contexts >= 8 else 2.2) * len(player.times) + 4


@cocotb.test()
async def latency(dut):
    """From an entry's word, which comes with its chunk, to the request; after the sweep."""
    p = params()
    await start(dut, inputs=INPUTS)
    for _ in range(p.slots + 4):
        await RisingEdge(dut.clk)
    player = Player(dut, p, [(1, single_lines(p, 1))])
    await player.play()
    assert player.times[0] - 1 == RowWalk.LATENCY, player.times  # noted behind the edge that takes it
