"""Every queue of banks gets its products of every line, in order; the last line of a row goes to all."""

import random
from collections import deque

import cocotb
from cocotb.triggers import FallingEdge, RisingEdge

from hw.spgemm.layouts import bank_line_layout, products_layout
from hw.spgemm.spread import Spread
from tests.hw.harness import start, watchdog
from tests.hw.packing import packed, unpacked
from tests.hw.spgemm.bench import random_row, shape_params

LINES = 200


def readies(p, dut):
    return [getattr(dut, f"queues__{queue}__ready") for queue in range(p.banks // p.queue_banks)]


@cocotb.test()
@cocotb.parametrize(banks=["random", "one", "each"])
async def lines(dut, banks):
    p, stall = shape_params()
    rng = random.Random(f"spread {banks}")
    await start(dut, inputs={"valid": 0})
    for ready in readies(p, dut):
        ready.value = 1
    expected = [deque() for _ in range(p.banks // p.queue_banks)]

    def line():
        bank = {"random": [rng.randrange(p.banks) for _ in range(p.lanes)], "one": [rng.randrange(p.banks)] * p.lanes,
                "each": rng.sample(range(p.banks), p.lanes)}[banks]
        return {"row": random_row(p, rng), "last": int(rng.random() < 0.2), "mask": rng.randrange(1 << p.lanes),
                "bank": bank, "products": [
                    {"column": rng.getrandbits(p.column_bits), "value": rng.getrandbits(p.value_bits), "slot": lane}
                    for lane in range(p.lanes)]}

    async def run():
        for cycle in range(LINES + Spread.LATENCY):
            valid = cycle < LINES and rng.random() >= stall
            if valid:
                sent = line()
                dut.products.value = packed(products_layout(p), sent)
                for number, queue in enumerate(expected):
                    masks = [sum(1 << k for k in range(p.lanes) if sent["mask"] >> k & 1 and sent["bank"][k] == bank)
                             for bank in range(number * p.queue_banks, (number + 1) * p.queue_banks)]  # fmt: skip
                    if any(masks) or sent["last"]:
                        queue.append((cycle + Spread.LATENCY, {**sent, "masks": masks}))
            dut.valid.value = int(valid)
            await FallingEdge(dut.clk)
            for number, queue in enumerate(expected):
                due = bool(queue) and queue[0][0] == cycle
                assert int(getattr(dut, f"queues__{number}__valid").value) == due
                if due:
                    _, was = queue.popleft()
                    layout = bank_line_layout(p)
                    found = unpacked(layout, int(getattr(dut, f"queues__{number}__payload").value))
                    was = {name: was[name] for name in found}
                    assert found == unpacked(layout, packed(layout, was))
            assert not int(dut.lost.value)
            await RisingEdge(dut.clk)

    await watchdog(run(), 10_000)
    assert not any(expected)


@cocotb.test()
async def a_queue_without_room(dut):
    p, _ = shape_params()
    await start(dut, inputs={"valid": 0})
    for ready in readies(p, dut):
        ready.value = 1
    last = {"row": random_row(p, random.Random(1)), "last": 1, "mask": 0, "bank": [0] * p.lanes,
            "products": [{"column": 0, "value": 0, "slot": 0}] * p.lanes}
    dut.products.value, dut.valid.value = packed(products_layout(p), last), 1
    readies(p, dut)[-1].value = 0
    for _ in range(3):
        await RisingEdge(dut.clk)
    await FallingEdge(dut.clk)
    assert int(dut.lost.value)
