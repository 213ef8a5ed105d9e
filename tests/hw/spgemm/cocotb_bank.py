"""A bank against dictionaries: products of several rows in turn, while the rows before are read."""

import random

import cocotb
from cocotb.triggers import FallingEdge, RisingEdge

from hw.spgemm.arithmetic import adder
from hw.spgemm.bank import Bank
from hw.spgemm.layouts import element_layout, held_layout
from tests.hw.harness import StreamSource, start, watchdog
from tests.hw.packing import packed, unpacked
from tests.hw.spgemm.bench import add_bits, random_value, shape_params

INPUTS = {"elements__valid": 0, "elements__payload": 0, "read": 0, "read_address": 0, "count_index": 0, "scan": 0,
          "sweep": 0, "sweep_address": 0}  # fmt: skip
FULL = 2  # of five: so many columns a row has of its slots


class Row:
    """A row's products, and `elements`: column to sum, in the order in which columns came first."""

    def __init__(self, p, context, regions, half, serial):
        self.p, self.elements, self.products = p, {}, []
        self.row = {"context": context, "regions": regions, "half": half, "serial": serial}
        self.index = half * p.contexts + context
        size = p.region << regions
        columns = random.sample(range(1 << p.column_bits), random.randrange(1, max(2, min(60, size * FULL // 5))))
        self.slots = {column: column * 2654435769 % (1 << 32) * size >> 32 for column in columns}
        for _ in range(random.choice([0, 1, 3, len(columns)])):
            for column in random.choices(columns, k=random.randrange(1, p.lanes + 1)):
                self.product(column)
        if not self.products or random.random() < 0.3:
            self.products.append({"some": 0, "end": 0, "row": self.row,
                                  "product": {"column": 0, "value": random.getrandbits(32), "slot": 0}})  # fmt: skip
        self.products[-1]["end"] = 1

    def product(self, column):
        value = random_value(self.p, random)
        self.elements[column] = add_bits(self.p, self.elements.get(column, 0), value)
        self.products.append({"some": 1, "end": 0, "row": self.row,
                              "product": {"column": column, "value": value, "slot": self.slots[column]}})  # fmt: skip


async def sweep(dut, p):
    dut.sweep.value = 1
    for address in range(p.slots):
        dut.sweep_address.value = address
        await RisingEdge(dut.clk)
    dut.sweep.value = 0


class Watch:
    """Cycles in which rows have ended, and strobes."""

    def __init__(self, dut):
        self.dut, self.ended, self.cycles = dut, [], 0
        self.strobes = dict.fromkeys(("overflow", "probing", "waiting", "yielding"), 0)
        cocotb.start_soon(self.run())

    async def run(self):
        while True:
            await FallingEdge(self.dut.clk)
            self.cycles += 1
            for name in self.strobes:
                self.strobes[name] += int(getattr(self.dut, name).value)
            if self.dut.ended.value == 1:
                self.ended.append(self.cycles)

    async def until(self, rows):
        while len(self.ended) < rows:
            await RisingEdge(self.dut.clk)


async def begin(dut):
    p, stall = shape_params()
    random.seed(11)
    await start(dut, inputs=INPUTS)
    await sweep(dut, p)
    return p, Watch(dut), stall


async def read_row(dut, row):
    """Its elements, as the bank has them."""
    p = row.p
    dut.count_index.value = row.index
    await RisingEdge(dut.clk)
    await FallingEdge(dut.clk)
    count, got = int(dut.count.value), []
    await RisingEdge(dut.clk)
    base = row.row["half"] * p.slots + row.row["context"] * p.region
    for step in range(count + Bank.READ_LATENCY):
        dut.read.value, dut.read_address.value = int(step < count), base + min(step, count - 1)
        await FallingEdge(dut.clk)
        if step >= Bank.READ_LATENCY:
            element = unpacked(held_layout(p), int(dut.read_data.value))
            got.append((element["column"], element["value"]))
        await RisingEdge(dut.clk)
    dut.read.value = 0
    assert got == list(row.elements.items()), row.row


def window(p, half, serial):
    """Rows that share all contexts, and their products in turn."""
    rows, context = [], 0
    while context < p.contexts:
        regions = random.choice([r for r in range(p.contexts.bit_length())
                                 if context % (1 << r) == 0 and context + (1 << r) <= p.contexts])  # fmt: skip
        rows.append(Row(p, context, regions, half, serial + len(rows)))
        context += 1 << regions
    products, queues = [], [list(row.products) for row in rows]
    while queues := [queue for queue in queues if queue]:
        queue = random.choice(queues)
        taken = random.randrange(1, 4)
        products += queue[:taken]
        del queue[:taken]
    return rows, products


@cocotb.test()
async def windows(dut):
    p, watch, stall = await begin(dut)
    source = StreamSource(dut, "elements", stall=stall)
    before, serial = [], 1
    for turn in range(14):
        rows, products = window(p, turn % 2, serial)
        serial += len(rows)
        watch.ended.clear()
        sending = cocotb.start_soon(
            watchdog(source.send([packed(element_layout(p), product) for product in products]), 20_000))
        for row in before:
            await watchdog(read_row(dut, row), 1000)
        await sending
        await watchdog(watch.until(len(rows)), 5000)
        assert len(watch.ended) == len(rows)
        before = rows
    for row in before:
        await watchdog(read_row(dut, row), 1000)
    assert watch.strobes["overflow"] == 0
    assert watch.strobes["probing"]
    assert watch.strobes["yielding"]


@cocotb.test()
async def full_speed(dut):
    """Products that never want the same element soon: one a cycle."""
    p, watch, _ = await begin(dut)
    rows = [Row(p, context, 0, 0, 1 + context) for context in range(p.contexts)]
    for row in rows:
        row.products.clear()
        row.elements.clear()
        row.slots = {column * 1000: column for column in range(p.region)}
    for turn in range(30 * p.region):
        for row in rows:
            row.product([*row.slots][turn % p.region])
    for row in rows:
        row.products[-1]["end"] = 1
    products = [product for turn in zip(*(row.products for row in rows), strict=True) for product in turn]
    cycles = watch.cycles
    source = StreamSource(dut, "elements", stall=0)
    await watchdog(source.send([packed(element_layout(p), product) for product in products]), 2 * len(products))
    for _ in range(40):
        await RisingEdge(dut.clk)
    end = Bank.LATENCY + Bank.READ_LATENCY + adder(p).LATENCY + 1
    assert watch.ended[-1] - cycles == len(products) + end
    assert not any(watch.strobes.values())
    for row in rows:
        await read_row(dut, row)
