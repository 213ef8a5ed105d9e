"""Passes of all modes against golden, one after the other; when words enter and leave."""

from itertools import product

import cocotb
import numpy as np
from cocotb.triggers import FallingEdge, RisingEdge

from golden.floats import BINARY32
from golden.train.params import TrainParams
from golden.train.vector import CONSTANTS, VectorMode, vector_pass
from hw.train.vector_layouts import constant_layout, start_layout
from hw.train.vector_pass import VectorPass
from hw.train.vector_walk import ROOM
from tests.hw.fabric.test_floats import CORNERS
from tests.hw.harness import StreamSink, StreamSource, parameters, reset, start, watchdog
from tests.hw.train.bench import numbers

FLAGS = ("gate", "relu", "outputs", "sums", "b_is_a", "b_none")
STREAMS_IN, STREAMS_OUT = ("start", "constants", "a", "b"), ("o", "sums")
INPUTS = {f"{name}__{part}": 0 for name in STREAMS_IN for part in ("valid", "payload")} | {
    f"{name}__ready": 0 for name in STREAMS_OUT}  # fmt: skip


def packed(rows):
    """Payloads of arrays [.., number], the first number lowest."""
    rows = np.ascontiguousarray(rows)
    return [int.from_bytes(row.tobytes(), "little") for row in rows.reshape(-1, rows.shape[-1])]


class Case:
    """A pass of random numbers, as payloads of the streams: `sends` and `receives`."""

    def __init__(self, p, rng, *, words, segments, wild=0.0, **mode):
        self.mode = VectorMode(**mode)
        self.words, self.pixels = words, segments * self.mode.segment
        self.name = f"{self.mode}, {segments} segments, {words} words, wild {wild}"
        shape = self.pixels, words * p.word
        a, b = (numbers(rng, p.half, shape, wild) for _ in range(2))
        constants = rng.standard_normal((CONSTANTS, shape[1])).astype(np.float32)
        constants[1] /= 4
        special = BINARY32.from_bits(np.array(CORNERS + [1 << 31 | corner for corner in CORNERS], np.uint32))
        constants = np.where(rng.random(constants.shape) < wild, rng.choice(special, constants.shape), constants)
        constants[1] = np.where(rng.random(shape[1]) < 0.2, 0, constants[1])
        b[rng.random(shape) < 0.1] = 0  # with c1 = 0 a gate at +-0
        found = vector_pass(self.mode, p.half, a, b if self.mode.reads_b else None, constants)

        layout, of_start = constant_layout(p), start_layout(p)
        lines = packed(BINARY32.to_bits(constants).reshape(CONSTANTS, words, p.word))
        heads = product(range(CONSTANTS), range(words))
        command = {"pixels": self.pixels, "segment": self.mode.segment, "words": words,
                   **{flag: int(getattr(self.mode, flag)) for flag in FLAGS}}  # fmt: skip
        self.sends = {
            "start": [sum(value << of_start[name].offset for name, value in command.items())],
            "constants": [line << layout["numbers"].offset | word << layout["word"].offset | constant
                          for (constant, word), line in zip(heads, lines, strict=True)],
            "a": packed(a.reshape(-1, p.word)), "b": packed(b.reshape(-1, p.word)) if self.mode.reads_b else [],
        }  # fmt: skip
        sums = [] if found.s0 is None else packed(np.concatenate(
            [BINARY32.to_bits(s).reshape(segments, words, p.word) for s in (found.s0, found.s1)], axis=2))
        self.receives = {"o": [] if found.out is None else packed(found.out.reshape(-1, p.word)), "sums": sums}


def all_modes(p, rng, *, seldom):
    """Every mode with short segments, in random order."""
    cases = []
    for gate, relu, (outputs, sums), b in product((False, True), (False, True), ((1, 0), (0, 1), (1, 1)),
                                                  ("a", "none", "stream")):  # fmt: skip
        segments = int(rng.integers(1, 4))
        segment = int(rng.choice([1, 2, 5, 7, 8, 9, 13, 16, 19])) // (2 if seldom and segments > 2 else 1) or 1
        cases.append(Case(
            p, rng, words=int(rng.integers(1, p.channel_words + 1)), segments=segments, segment=segment,
            wild=float(rng.choice([0, 0.01, 0.3])), gate=gate, relu=relu, outputs=bool(outputs), sums=bool(sums),
            b_is_a=b == "a", b_none=b == "none"))  # fmt: skip
    return [cases[number] for number in rng.permutation(len(cases))]


async def started(dut):
    await start(dut, inputs=INPUTS)
    return TrainParams(**parameters()["params"])


async def run(dut, cases, *, stall=0.0, max_cycles=60_000):
    """Cases one after the other, none waiting for what comes out of the one before; checked against golden."""
    sources = {name: StreamSource(dut, name, stall=stall) for name in STREAMS_IN}
    sinks = {name: StreamSink(dut, name, stall=stall) for name in STREAMS_OUT}

    async def begin():
        for case in cases:
            await sources["constants"].send(case.sends["constants"])
            await sources["start"].send(case.sends["start"])

    async def all_streams():
        tasks = [cocotb.start_soon(begin())]
        tasks += [cocotb.start_soon(sources[name].send([word for case in cases for word in case.sends[name]]))
                  for name in ("a", "b")]  # fmt: skip
        receiving = {name: cocotb.start_soon(sinks[name].receive(sum(len(case.receives[name]) for case in cases)))
                     for name in STREAMS_OUT}  # fmt: skip
        for task in tasks:
            await task
        return {name: await task for name, task in receiving.items()}

    found = await watchdog(all_streams(), max_cycles)
    for name, words in found.items():
        left = iter(words)
        for case in cases:
            for number, wanted in enumerate(case.receives[name]):
                got = next(left)
                assert got == wanted, f"{case.name}: {name} {number}: {got:#x}, not {wanted:#x}"


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.4])
async def modes(dut, stall):
    p = await started(dut)
    await run(dut, all_modes(p, np.random.default_rng(21), seldom=bool(stall)), stall=stall)


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.1, 0.4])
async def one_word_a_pixel(dut, stall):
    """Partial sums come from the adder, from behind it and from the RAM."""
    p = await started(dut)
    rng = np.random.default_rng(22)
    await run(dut, [Case(p, rng, words=1, segments=2, segment=101, outputs=outputs, sums=True, b_is_a=True)
                    for outputs in (True, False)], stall=stall)  # fmt: skip


@cocotb.test()
@cocotb.parametrize(cycles=[60, 170, 215])
async def reset_inside(dut, cycles):
    """In the middle of a segment, before its sums are combined and while they are: nothing of the pass is left."""
    p = await started(dut)
    rng = np.random.default_rng(28)
    broken = Case(p, rng, words=2, segments=2, segment=80, sums=True, b_none=True)
    await prepared(dut, [broken])
    seen = await traced(dut, [broken], blocked={}, cycles=cycles)
    assert not seen["sums"]
    await reset(dut, inputs=INPUTS)
    await run(dut, [Case(p, rng, words=1, segments=2, segment=9, sums=True, gate=True)])


@cocotb.test()
async def batch_norm(dut):
    """As in training: statistics, forward, statistics and gradient backward, of one tensor."""
    p = await started(dut)
    rng = np.random.default_rng(23)
    shape = {"words": p.channel_words, "segments": 1, "segment": 37}
    await run(dut, [
        Case(p, rng, **shape, outputs=False, sums=True, b_is_a=True), Case(p, rng, **shape, relu=True, b_none=True),
        Case(p, rng, **shape, gate=True, outputs=False, sums=True), Case(p, rng, **shape, gate=True),
    ])  # fmt: skip


async def traced(dut, cases, *, blocked, cycles):
    """{stream: cycles of its transfers} with everything offered at once; `blocked`: stream -> cycles in which it is not
    taken. What comes out is checked."""
    offered = {name: [word for case in cases for word in case.sends[name]] for name in ("start", "a", "b")}
    wanted = {name: [word for case in cases for word in case.receives[name]] for name in STREAMS_OUT}
    seen = {name: [] for name in (*offered, *wanted)}
    for cycle in range(cycles):
        for name, words in offered.items():
            more = len(seen[name]) < len(words)
            getattr(dut, f"{name}__valid").value = int(more)
            getattr(dut, f"{name}__payload").value = words[len(seen[name])] if more else 0
        for name in wanted:
            getattr(dut, f"{name}__ready").value = int(cycle not in blocked.get(name, ()))
        await FallingEdge(dut.clk)
        for name, at in seen.items():
            if int(getattr(dut, f"{name}__valid").value) and int(getattr(dut, f"{name}__ready").value):
                if name in wanted:
                    assert int(getattr(dut, f"{name}__payload").value) == wanted[name][len(at)], f"{name} {len(at)}"
                at.append(cycle)
        await RisingEdge(dut.clk)
    return seen


async def prepared(dut, cases):
    """Constants of all cases, which are the same, are written."""
    source = StreamSource(dut, "constants")
    await watchdog(source.send(cases[0].sends["constants"]), 1_000)


@cocotb.test()
@cocotb.parametrize(words=[1, 2])
async def throughput(dut, words):
    """A word a cycle within a segment, the stated gaps behind it; results LATENCY cycles later."""
    p = await started(dut)
    case = Case(p, np.random.default_rng(24), words=words, segments=2, segment=50, gate=True, sums=True)
    await prepared(dut, [case])
    gap = VectorPass.SEGMENT + 14 * words
    length = 50 * words
    seen = await traced(dut, [case, case], blocked={}, cycles=4 * (length + gap) + 60)
    starts = [1, 1 + length + gap, 2 + 2 * (length + gap), 2 + 3 * (length + gap)]
    assert seen["a"] == seen["b"] == [first + n for first in starts for n in range(length)]
    assert seen["o"] == [cycle + VectorPass.LATENCY for cycle in seen["a"]]
    assert seen["start"] == [0, starts[2] - 1]
    ends = [first + length - 1 for first in starts]
    assert seen["sums"] == [end + 57 + 12 * words + 2 * word for end in ends for word in range(words)]


@cocotb.test()
async def between_passes(dut):
    """Without sums the lanes empty, LATENCY cycles."""
    p = await started(dut)
    case = Case(p, np.random.default_rng(25), words=2, segments=3, segment=7, relu=True)
    await prepared(dut, [case])
    seen = await traced(dut, [case, case], blocked={}, cycles=250)
    starts = [1, 1 + 42 + VectorPass.LATENCY]
    assert seen["a"] == [first + n for first in starts for n in range(42)]
    assert len(seen["o"]) == 84


@cocotb.test()
async def takers_that_stop(dut):
    """ROOM words are let in without a taker of outputs, and there is no gap when it goes on; a segment ends when its
    sums are taken."""
    p = await started(dut)
    case = Case(p, np.random.default_rng(26), words=1, segments=1, segment=200, b_none=True)
    await prepared(dut, [case])
    stop = range(100, 300)
    seen = await traced(dut, [case], blocked={"o": stop}, cycles=500)
    entered = stop.start - VectorPass.LATENCY + ROOM
    assert seen["a"] == [*range(1, entered), *range(stop.stop + 1, stop.stop + 1 + 201 - entered)]
    assert seen["o"] == [*range(1 + VectorPass.LATENCY, stop.start),
                         *range(stop.stop, stop.stop + 200 - (stop.start - 1 - VectorPass.LATENCY))]  # fmt: skip

    case = Case(p, np.random.default_rng(27), words=2, segments=12, segment=1, sums=True, b_none=True)
    await prepared(dut, [case])
    stop = range(2_000)
    seen = await traced(dut, [case], blocked={"sums": stop}, cycles=3_500)
    assert 4 <= len([cycle for cycle in seen["a"] if cycle in stop]) // 2 <= 8
    assert [len(seen[name]) for name in ("a", "o", "sums")] == [24, 24, 24]
