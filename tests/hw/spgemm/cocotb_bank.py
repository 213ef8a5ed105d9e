"""A bank against dictionaries: lines of several rows in turn, while the rows before are read."""

import random

import cocotb
from cocotb.triggers import FallingEdge, RisingEdge

from hw.spgemm.arithmetic import adder
from hw.spgemm.bank import Bank
from hw.spgemm.layouts import bank_line_layout, stored_layout
from tests.hw.harness import StreamSource, start, watchdog
from tests.hw.spgemm.bench import add_bits, packed, random_value, shape_params, unpacked

INPUTS = {"lines__valid": 0, "lines__payload": 0, "read": 0, "read_address": 0, "count_index": 0, "scan": 0,
          "sweep": 0, "sweep_address": 0}  # fmt: skip
FULL = 2  # of five: so many columns a row has of its slots


class Row:
    """A row's lines, and `elements`: column to sum, in the order in which columns came first."""

    def __init__(self, p, context, regions, half, serial):
        self.p, self.elements, self.lines = p, {}, []
        self.row = {"context": context, "regions": regions, "half": half, "serial": serial}
        self.index = half * p.contexts + context
        size = p.region << regions
        columns = random.sample(range(1 << 32), random.randrange(1, max(2, min(60, size * FULL // 5))))
        self.slots = {column: column * 2654435769 % (1 << 32) * size >> 32 for column in columns}
        for _ in range(random.choice([0, 1, 3, len(columns)])):
            self.line(random.choices(columns, k=random.randrange(1, p.lanes + 1)))
        if not self.lines or random.random() < 0.3:
            self.line([])
        self.lines[-1]["last"] = 1

    def line(self, columns):
        p = self.p
        lanes = sorted(random.sample(range(p.lanes), len(columns)))
        products = [{"column": random.getrandbits(32), "value": random.getrandbits(32), "slot": 0}
                    for _ in range(p.lanes)]  # fmt: skip
        for lane, column in zip(lanes, columns, strict=True):
            value = random_value(p, random)
            products[lane] = {"column": column, "value": value, "slot": self.slots[column]}
            self.elements[column] = add_bits(p, self.elements.get(column, 0), value)
        self.lines.append({"row": self.row, "last": 0, "mask": sum(1 << lane for lane in lanes),
                           "products": products})  # fmt: skip


async def sweep(dut, p):
    dut.sweep.value = 1
    for address in range(p.slots):
        dut.sweep_address.value = address
        await RisingEdge(dut.clk)
    dut.sweep.value = 0


class Watch:
    """Rows that have ended, and strobes."""

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
                self.ended.append((int(self.dut.ended_row.value), self.cycles))

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
            element = unpacked(stored_layout(), int(dut.read_data.value))
            got.append((element["column"], element["value"]))
        await RisingEdge(dut.clk)
    dut.read.value = 0
    assert got == list(row.elements.items()), row.row


def window(p, half, serial):
    """Rows that share all contexts, and their lines in turn."""
    rows, context = [], 0
    while context < p.contexts:
        regions = random.choice([r for r in range(p.contexts.bit_length())
                                 if context % (1 << r) == 0 and context + (1 << r) <= p.contexts])  # fmt: skip
        rows.append(Row(p, context, regions, half, serial + len(rows)))
        context += 1 << regions
    lines, queues = [], [list(row.lines) for row in rows]
    while queues := [queue for queue in queues if queue]:
        lines.append(random.choice(queues).pop(0))
    return rows, lines


@cocotb.test()
async def windows(dut):
    p, watch, stall = await begin(dut)
    source = StreamSource(dut, "lines", stall=stall)
    before, serial = [], 1
    for turn in range(14):
        rows, lines = window(p, turn % 2, serial)
        serial += len(rows)
        watch.ended.clear()
        sending = cocotb.start_soon(
            watchdog(source.send([packed(bank_line_layout(p), line) for line in lines]), 20_000))
        for row in before:
            await watchdog(read_row(dut, row), 1000)
        await sending
        await watchdog(watch.until(len(rows)), 5000)
        assert sorted(index for index, _ in watch.ended) == sorted(row.index for row in rows)
        before = rows
    for row in before:
        await watchdog(read_row(dut, row), 1000)
    assert watch.strobes["overflow"] == 0
    assert watch.strobes["probing"]
    assert watch.strobes["yielding"]


@cocotb.test()
async def full_speed(dut):
    """Lines that never want the same element soon: a product a cycle."""
    p, watch, _ = await begin(dut)
    rows = [Row(p, context, 0, 0, 1 + context) for context in range(p.contexts)]
    for row in rows:
        row.lines.clear()
        row.elements.clear()
        row.slots = {column * 1000: column for column in range(p.region)}
    for turn in range(30):
        for row in rows:
            columns = sorted(row.slots)
            row.line([columns[(turn * p.lanes + lane) % p.region] for lane in range(p.lanes)])
    for row in rows:
        row.lines[-1]["last"] = 1
    lines = [line for turn in zip(*(row.lines for row in rows), strict=True) for line in turn]
    cycles = watch.cycles
    source = StreamSource(dut, "lines", stall=0)
    await watchdog(source.send([packed(bank_line_layout(p), line) for line in lines]), 20_000)
    for _ in range(p.bank_fifo * p.lanes + 40):
        await RisingEdge(dut.clk)
    products = len(lines) * p.lanes
    index, last = watch.ended[-1]
    end = Bank.LATENCY + Bank.READ_LATENCY + adder(p).LATENCY + 1
    assert last - cycles == products + end, (last - cycles, products, end)
    assert index == rows[-1].index
    assert not any(watch.strobes.values())
    for row in rows:
        await read_row(dut, row)


@cocotb.test()
async def room(dut):
    """A sender that looks at `room` alone, MARGIN - 1 cycles late, never meets a full bank, nor lets it starve."""
    p, watch, _ = await begin(dut)
    row = {"context": 0, "regions": 0, "half": 0, "serial": 1}
    line = {"row": row, "last": 0, "mask": 3, "products": [{"column": lane, "value": 0, "slot": lane}
                                                           for lane in range(p.lanes)]}  # fmt: skip
    dut.lines__payload.value = packed(bank_line_layout(p), line)
    rooms, sent, low = [0] * (Bank.MARGIN - 1), 0, 0
    for cycle in range(1200):
        dut.read.value = int(cycle >= 1000)  # then nothing moves on
        dut.lines__valid.value = rooms[-1]
        await FallingEdge(dut.clk)
        assert dut.lines__ready.value == 1 or not rooms[-1]
        if cycle < 1000:
            sent += rooms[-1]
            low += dut.room.value == 0
        rooms = [int(dut.room.value), *rooms[:-1]]
        await RisingEdge(dut.clk)
    dut.lines__valid.value, dut.read.value = 0, 0
    assert low > 200
    busy = 2 * sent + watch.strobes["waiting"]
    assert busy > 900, (sent, watch.strobes)
