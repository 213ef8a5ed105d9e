"""When rows may leave: rows begin, end and leave at random, by themselves or window by window."""

import random

import cocotb
from cocotb.triggers import FallingEdge, RisingEdge

from golden.spgemm.params import SpgemmParams
from hw.spgemm.layouts import row_layout
from tests.hw.harness import parameters, start
from tests.hw.packing import packed

INPUTS = dict.fromkeys(("apart", "closed", "asked", "came", "begins", "began", "release", "released", "ended"), 0)


@cocotb.test()
@cocotb.parametrize(apart=[0, 1])
async def random_rows(dut, apart):
    p, rng = SpgemmParams(**parameters()["params"]), random.Random(apart)
    await start(dut, inputs=INPUTS | {"apart": apart})
    lines, rows, ended, closed, leaving = 0, [], set(), 0, None
    over = left = held_back = 0

    def index(row):
        return row["half"] * p.contexts + row["context"]

    for _ in range(6000):
        asked, came = int(rng.random() < 0.3 and not closed and lines < p.window), int(lines > 0 and rng.random() < 0.4)
        free = [(half, context) for half in range(2 - apart) for context in range(p.contexts)
                if (half, context) not in [(row["half"], row["context"]) for row in rows]]  # fmt: skip
        begins = bool(came and free and rng.random() < 0.5)
        half, context = rng.choice(free or [(0, 0)])
        row = {"context": context, "half": half, "regions": 0, "serial": rng.randrange(1 << 16)}
        ended |= {index(other) for other in rows if rng.random() < 0.05}
        releases = bool(rows and leaving and index(rows[0]) in ended and rng.random() < 0.3)
        for name, value in (("asked", asked), ("came", came), ("begins", int(begins)), ("release", int(releases)),
                            ("closed", closed), ("ended", sum(1 << number for number in ended))):  # fmt: skip
            getattr(dut, name).value = value
        dut.began.value = packed(row_layout(p), row)
        dut.released.value = packed(row_layout(p), rows[0] if rows else row)
        await FallingEdge(dut.clk)
        assert int(dut.nothing_comes.value) == (lines == 0)
        assert int(dut.over.value) == (lines == 0 and not rows)
        if leaving is not None:
            assert int(dut.leaving.value) == leaving
        over += closed and lines == 0 and not rows
        held_back += bool(apart and rows and ended and not leaving)
        leaving = int(not apart or (closed and not lines and {index(other) for other in rows} <= ended))
        await RisingEdge(dut.clk)
        if closed and not lines and not rows:
            closed = 0
        elif not closed and rng.random() < 0.02:
            closed = 1
        lines += asked - came
        if releases:
            left += 1
            ended.discard(index(rows[0]))
            rows.pop(0)
        rows += [row] * begins
    assert left > 200
    assert over > 20
    assert (held_back > 300) == bool(apart)
