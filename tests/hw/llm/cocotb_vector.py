"""Vector instructions on the RTL against the golden executor: memory, scalars and, without stalls, cycles."""

import copy

import cocotb
import numpy as np
from cocotb.triggers import FallingEdge, RisingEdge

from golden import float32 as f32
from golden.isa.llm import SCALARS, SLOTS, Binary, Put, Reduce, Source, Unary
from golden.llm.positions import UnderWay, check_independent
from golden.llm.positions import repetitions as golden_repetitions
from golden.llm.vector import arg_max
from golden.params import LlmParams
from hw.llm.vector import vector_layout
from tests.hw.harness import parameters, reset, start, watchdog
from tests.hw.llm.vector_player import INPUTS, NAMES, Bench, numbers
from tests.hw.packing import packed


async def instructions(bench, rng):
    for n in (1, 3, 4, 17, 64, 100):
        await bench.fill(0, numbers(rng, n))
        await bench.fill(26, numbers(rng, n))
        for binary in Binary:
            for unary in Unary:
                reduce = Reduce(int(rng.integers(3)))
                where = f"{binary.name} {unary.name} {reduce.name} n={n}"
                await bench.run(
                    "VEC", a=100, b=0, b_row=26, n=n, binary=binary, unary=unary, reduce=reduce, sd=3, store=1
                )
                await bench.compare(100, -(-n // bench.p.sfu_lanes), where)
                if reduce != Reduce.NONE:
                    await bench.compare_scalar(3, where)
        await bench.run("VEC", a=100, b=0, n=n, binary=Binary.MUL, b_source=Source.SCALAR, sb=3, store=1)
        await bench.compare(100, -(-n // bench.p.sfu_lanes), f"scalar n={n}")
        half = int(f32.to_bits(np.float32(0.5)))
        await bench.run(
            "VEC",
            n=1,
            a_source=Source.SCALAR,
            sa=3,
            binary=Binary.ADD,
            b_source=Source.IMMEDIATE,
            immediate=half,
            reduce=Reduce.SUM,
            sd=4,
        )
        await bench.compare_scalar(4, f"immediate n={n}")
        await bench.run("AMX", a=1000, b=0, n=n, first=1)
        await bench.run("AMX", a=2000, b=26, n=n)
        assert int(bench.dut.best.value) == bench.golden.results[0] == bench.golden.best[1], f"arg-max n={n}"


REPETITIONS = [
    # rows of a repetition, elements beyond whole rows, repetitions, elements more each time
    (1, 0, 1, 0), (1, 0, 8, 0), (1, -3, 8, 1), (2, -1, 5, 1), (7, 0, 3, 0), (7, -1, 6, 1), (8, 0, 4, 0), (8, -2, 8, 1),
    (9, 0, 5, 0), (9, -3, 3, 1), (40, -1, 2, 1), (16, 0, 7, 0), (1, 0, 16, 1), (3, 0, 2, 0),
]  # fmt: skip


async def repetitions(bench, rng):
    """Strides, steps, reductions one behind the other; then the same with scalars that step, and with a period."""
    lanes = bench.p.sfu_lanes
    await bench.fill(0, numbers(rng, 220 * lanes))
    await bench.fill(220, np.zeros(280 * lanes))
    for rows, more, count, n_step in REPETITIONS:
        n, most = rows * lanes + more, rows + n_step * -(-count // lanes)
        spread = {
            "n": n,
            "n_step": n_step,
            "repeat": count - 1,
            "stride_a": most + 1,
            "stride_b": int(rng.integers(4)),
            "stride_c": int(rng.integers(1, 4)),
            "b": int(rng.integers(90)),
            "b_row": int(rng.integers(90)),
            "a": 220,
            "store": 1,
        }
        for reduce in Reduce:
            where = f"{rows} rows {more:+} x {count}, {n_step} more, {reduce.name}"
            unary = Unary.EXP if rng.random() < 0.3 else Unary.NONE
            await bench.run(
                "VEC", **spread, binary=Binary.MUL, unary=unary, reduce=reduce, sd=5, scalar_step=4,
                period=int(rng.integers(2)) * max(1, rows // 3),
            )  # fmt: skip
            await bench.compare(220, count * (most + 1) - 1, where)
            for t in range(count if reduce else 0):
                await bench.compare_scalar(5 + t, where)
        step = int(rng.integers(8))
        where = f"scalars, step {step}: {rows} rows {more:+} x {count}"
        await bench.run("VEC", **spread, binary=Binary.SUB, b_source=Source.SCALAR, sb=5, scalar_step=step,
                        reduce=Reduce.MAX, sd=22)  # fmt: skip
        await bench.compare(220, count * (most + 1) - 1, where)
        await bench.run("VEC", n=1, repeat=count - 1, a_source=Source.SCALAR, sa=5, unary=Unary.RECIP, sd=21,
                        scalar_step=5, reduce=Reduce(int(rng.integers(1, 3))))  # fmt: skip
        for index in range(21, 21 + count):
            await bench.compare_scalar(index % SCALARS, where)


def random_vec(rng, layout, lanes, rows, count):
    """A VEC on three vectors of each repetition, of which two overlap."""
    v = dict.fromkeys(layout.members, 0)
    v |= {name: int(rng.choice([0, 50, 100, 102])) for name in ("a", "b", "b_row")}
    v |= {"store": 1, "n": rows * lanes - int(rng.integers(3)), "repeat": count - 1, "sb": 3, "scalar_step": 6}
    v |= {"binary": int(rng.choice(list(Binary))), "unary": int(rng.choice([0, 0, *Unary]))}
    v |= {"b_source": int(rng.choice(list(Source))), "immediate": 0x3F000000, "sd": int(rng.integers(8, 24))}
    return v | dict.fromkeys(("stride_a", "stride_b", "stride_c"), 12)


def with_next(under_way, v):
    """`under_way` and VEC `v`, None if golden forbids it."""
    after = copy.deepcopy(under_way)
    try:
        check_independent(golden_repetitions(v), after.lanes)
        after.enter(golden_repetitions(v))
    except ValueError:
        return None
    return after


async def chains(bench, rng, reductions):
    """Random VECs, chained where golden allows it; `reductions`: any may reduce, else none but the last one, so that
    the cycles are known."""
    lanes, layout, chained = bench.p.sfu_lanes, vector_layout(bench.p), 0
    for _ in range(60):
        await bench.fill(0, numbers(rng, 120 * lanes))
        count, rows = int(rng.integers(1, 5)), int(rng.integers(1, 13))
        commands, under_way = [], UnderWay(lanes)
        while len(commands) < 6:
            v = random_vec(rng, layout, lanes, rows, count) | {"chained": int(bool(commands))}
            if reductions:
                v["reduce"] = int(rng.choice([0, 0, *Reduce]))
            after = with_next(under_way, v)
            if after is None and reductions:
                v["chained"] = 0
                after = with_next(under_way, v)
            if after is not None:
                commands.append(("VEC", v))
                under_way, chained = after, chained + v["chained"]
        if not reductions:
            commands[-1][1]["reduce"] = int(rng.choice(list(Reduce)))
        where = f"chain x {count}: {commands}"
        await bench.run_all(commands)
        await bench.compare(0, 160, where)
        for index in range(3, 28):
            await bench.compare_scalar(index, where)
    assert chained > 150


async def scalars_to_rows(bench, rng):
    """PUT of several scalars, across rows and from the last scalar to the first."""
    lanes = bench.p.sfu_lanes
    for count in (1, 2, min(lanes + 1, 16), 16):
        first, n = int(rng.choice([0, 7, SCALARS - 2])), int(rng.integers(2 * lanes))
        await bench.fill(50, numbers(rng, 8 * lanes))
        await bench.run("PUT", a=50, n=n, sa=first, repeat=count - 1)
        await bench.compare(50, 8, f"PUT of {count} from {first} to {n}")


SPECIAL = np.array([0, 1 << 31, 0x7F800000, 0xFF800000, 0x7FC00000, 0xFFFFFFFE, 0x3F800000], np.uint32)


async def largest(bench, rng):
    """The largest elements of a vector, one after the other, as a program finds them: the instructions in a row, on
    numbers with and without ties; then PUT of everything at the last of them, across rows."""
    lanes, top = bench.p.sfu_lanes, 300
    for n in (2, 5, 16, 61, 200):
        for values in (numbers(rng, n), rng.integers(-3, 3, n).astype(np.float32), rng.choice(SPECIAL, n).view("<f4")):
            await bench.fill(0, values)
            await bench.fill(top, numbers(rng, 20))
            first = int(rng.integers(1, -(-n // lanes) + 1)) * lanes
            commands = [("AMX", {"b": 0, "n": min(first, n), "first": 1})]
            if first < n:
                commands.append(("AMX", {"a": first, "b": first // lanes, "n": n - first}))
            count = min(n, 8)
            for k in range(count):
                if k:
                    commands.append(("PUT", {"a": 0, "at_best": 1, "source": Put.LOWEST}))
                    commands.append(("AMX", {"b": 0, "n": n, "first": 1, "keep": 1}))
                commands.append(("PUT", {"a": top, "n": 2 * k, "source": Put.INDEX}))
                commands.append(("PUT", {"a": top, "n": 2 * k + 1, "source": Put.VALUE}))
            await bench.run_all(commands)
            where = f"largest of {f32.to_bits(values)}"
            order = sorted(range(n), key=lambda i: (-arg_max(values[i : i + 1], 0, None)[0], i))[:count]
            found = bench.golden.vmem[top : top + 16 // lanes + 1].view(np.uint32).reshape(-1)[: 2 * count]
            assert found.reshape(-1, 2).tolist() == [[i, int(f32.to_bits(values)[i])] for i in order], where
            await bench.compare(0, -(-n // lanes), where)
            await bench.compare(top, 20 // lanes, where)
            assert int(bench.dut.best.value) == bench.golden.results[0] == order[0], where
            for source in Put:
                await bench.fill(400, numbers(rng, 230))
                await bench.run("PUT", a=400, at_best=1, n=3, source=source, sa=SCALARS - 2, repeat=8)
                await bench.compare(400, 230 // lanes, f"{source.name} at {order[-1]} + 3")


async def negative_zero(bench):
    """A sum whose partials all flush to -0 is -0: nothing may be added to a partial that is not a row."""
    tiny = np.array([1.5 * 2.0**-126, -1.25 * 2.0**-126], np.float32)
    lanes = bench.p.sfu_lanes
    for rows in (16, 17, 23):
        values = np.zeros((rows, lanes), np.float32)
        values[:, 0] = -0.0
        values[:8, 0], values[8:16, 0] = -tiny[0], -tiny[1]
        values[:, 1:] = -0.0
        await bench.fill(0, values.reshape(-1))
        await bench.run("VEC", b=0, n=rows * lanes, reduce=Reduce.SUM, sd=9, scalar_step=4, repeat=1)
        for index in (9, 10):
            assert f32.to_bits(bench.golden.scalars[index]) == 1 << 31 or rows > 16
            await bench.compare_scalar(index, f"-0, {rows} rows")


async def quantisations(bench, rng):
    for n in (1, 15, 16, 32, 50, 100):
        await bench.fill(0, numbers(rng, 260))
        for flat in (0, 1):
            for group_log2, round_log2 in ((0, 1), (1, 2)):
                await quantise(bench, n=n, flat=flat, group_log2=group_log2, round_log2=round_log2, slot=5, sd=6)
        steps = {"repeat": int(rng.integers(1, 5)), "n_step": int(rng.integers(2)), "pad": int(rng.integers(4, 8))}
        steps |= {"slot": SLOTS - 2}
        await quantise(bench, n=n, stride_a=9, stride_b=3, sd=29, flat=1, token=11, token_step=1, **steps)
        await quantise(bench, n=n, stride_a=11, stride_b=1, round_log2=1, token=3, **steps)


async def quantise(bench, **fields):
    """QNT of the rows from 0 on to block 2; compares blocks, exponents and scalars."""
    bench.blocks.clear()
    await bench.run("QNT", a=2, b=0, **fields)
    await bench.compare_quantised([fields], f"QNT {fields}")


@cocotb.test()
async def no_elements_are_illegal(dut):
    params = LlmParams(**parameters()["params"])
    operations = [("VEC", {"store": 1}), ("VEC", {"reduce": 1}), ("VEC", {"reduce": 2}), ("QNT", {"pad": 3}),
                  ("QNT", {"flat": 1}), ("AMX", {"first": 1})]  # fmt: skip
    await start(dut, inputs=INPUTS)
    for name, fields in operations:
        await reset(dut, inputs=INPUTS)
        command = packed(vector_layout(params), {"operation": NAMES[name], **fields, "n": 0})
        dut.command__payload.value, dut.command__valid.value = command, 1
        await RisingEdge(dut.clk)
        dut.command__valid.value = 0
        await FallingEdge(dut.clk)
        assert dut.illegal.value == 1, f"{name} {fields}"


@cocotb.test()
async def vector_unit(dut):
    params = LlmParams(**parameters()["params"])
    await start(dut, inputs=INPUTS)
    for stall in (0.0, 0.3):
        bench = Bench(dut, params, 3, stall)
        rng = np.random.default_rng(11)
        await watchdog(quantisations(bench, rng), 100_000)
        await watchdog(instructions(bench, rng), 200_000)
        await watchdog(repetitions(bench, rng), 200_000)
        await watchdog(scalars_to_rows(bench, rng), 10_000)
        await watchdog(negative_zero(bench), 10_000)
        await watchdog(chains(bench, rng, False), 200_000)
        bench.stall = max(stall, 0.01)
        await watchdog(chains(bench, rng, True), 400_000)
        await watchdog(largest(bench, rng), 200_000)
        bench.watcher.cancel()
