"""QNTs whose exponents the VEC before them has noted, against golden: blocks, exponents, scalars, cycles."""

import cocotb
import numpy as np

from golden.isa.llm import Binary, Reduce, Source, Unary
from golden.params import BLOCK, LlmParams
from tests.hw.harness import parameters, start, watchdog
from tests.hw.llm.vector_player import INPUTS, Bench

X, Y, OUT, ROWS = 0, 90, 180, 100
"""Where vectors lie: those that are only read, those that VECs work on, one result after the other."""
PLACES = 3
"""QNTs of a program."""
HALF = 0x3F000000


def wide_range(rng, count):
    """Numbers of a few blocks that differ as exponents can: zeros, subnormal, of six below the largest, infinite."""
    blocks = -(-count // BLOCK)
    top = int(rng.choice([0, 1, 4, 7, 60, 127, 128, 250, 255]))
    of_block = np.maximum(top - rng.integers(0, 10, blocks), 0)
    exponent = np.maximum(np.repeat(of_block, BLOCK) - rng.integers(0, 4, blocks * BLOCK), 0)
    exponent[rng.random(blocks * BLOCK) < 0.2] = 0
    exponent *= np.repeat(rng.random(blocks) < 0.8, BLOCK)
    bits = exponent << 23 | rng.integers(0, 1 << 23, len(exponent)) | rng.integers(0, 2, len(exponent)) << 31
    return bits.astype(np.uint32)[:count].view(np.float32)


def shape(rng, lanes, most):
    """Fields that VEC and QNT share, of at most `most` rows, and the rows of the longest repetition."""
    count = int(rng.choice([1, 1, 2, 3, 5, 16]))
    rows = int(rng.integers(1, most // count + 1)) if rng.random() < 0.8 else 1
    n_step = int(rng.integers(2)) * (count > 1)
    n = max(1, rows * lanes - n_step * (count - 1) - int(rng.integers(lanes)))
    return {"n": n, "n_step": n_step, "repeat": count - 1}, -(-(n + n_step * (count - 1)) // lanes)


def quantisation(bench, rng, of, row, stride, place):
    """QNT of vectors of the shape `of` to blocks, slots and scalars that are those of `place` alone."""
    fields = {**of, "b": row, "stride_b": stride, "a": 20 * place, "slot": 20 * place, "flat": int(rng.integers(2))}
    fields |= {"round_log2": int(rng.integers(4)), "group_log2": int(rng.integers(2)), "sd": 10 * place}
    fields["pad"] = int(rng.integers(of["repeat"] * of["n_step"], 16))
    column = bench.blocks_of(fields) // bench.p.ksplit + 2
    if column * (of["repeat"] + 1) <= 20:
        fields |= {"stride_a": column, "token": int(rng.integers(16))}
    else:
        fields |= {"token_step": 1, "token": int(rng.integers(16 - of["repeat"]))}
    if of["repeat"] > 9:
        fields["flat"] = 0
    return fields


def operation(rng, reduces):
    """Fields of a VEC that do not say where its vectors are; none but PASS keeps the exponents' range."""
    if rng.random() < 0.5:
        binary = {"binary": Binary.PASS}
    else:
        source = int(rng.choice([Source.VECTOR, Source.IMMEDIATE]))
        binary = {"binary": int(rng.choice(list(Binary))), "b_source": source, "b_row": X + int(rng.integers(40)),
                  "immediate": HALF, "period": int(rng.integers(3))}
    reduce = int(rng.choice([0, 0, *Reduce])) if reduces else 0
    return binary | {"unary": int(rng.choice([0, 0, *Unary])), "reduce": reduce, "sd": 31, "store": 1}


def noted_vector(bench, rng, place):
    """VECs of which the last one notes its exponents, and its QNT."""
    lanes = bench.p.sfu_lanes
    of, rows = shape(rng, lanes, min(80, 36 * BLOCK // lanes))
    stride = rows + int(rng.integers(80 // (of["repeat"] + 1) - rows + 1))
    row = int(rng.choice([Y, OUT + place * ROWS]))
    commands = []
    if rng.random() < 0.5:  # chained to one that may have noted something else
        commands.append(("VEC", {**of, **operation(rng, False), "a": Y, "stride_a": stride, "b": X, "stride_b": stride,
                                 "noted": int(rng.integers(2))}))
    commands.append(("VEC", {**of, **operation(rng, True), "a": row, "stride_a": stride, "b": Y, "stride_b": stride,
                             "noted": 1, "chained": len(commands)}))
    return commands, quantisation(bench, rng, of, row, stride, place)


async def programs(bench, rng, count):
    lanes = bench.p.sfu_lanes
    for _ in range(count):
        for row in (X, Y):
            await bench.fill(row, wide_range(rng, 80 * lanes))
        commands, quantisations = [], []
        for place in range(PLACES):
            vecs, qnt = noted_vector(bench, rng, place)
            if rng.random() < 0.3:
                of, rows = shape(rng, lanes, 36)
                qnt = quantisation(bench, rng, of, X, rows, place)
            else:
                qnt["noted"] = 1
            commands += [*vecs, ("QNT", qnt)]
            quantisations.append(qnt)
        bench.blocks.clear()
        await bench.run_all(commands)
        await bench.compare_quantised(quantisations, f"{commands}")


async def longer_before(bench, rng):
    """What a longer vector has left lies where a shorter one has no elements; every length in the last block."""
    lanes = bench.p.sfu_lanes
    for n in range(1, 2 * BLOCK + 2):
        values = rng.uniform(1, 64, 12 * BLOCK).astype(np.float32)
        await bench.fill(X, values)
        commands, quantisations = [], []
        for place, (length, round_log2) in enumerate(((12 * BLOCK, 0), (n, 3))):
            qnt = {"b": OUT, "n": length, "noted": 1, "round_log2": round_log2, "a": 20 * place, "slot": place}
            commands += [("VEC", {"a": OUT, "b": X, "n": length, "store": 1, "noted": 1}), ("QNT", qnt)]
            quantisations.append(qnt)
        bench.blocks.clear()
        await bench.run_all(commands)
        await bench.compare_quantised(quantisations, f"{n} elements, {lanes} lanes")


async def all_blocks(bench, rng):
    """As many as the quantiser keeps exponents of: in few vectors, in many."""
    lanes, most = bench.p.sfu_lanes, bench.p.xbuf_blocks * bench.p.ksplit
    for count in (2, 16):
        blocks = 2 * most // count
        n = min(blocks * BLOCK, 230 // count * lanes)
        stride = -(-n // lanes)
        for t in range(count):
            await bench.fill(t * stride, wide_range(rng, n))
        of = {"n": n, "repeat": count - 1}
        qnt = {**of, "stride_b": stride, "noted": 1, "token_step": 1, "slot": 40, "round_log2": blocks.bit_length() - 1}
        bench.blocks.clear()
        await bench.run_all([("VEC", {**of, "stride_a": stride, "stride_b": stride, "store": 1, "noted": 1}),
                             ("QNT", qnt)])  # fmt: skip
        await bench.compare_quantised([qnt], f"{count} times {blocks} blocks")


@cocotb.test()
async def noted(dut):
    await start(dut, inputs=INPUTS)
    for stall in (0.0, 0.3):
        bench = Bench(dut, LlmParams(**parameters()["params"]), 5, stall)
        rng = np.random.default_rng(12)
        await watchdog(longer_before(bench, rng), 50_000)
        await watchdog(all_blocks(bench, rng), 50_000)
        await watchdog(programs(bench, rng, 50), 200_000)
        bench.watcher.cancel()
