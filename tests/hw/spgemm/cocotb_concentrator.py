"""Elements of groups, at random and all masks: element i in lane i, LATENCY later; zeros up to the last lane."""

import random

import cocotb
from cocotb.triggers import FallingEdge, RisingEdge

from hw.spgemm.concentrator import Concentrator
from tests.hw.harness import start
from tests.hw.spgemm.bench import shape_params
from tests.hw.spgemm.ports import element_bits


@cocotb.test()
async def groups(dut):
    p, _ = shape_params()
    rng = random.Random(7)
    await start(dut, inputs={"mask": 0, "group": 0, "data": 0, "flush": 0})
    lane, pending = 0, [{}] * Concentrator.LATENCY  # lane to element of the cycles to come

    async def cycle(mask=0, group=0, flush=0):
        nonlocal lane
        elements = [rng.getrandbits(element_bits(p)) for _ in range(p.banks)]
        dut.mask.value, dut.flush.value = mask, flush
        if hasattr(dut, "group"):
            dut.group.value = group
        dut.data.value = sum(element << element_bits(p) * bank for bank, element in enumerate(elements))
        leave = {}
        for i in range(p.lanes):
            if mask >> i & 1:
                leave[lane] = elements[group * p.lanes + i]
                lane = (lane + 1) % p.lanes
        if flush and lane:
            leave = dict.fromkeys(range(lane, p.lanes), 0)
            lane = 0
        pending.append(leave)
        await FallingEdge(dut.clk)
        due, out = pending.pop(0), int(dut.out.value)
        assert int(dut.out_mask.value) == sum(1 << i for i in due)
        assert {i: out >> element_bits(p) * i & (1 << element_bits(p)) - 1 for i in due} == due
        await RisingEdge(dut.clk)

    every = [(mask, group) for mask in range(1 << p.lanes) for group in range(p.banks // p.lanes)]
    rng.shuffle(every)
    for mask, group in every:
        await cycle(mask, group)
    for rest in range(p.lanes * 3):
        for _ in range(20):
            await cycle(rng.getrandbits(p.lanes), rng.randrange(p.banks // p.lanes))
        while lane != rest % p.lanes:
            await cycle(1)
        await cycle()
        await cycle(flush=1)
        if rest % 2:
            await cycle()
    for _ in range(Concentrator.LATENCY):
        await cycle()
