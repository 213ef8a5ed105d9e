"""Write-back of rows that the test's banks hold, in the order of `hash_order`: elements, lengths, releases."""

import functools
import random

import cocotb
import numpy as np
from cocotb.triggers import FallingEdge, RisingEdge

from golden.spgemm.order import bank_of, hash_order
from golden.spgemm.product import Elements
from hw.spgemm.concentrator import Concentrator
from hw.spgemm.layouts import order_layout, row_layout
from hw.spgemm.row_fetch import RowFetch
from hw.spgemm.values import Values
from hw.spgemm.write_back import WriteBack
from tests.hw.harness import start, watchdog
from tests.hw.packing import packed, unpacked
from tests.hw.spgemm.bench import shape_params, word_type
from tests.hw.spgemm.ports import element_bits

INPUTS = {"order__valid": 0, "order__payload": 0, "ended": 0, "counts": 0, "read_data": 0, "read_live": 0, "leaving": 1,
          "scan": 0, "elements__room": 0, "numbers__room": 0, "flush": 0}  # fmt: skip


@functools.cache
def columns_by_bank(banks, bits):
    """Many columns that hash to each bank."""
    columns = np.random.default_rng(1).integers(0, 1 << bits, 1 << 18)
    bank = bank_of(columns, banks)
    return [columns[bank == number].tolist() for number in range(banks)]


class Row:
    """`counts` elements of each bank, whose columns hash there; `bits`: them, in the order in which they leave.
    `banks`: what lies in a bank's places, one behind the other, or with `scan` anywhere, with None between them.
    """

    def __init__(self, p, counts, regions, place=None, scan=False):
        self.p, self.regions, self.place = p, regions, place
        size = p.region << regions
        banks = [bank for bank in range(p.banks) for _ in range(counts[bank])]
        random.shuffle(banks)
        columns = np.array([self.column(bank) for bank in banks], np.int64)
        values = np.array([random.getrandbits(p.value_bits) for _ in banks], word_type(p))
        assert bank_of(columns, p.banks).tolist() == banks
        order = hash_order(Elements(np.zeros(len(banks), np.int64), columns, values, np.arange(len(banks)),
                                    np.ones(len(banks), np.int64), len(banks)), p.banks)  # fmt: skip
        bits = [int(value) << p.column_bits | int(column) for column, value in zip(columns, values, strict=True)]
        self.bits = [bits[number] for number in order]
        self.banks = [[b for b, of in zip(bits, banks, strict=True) if of == bank] for bank in range(p.banks)]
        if scan:
            self.banks = [random.sample(bank + [None] * (size - len(bank)), size) for bank in self.banks]
            self.bits = [bits for place in zip(*self.banks, strict=True) for bits in place if bits is not None]
        self.counts = [sum(bits is not None for bits in bank) for bank in self.banks]

    def column(self, bank):
        return random.choice(columns_by_bank(self.p.banks, self.p.column_bits)[bank])

    @property
    def index(self):
        return self.place[0] * self.p.contexts + self.place[1]

    @property
    def base(self):
        return self.place[0] * self.p.slots + self.place[1] * self.p.region

    def cells(self):
        return {(self.place[0], self.place[1] + i) for i in range(1 << self.regions)}


class Banks:
    """Answers reads, says which rows have ended, and takes them away when they are released."""

    def __init__(self, dut, p, lasting=False, scan=False):
        self.dut, self.p, self.lasting = dut, p, lasting
        self.rows, self.ended, self.taken = {}, {}, []  # by index: rows, cycle of their end
        self.cycle = self.reads = self.under_way = 0
        self.starved = self.idle = 0
        self.pipe = [(0, 0)] * (Values.READ_LATENCY - 1)
        self.due = [0] * WriteBack.LATENCY  # elements that leave in the cycles to come, last one first
        self.elements = self.leaving = 0
        dut.scan.value = int(scan)
        cocotb.start_soon(self.run())

    async def run(self):
        dut, p = self.dut, self.p
        while True:
            ended = {index for index, cycle in self.ended.items() if cycle <= self.cycle}
            dut.ended.value = sum(1 << index for index in ended)
            await FallingEdge(dut.clk)
            index, counts = int(dut.count_index.value), random.getrandbits(len(dut.counts))
            if index in ended:
                width = p.slots.bit_length()
                counts = sum(count << width * i for i, count in enumerate(self.rows[index].counts))
            self.pipe.insert(0, self.read(ended))
            if int(dut.flush.value):
                self.leave(-self.leaving % p.lanes, Concentrator.LATENCY)
            assert int(dut.elements__mask.value).bit_count() == self.due.pop()
            self.starved += int(dut.starved.value)
            self.idle = int(dut.idle.value)
            self.elements += int(dut.sent.value).bit_count()
            assert not self.idle or not self.under_way
            if dut.release.value == 1:
                self.release(unpacked(row_layout(p), int(dut.released.value)))
            if int(dut.order__valid.value) and int(dut.order__ready.value):
                self.under_way += not unpacked(order_layout(p), int(dut.order__payload.value))["chunk"]
            await RisingEdge(dut.clk)
            self.cycle += 1
            dut.counts.value = counts
            dut.read_data.value, dut.read_live.value = self.pipe.pop()

    def read(self, ended):
        """Data and which of it lives: anything where it does not matter."""
        mask, address = int(self.dut.read.value), int(self.dut.read_address.value)
        bits = element_bits(self.p)
        data, live = random.getrandbits(bits * self.p.banks), random.getrandbits(self.p.banks)
        leaving = 0
        if mask:
            self.reads += 1
            row = next(row for index, row in self.rows.items()
                       if index in ended and 0 <= address - row.base < self.p.region << row.regions)  # fmt: skip
            groups = {bank // self.p.lanes for bank in range(self.p.banks) if mask >> bank & 1}
            assert len(groups) == 1
            for bank in range(self.p.banks):
                if mask >> bank & 1:
                    element = row.banks[bank][address - row.base]
                    if element is None:
                        live &= ~(1 << bank)
                        continue
                    live |= int(self.dut.scan.value) << bank
                    leaving += 1
                    data = data & ~((1 << bits) - 1 << bits * bank) | element << bits * bank
        self.due.insert(0, 0)
        self.leave(leaving, WriteBack.LATENCY)
        return data, live

    def leave(self, elements, latency):
        self.due[WriteBack.LATENCY - latency] += elements
        self.leaving += elements

    def release(self, released):
        index = released["half"] * self.p.contexts + released["context"]
        assert self.rows[index].regions == released["regions"]
        self.under_way -= 1
        if not self.lasting:
            del self.rows[index], self.ended[index]

    async def send(self, items, delay, stall):
        """Rows and numbers of chunks into `order`; a row waits for a place if it has none."""
        dut, p = self.dut, self.p
        for item in items:
            while stall and random.random() < stall:
                await RisingEdge(dut.clk)
            if isinstance(item, Row):
                while not self.put(item, delay):
                    await RisingEdge(dut.clk)
                row = {"context": item.place[1], "half": item.place[0], "regions": item.regions, "serial": 1}
                value = {"chunk": 0, "id": random.getrandbits(16), "row": row}
            else:
                value = {"chunk": 1, "id": item, "row": {"context": 0, "half": 0, "regions": 0, "serial": 0}}
            dut.order__payload.value, dut.order__valid.value = packed(order_layout(p), value), 1
            while True:
                await FallingEdge(dut.clk)
                taken = dut.order__ready.value == 1
                await RisingEdge(dut.clk)
                if taken:
                    break
            dut.order__valid.value = 0

    def put(self, row, delay):
        if self.lasting:
            return True
        used = set().union(*(other.cells() for other in self.rows.values()))
        contexts = range(0, self.p.contexts, 1 << row.regions)
        places = [(half, context) for half in (0, 1) for context in contexts]
        random.shuffle(places)
        for place in places:
            row.place = place
            if not row.cells() & used:
                self.rows[row.index], self.ended[row.index] = row, self.cycle + random.randrange(delay + 1)
                return True
        return False


class Sink:
    """What leaves, with room at random: elements of a cycle in the lanes behind those before; no more without room than
    may be under way."""

    def __init__(self, dut, banks, stall):
        self.dut, self.banks, self.stall, self.lanes = dut, banks, stall, banks.p.lanes
        self.elements, self.numbers = [], []
        self.without_room = {"elements": 0, "numbers": 0}
        self.random = random.Random(stall)
        self.fetch_latency = RowFetch(banks.p).LATENCY
        self.task = cocotb.start_soon(self.run())

    async def run(self):
        dut = self.dut
        while True:
            for name in self.without_room:
                room = self.random.random() >= self.stall
                getattr(dut, f"{name}__room").value = int(room)
                self.without_room[name] = 0 if room else self.without_room[name]
            await FallingEdge(dut.clk)
            self.take(int(dut.elements__mask.value), int(dut.elements__data.value))
            if int(dut.numbers__valid.value):
                self.numbers.append(int(dut.numbers__number.value))
                self.without_room["numbers"] += 1
            assert self.without_room["elements"] <= WriteBack.UNDER_WAY
            assert self.without_room["numbers"] <= self.fetch_latency
            await RisingEdge(dut.clk)

    def take(self, mask, data):
        lanes = [(len(self.elements) + i) % self.lanes for i in range(mask.bit_count())]
        assert mask == sum(1 << lane for lane in lanes)
        bits = element_bits(self.banks.p)
        self.elements += [data >> bits * lane & (1 << bits) - 1 for lane in lanes]
        self.without_room["elements"] += bool(mask)

    async def until(self, elements, numbers):
        """All of these have come."""
        while len(self.elements) < len(elements) or len(self.numbers) < len(numbers):
            await RisingEdge(self.dut.clk)
        assert self.elements == elements
        assert self.numbers == numbers


async def play(dut, banks, items, *, delay=0, stall=0.0, feed=0.0):
    """Items through the unit, then a flush; cycles until the last element and number."""
    p = banks.p
    elements = [bits for item in items if isinstance(item, Row) for bits in item.bits]
    numbers = [len(item.bits) if isinstance(item, Row) else item for item in items]
    sink, begin = Sink(dut, banks, stall), banks.cycle

    async def run():
        await banks.send(items, delay, feed)
        await sink.until(elements, numbers)
        cycles = banks.cycle - begin
        while not banks.idle:
            await RisingEdge(dut.clk)
        dut.flush.value = 1
        await RisingEdge(dut.clk)
        dut.flush.value = 0
        await FallingEdge(dut.clk)
        assert not int(dut.idle.value)
        while not int(dut.idle.value):
            await FallingEdge(dut.clk)
        return cycles

    cycles = await watchdog(run(), 100 * len(items) + 40 * len(elements) + 1000)
    for _ in range(20):
        await RisingEdge(dut.clk)
    assert sink.elements == elements + [0] * (-len(elements) % p.lanes)
    assert sink.numbers == numbers
    assert banks.idle
    assert not banks.under_way
    sink.task.cancel()
    return cycles


def spread(p, total, banks, most):
    """Counts of `total` elements in some banks, or of as many as fit."""
    counts = [0] * p.banks
    for _ in range(min(total, most * len(banks))):
        counts[random.choice([bank for bank in banks if counts[bank] < most])] += 1
    return counts


def some_rows(p, number, scan=False):
    for _ in range(number):
        around = p.lanes * random.choice([0, 0, 1, 1, 2, 3, 6]) + random.choice([-1, 0, 1])
        banks = random.sample(range(p.banks), random.choice([1, 2, p.lanes, p.banks, p.banks]))
        regions = random.choice([0, 0, 0, *range(p.contexts.bit_length())])
        size = p.region << regions
        if random.random() < 0.1:
            around = size * random.randrange(1, 3)
        yield Row(p, spread(p, max(0, around), banks, size), regions, scan=scan)


async def begin(dut, **options):
    p, stall = shape_params()
    random.seed(13)
    await start(dut, inputs=INPUTS)
    return p, Banks(dut, p, **options), stall


@cocotb.test()
async def rows_and_marks(dut):
    p, banks, stall = await begin(dut)
    for delay, feed in ((0, 0), (30, 0), (5, 0.5)):
        items = []
        for row in some_rows(p, 150):
            items += [random.getrandbits(16)] * random.choice([0, 0, 0, 1, 2]) + [row]
        await play(dut, banks, items, delay=delay, stall=stall, feed=feed)
    assert banks.starved


@cocotb.test()
async def scanned_rows(dut):
    """All places of a row are read, and what lives there leaves; a row without elements takes as long as a full one."""
    p, banks, stall = await begin(dut, scan=True)
    for delay, feed in ((0, 0), (30, 0.3)):
        rows = list(some_rows(p, 60, scan=True))
        items = [item for row in rows for item in (random.getrandbits(16), row)]
        before, reads = banks.elements, banks.reads
        await play(dut, banks, items, delay=delay, stall=stall, feed=feed)
        assert banks.elements - before == sum(len(row.bits) for row in rows)
        assert banks.reads - reads == sum(p.region << row.regions for row in rows) * p.banks // p.lanes


@cocotb.test()
async def rows_leave_when_they_may(dut):
    """Not before, though they have ended; numbers of chunks do."""
    p, banks, stall = await begin(dut)
    dut.leaving.value = 0
    items = [3, *some_rows(p, 10)]
    playing = cocotb.start_soon(play(dut, banks, items, stall=stall))
    for _ in range(200):
        await FallingEdge(dut.clk)
        assert not dut.read.value
        assert not dut.release.value
        await RisingEdge(dut.clk)
    assert int(dut.starved.value)
    dut.leaving.value = 1
    await playing


@cocotb.test()
async def full_rows(dut):
    """As many elements as all slots hold; nothing but marks; nothing but empty rows."""
    p, banks, stall = await begin(dut)
    full = [Row(p, [p.slots] * p.banks, p.contexts.bit_length() - 1) for _ in range(2)]
    await play(dut, banks, [full[0], 7, full[1]], stall=stall)
    await play(dut, banks, list(range(100)), stall=stall)
    await play(dut, banks, [Row(p, [0] * p.banks, 0) for _ in range(50)], stall=stall)
    await play(dut, banks, [], stall=stall)


async def stays(dut, p, banks, counts, number):
    """Rows in all places, `number` times all of them; cycles."""
    rows = [Row(p, counts(), 0, (half, context)) for half in (0, 1) for context in range(p.contexts)]
    for row in rows:
        banks.rows[row.index], banks.ended[row.index] = row, 0
    return await play(dut, banks, rows * number), number * rows


@cocotb.test()
async def full_speed(dut):
    """A group a cycle, and rows of one group a row a cycle."""
    p, banks, _ = await begin(dut, lasting=True)
    groups = p.banks // p.lanes
    for counts, cycles_a_row in [
        (lambda: [1] * p.lanes + [0] * (p.banks - p.lanes), 1),
        (lambda: [1] * p.banks, groups),
        (lambda: [3] * p.banks, 3 * groups),
        (lambda: [0, 4] + [0] * (p.banks - 2), 4),
        (lambda: [2] * p.lanes + [1] * (p.banks - p.lanes), groups + 1),
        (lambda: spread(p, 1, range(p.banks), 1), 1),
    ]:
        cycles, rows = await stays(dut, p, banks, counts, 20)
        least = cycles_a_row * len(rows)
        dut._log.info("%d rows, %d groups: %d cycles", len(rows), least, cycles)
        assert cycles <= least + 24


@cocotb.test()
async def outputs_stand_still(dut):
    """Nothing is lost while neither stream is taken for long, in turn."""
    p, banks, _ = await begin(dut)
    for seed in range(3):
        random.seed(seed)
        items = [item for row in some_rows(p, 40) for item in (row, 5, 6)]
        await play(dut, banks, items, stall=0.97 if seed else 0.9)
    await play(dut, banks, [random.getrandbits(16) for _ in range(300)], stall=0.98)
