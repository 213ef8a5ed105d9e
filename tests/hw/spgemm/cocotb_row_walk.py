"""Rows of random pieces: their requests, the contexts they get, and how fast."""

import random
from itertools import pairwise

import cocotb

from golden.isa.spgemm import FIRST_BITS
from golden.spgemm.params import SpgemmParams
from golden.spgemm.piece import longest_piece
from hw.spgemm.row_walk import RowWalk
from tests.hw.harness import parameters, start
from tests.hw.spgemm.row_player import INPUTS, RowPlayer, entry, regions

MOST = 63


def random_row(rng, p, entries, *, counts=(1, MOST)):
    row = []
    for _ in range(entries):
        first, count = rng.randrange(1 << FIRST_BITS) >> rng.choice([0, 12]), rng.randint(*counts)
        first -= first % p.lanes if count >= p.lanes else 0
        row.append(entry(first, count, value=rng.getrandbits(32), hint=rng.randrange(2)))
    return finished(row)


def finished(row):
    row[-1] |= {"last": 1}
    return row


def empty_row(rng):
    return [entry(rng.randrange(1 << FIRST_BITS), 0, value=rng.getrandbits(32), hint=rng.randrange(2), last=1)]


def alignments(p):
    """Every first lane with every number of elements below a line, and every number of them from a line's begin on, in
    rows of some."""
    pieces = [entry(7 * p.lanes + at, count, value=count) for at in range(p.lanes) for count in range(1, p.lanes)]
    pieces += [entry(7 * p.lanes, count, value=count) for count in range(p.lanes, longest_piece(p.lanes) + 1)]
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
                entries += random_row(rng, p, p.ring + rng.randrange(9), counts=(1, 9))
            else:
                counts = rng.choice([(1, 2), (1, 9), (1, MOST), (1, longest_piece(p.lanes))])
                entries += random_row(rng, p, rng.choice([1, 1, 2, 3, 7]), counts=counts)
            rows -= 1
        chunks.append((number * 1001 % 65536, entries))
        number += 1
    return chunks


async def played(dut, chunks, **arguments):
    await start(dut, inputs=INPUTS)
    player = RowPlayer(dut, params(), chunks, **arguments)
    await player.play()
    return player


def params():
    return SpgemmParams(**parameters()["params"])


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.3, 0.5])
async def random_rows(dut, stall):
    chunks = random_chunks(random.Random(f"{stall}"), params(), 150)
    player = await played(dut, chunks, stall=stall)
    assert player.most > 2


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.5])
async def windows(dut, stall):
    """No row begins before all of the window are over, which end with the contexts or with the last chunk."""
    p, rng = params(), random.Random(f"windows {stall}")
    player = await played(dut, random_chunks(rng, p, 150), stall=stall, apart=True)
    assert 150 / p.contexts <= player.windows < 140
    assert player.most > 1
    await played(dut, random_chunks(rng, p, 30), stall=stall)


@cocotb.test()
async def windows_over_chunks(dut):
    """Of a row each."""
    p, rng = params(), random.Random(6)
    chunks = [(number, random_row(rng, p, 1, counts=(1, 3))) for number in range(4 * p.contexts)]
    player = await played(dut, chunks, apart=True)
    assert player.windows == 4


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.5])
async def every_alignment(dut, stall):
    await played(dut, [(5, [e for row in alignments(params()) for e in row])], stall=stall)


@cocotb.test()
async def words_that_a_chunk_does_not_fill(dut):
    """Chunks of 1 .. 2 * lanes + 1 entries, with random bits behind their end."""
    p, rng = params(), random.Random(2)
    await played(dut, [(n, random_row(rng, p, n, counts=(1, 3))) for n in range(1, 2 * p.lanes + 2)])


@cocotb.test()
async def every_size(dut):
    p, rng = params(), random.Random(3)
    sizes = [size for a in range(p.contexts.bit_length()) for b in range(p.contexts.bit_length()) for size in (a, b)]
    entries = [e for size in sizes for e in (regions(size), *empty_row(rng), *random_row(rng, p, 2, counts=(1, 3)))]
    await played(dut, [(1, entries), (2, random_row(rng, p, 3))])


def longest_gap(times):
    return max(b - a for a, b in pairwise(times))


@cocotb.test()
async def one_row_at_one_request_a_cycle(dut):
    """Pieces of two lines, more of them than the ring holds."""
    p = params()
    pieces = finished([entry(2 * i * p.lanes, 2 * p.lanes, value=i) for i in range(3 * p.ring)])
    player = await played(dut, [(1, pieces)], hold=60)
    assert longest_gap(player.times) == 1
    player = await played(dut, [(1, pieces)], hold=0)
    assert len(player.times) == 6 * p.ring


@cocotb.test()
async def four_rows_at_one_request_a_cycle(dut):
    """Pieces of one line: once four rows are in the ring, as long as they last; no row gets more than its turn."""
    p = params()
    length = (p.ring - 1) // 4
    player = await played(dut, [(1, [e for r in range(4) for e in single_lines(p, length, r << 8)])],
                          hold=2 * p.ring + 20)  # fmt: skip
    assert longest_gap(player.times) == 1


@cocotb.test()
async def many_short_rows(dut):
    """Rows of one line each, then of four."""
    p = params()
    for length, rows in ((1, 34), (4, 34)):
        entries = [e for r in range(rows) for e in single_lines(p, length, r << 8)]
        player = await played(dut, [(1, entries)])
        cycles = player.times[-1] - player.times[0] + 1
        cocotb.log.info(f"{rows} rows of {length}: {cycles} cycles for {len(player.times)} requests")
        assert cycles <= (1.1 if p.contexts >= 8 else 2.2) * len(player.times) + 4


@cocotb.test()
async def latency(dut):
    """From an entry's word, which comes with its chunk, to the request."""
    p = params()
    await start(dut, inputs=INPUTS)
    player = RowPlayer(dut, p, [(1, single_lines(p, 1))])
    await player.play()
    assert player.times[0] - 1 == RowWalk.LATENCY, player.times  # noted behind the edge that takes it
