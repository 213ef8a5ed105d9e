"""A row has ended when all banks have said so, each in the order of the last lines, until it has left."""

import random

import cocotb
from cocotb.triggers import FallingEdge, RisingEdge

from hw.spgemm.board import EndBoard
from tests.hw.harness import start
from tests.hw.spgemm.bench import shape_params

INPUTS = {"strobe": 0, "clear": 0, "last": 0, "row": 0, "cleared": 0}


@cocotb.test()
@cocotb.parametrize(often=[0.05, 0.3, 1.0])
async def rows(dut, often):
    """Banks that lag behind each other by up to all rows; a row leaves and its index comes again."""
    p, _ = shape_params()
    rng, indices = random.Random(f"{often}"), 2 * p.contexts
    await start(dut, inputs=INPUTS)
    order, said = [], [0] * p.banks  # all rows so far; how many of them each bank has ended
    at_work, ended, due, left = set(), set(), [], 0
    for cycle in range(3000):
        for when, index in list(due):
            if when == cycle:
                ended.add(index)
                due.remove((when, index))
        fresh = [index for index in range(indices) if index not in at_work]
        strobe = sum(1 << bank for bank in range(p.banks) if said[bank] < len(order) and rng.random() < often)
        new = rng.choice(fresh) if fresh and rng.random() < 0.5 else None
        gone = rng.choice(sorted(ended)) if ended and rng.random() < 0.3 else None
        dut.strobe.value, dut.last.value, dut.clear.value = strobe, int(new is not None), int(gone is not None)
        dut.row.value, dut.cleared.value = new or 0, gone or 0
        await FallingEdge(dut.clk)
        assert int(dut.ended.value) == sum(1 << index for index in ended), cycle
        before = min(said)
        said = [count + (strobe >> bank & 1) for bank, count in enumerate(said)]
        if new is not None:
            order.append(new)
            at_work.add(new)
        if gone is not None:
            ended.discard(gone)
            at_work.discard(gone)
        while before < min(said):
            due.append((max(cycle + EndBoard.LATENCY, due[-1][0] + 1 if due else 0), order[before]))
            before, left = before + 1, left + 1
        await RisingEdge(dut.clk)
    assert left > 100
