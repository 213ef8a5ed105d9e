"""Products of lines, their banks and slots, against golden."""

import random
from collections import deque

import cocotb
import numpy as np
from cocotb.triggers import FallingEdge, RisingEdge

from golden.isa.spgemm import Hash
from golden.spgemm.order import bank_of
from golden.spgemm.product import ARITHMETIC
from golden.spgemm.slots import home_slots
from hw.spgemm.arithmetic import multiplier
from hw.spgemm.layouts import line_layout, products_layout
from tests.hw.harness import start, watchdog
from tests.hw.packing import packed, unpacked
from tests.hw.spgemm.bench import random_row, random_value, shape_params, word_type

LINES = 200


@cocotb.test()
@cocotb.parametrize(hash_by=list(Hash))
async def lines(dut, hash_by):
    p, stall = shape_params()
    rng = random.Random(f"lines {hash_by}")
    shift = rng.randrange(20)
    await start(dut, inputs={"lines__valid": 0, "room": 0, "hash_by": int(hash_by), "shift": shift})
    expected, latency = deque(), max(multiplier(p).LATENCY, 6)

    def line():
        return {
            "row": random_row(p, rng, rng.randrange(p.contexts.bit_length())), "last": rng.randrange(2),
            "mask": rng.randrange(1 << p.lanes), "value": random_value(p, rng),
            "data": [{"column": rng.getrandbits(min(p.column_bits, 32 - shift)), "value": random_value(p, rng)}
                     for _ in range(p.lanes)],
        }

    async def run():
        sent = cycle = 0
        offered = None
        while sent < LINES or expected:
            if offered is None and sent < LINES and rng.random() >= stall:
                offered, sent = line(), sent + 1
                dut.lines__payload.value = packed(line_layout(p), offered)
            room = rng.random() >= stall
            dut.lines__valid.value, dut.room.value = int(offered is not None), int(room)
            await FallingEdge(dut.clk)
            assert int(dut.lines__ready.value) == room
            if int(dut.valid.value):
                due, was = expected.popleft()
                assert cycle == due, f"cycle {cycle}, not {due}"
                check(p, hash_by, shift, was, int(dut.products.value))
            if offered is not None and room:
                expected.append((cycle + latency, offered))
                offered = None
            cycle += 1
            await RisingEdge(dut.clk)

    await watchdog(run(), 10_000)


def check(p, hash_by, shift, line, bits):
    layout, numbers = products_layout(p), ARITHMETIC[p.numbers]
    found = unpacked(layout, bits)
    assert found["row"] == packed(layout["row"].shape, line["row"])
    assert (found["last"], found["mask"]) == (line["last"], line["mask"])
    columns = np.array([element["column"] for element in line["data"]], np.int64)
    values = np.array([element["value"] for element in line["data"]], word_type(p)).view(numbers.dtype)
    factor = np.array([line["value"]], word_type(p)).view(numbers.dtype)
    made = numbers.mul(np.repeat(factor, p.lanes), values).view(word_type(p))
    sizes = np.full(p.lanes, p.region << line["row"]["regions"])
    slots, banks = home_slots(columns, sizes, hash_by, shift), bank_of(columns, p.banks)
    bank_bits = layout["bank"].shape.elem_shape.width
    product = layout["products"].shape.elem_shape
    for lane in range(p.lanes):
        assert found["bank"] >> lane * bank_bits & (1 << bank_bits) - 1 == banks[lane]
        one = unpacked(product, found["products"] >> lane * product.size & (1 << product.size) - 1)
        assert one == {"column": columns[lane], "value": made[lane], "slot": slots[lane]}
