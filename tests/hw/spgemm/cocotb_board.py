"""A row has ended when all banks have said so, in any order, until it has left."""

import random

import cocotb
from cocotb.triggers import FallingEdge, RisingEdge

from hw.spgemm.board import EndBoard
from tests.hw.harness import start
from tests.hw.spgemm.bench import shape_params


@cocotb.test()
async def rows(dut):
    p, _ = shape_params()
    rng, indices = random.Random(1), 2 * p.contexts
    await start(dut, inputs={"strobe": 0, "clear": 0})
    said = [set() for _ in range(indices)]
    full_since = [None] * indices
    for cycle in range(3000):
        strobe = 0
        for bank in range(p.banks):
            index = rng.randrange(indices)
            if rng.random() < 0.3 and bank not in said[index]:
                strobe |= 1 << bank
                said[index].add(bank)
                getattr(dut, f"index__{bank}").value = index
        dut.strobe.value = strobe
        for index in range(indices):
            if len(said[index]) == p.banks and full_since[index] is None:
                full_since[index] = cycle
        done = [i for i in range(indices) if full_since[i] is not None and cycle > full_since[i] + EndBoard.LATENCY]
        clear = rng.choice(done) if done and rng.random() < 0.3 else None
        dut.clear.value = int(clear is not None)
        if clear is not None:
            dut.cleared.value = clear
        await FallingEdge(dut.clk)
        ended = int(dut.ended.value)
        for index in range(indices):
            since = full_since[index]
            assert ended >> index & 1 == (since is not None and cycle >= since + EndBoard.LATENCY)
        if clear is not None:
            said[clear], full_since[clear] = set(), None
        await RisingEdge(dut.clk)
