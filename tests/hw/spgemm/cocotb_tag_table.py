"""Tag table against a dictionary a row: places in the order of first appearance, products in the order they came."""

import random

import cocotb
from cocotb.triggers import FallingEdge, RisingEdge

from hw.spgemm.layouts import element_layout, update_layout
from tests.hw.harness import StreamSink, StreamSource, start, watchdog
from tests.hw.packing import packed, unpacked
from tests.hw.spgemm.bench import random_row, shape_params

INPUTS = {"elements__valid": 0, "elements__payload": 0, "updates__ready": 0, "scan": 0, "sweep": 0,
          "sweep_address": 0}  # fmt: skip
PROBE_CYCLES = 4


class Table:
    """What the unit should answer. `slots`: (serial, column) of each; `scan`: an element's place is its slot."""

    def __init__(self, params, scan=0):
        self.p, self.scan = params, scan
        self.slots = [None] * params.slots
        self.rows, self.overflows, self.probes = {}, 0, 0

    def update(self, element):
        p, row, product = self.p, element["row"], element["product"]
        places = self.rows.setdefault((row["context"], row["serial"]), {})
        base, size = row["context"] * p.region, p.region << row["regions"]
        some, first = element["some"], 0
        if some:
            slot = self._look(row, product, base, size)
            some, first = slot is not None, slot is not None and product["column"] not in places
            if first:
                places[product["column"]] = slot if self.scan else base + len(places)
        update = {"some": int(some), "end": element["end"], "half": row["half"], "context": row["context"],
                  "count": len(places)}  # fmt: skip
        if some:
            update |= {"first": int(first), "column": product["column"], "value": product["value"],
                       "address": row["half"] * p.slots + places[product["column"]]}  # fmt: skip
        if element["end"]:
            del self.rows[row["context"], row["serial"]]
        return update

    def _look(self, row, product, base, size):
        for probe in range(min(size, self.p.probe_limit)):
            at = base + (product["slot"] + probe) % size
            if self.slots[at] is None or self.slots[at][0] != row["serial"]:
                self.slots[at] = row["serial"], product["column"]
            if self.slots[at] == (row["serial"], product["column"]):
                return at
            self.probes += 1
        self.overflows += 1
        self.probes -= 1  # the last look decides
        return None


def element(row, column, slot, end=0, some=1):
    return {"some": some, "end": end, "row": row, "product": {"column": column, "value": random.getrandbits(32),
                                                              "slot": slot}}  # fmt: skip


def close(elements):
    """The last one ends its row, or a bubble does."""
    if random.random() < 0.5:
        elements[-1]["end"] = 1
    else:
        elements.append(element(elements[-1]["row"], 7, 3, end=1, some=0))
    return elements


async def play(dut, elements, table, stall):
    """Elements through the unit, updates against the table's; what was seen: strobes and cycles."""
    p, before, probes = table.p, table.overflows, table.probes
    want = [table.update(e) for e in elements]
    seen = {"overflow": 0, "probing": 0, "cycles": 0}

    async def watch():
        while True:
            await FallingEdge(dut.clk)
            seen["cycles"] += 1
            for name in ("overflow", "probing"):
                seen[name] += int(getattr(dut, name).value)

    async def run():
        source = StreamSource(dut, "elements", seed=len(elements), stall=stall)
        sink = StreamSink(dut, "updates", seed=len(elements), stall=stall)
        send = cocotb.start_soon(source.send([packed(element_layout(p), e) for e in elements]))
        got = await sink.receive(len(elements))
        await send
        return got
    task = cocotb.start_soon(watch())
    got = await watchdog(run(), 100 * len(elements) + 1000)
    await RisingEdge(dut.clk)
    task.cancel()
    for number, (bits, expected) in enumerate(zip(got, want, strict=True)):
        update = unpacked(update_layout(p), bits)
        assert {name: update[name] for name in expected} == expected, (number, elements[number])
    assert seen["overflow"] == table.overflows - before
    assert seen["probing"] <= PROBE_CYCLES * (table.probes - probes)
    return seen


async def sweep(dut, table):
    dut.sweep.value = 1
    for address in range(table.p.slots):
        dut.sweep_address.value = address
        await RisingEdge(dut.clk)
    dut.sweep.value = 0
    table.slots = [None] * table.p.slots


async def begin(dut, scan=0):
    p, stall = shape_params()
    random.seed(5)
    await start(dut, inputs=INPUTS | {"scan": scan})
    table = Table(p, scan)
    await sweep(dut, table)
    return p, table, stall


def serials():
    yield from range(1, 1 << 16)


@cocotb.test()
async def one_slot(dut):
    """The hardest sequences on one slot: same column, two and more in turn, at all distances, and the next row."""
    p, table, stall = await begin(dut)
    serial = serials()
    elements = []
    for columns in (1, 2, 3, 4, 5, 6):
        for pattern in range(6):
            row = random_row(p, random) | {"serial": next(serial)}
            slot = random.randrange(p.region)
            length = 12 * columns
            order = {0: [i % columns for i in range(length)], 1: [i // 12 for i in range(length)]}.get(
                pattern, [random.randrange(columns) for _ in range(length)])  # fmt: skip
            elements += close([element(row, 1000 * slot + c, slot) for c in order[: random.randrange(1, length + 1)]])
    await play(dut, elements, table, stall)
    assert not table.overflows
    assert table.probes > 100


@cocotb.test()
async def short_rows(dut):
    """Rows of one to three products on the same slots of one context, halves in turn: what was claimed is nobody's."""
    _, table, stall = await begin(dut)
    elements = []
    for serial in range(1, 300):
        row = {"context": 1, "regions": 0, "half": serial % 2, "serial": serial}
        elements += close([element(row, column, column // 2)
                           for column in random.choices(range(3), k=random.randrange(1, 4))])  # fmt: skip
    await play(dut, elements, table, stall)


@cocotb.test()
async def full_speed(dut):
    """Without a collision, one element a cycle: same columns, distinct ones, rows in turn."""
    p, table, stall = await begin(dut)
    elements = []
    for number in range(4):
        rows = [{"context": c, "regions": 0, "half": number % 2, "serial": 1 + number * p.contexts + c}
                for c in range(p.contexts)]  # fmt: skip
        for column in range(p.region):
            for row in rows:
                slot = (column * 3) % p.region
                elements += [element(row, 77 * slot, slot)] * random.choice([1, 1, 2, 5])
        elements += [element(row, 0, 0, end=1, some=0) for row in rows]
    seen = await play(dut, elements, table, stall)
    assert table.probes == table.overflows == seen["probing"] == 0
    if not stall:
        assert seen["cycles"] <= len(elements) + 8, (seen, len(elements))


@cocotb.test()
@cocotb.parametrize(scan=[0, 1])
async def many_rows(dut, scan):
    """Random rows of one, two, .. contexts in turn, contexts reused with new serials, wrap inside the region."""
    p, table, stall = await begin(dut, scan)
    serial, elements = serials(), []
    for _ in range(12):
        rows, context = [], 0
        while context < p.contexts:
            regions = random.choice([r for r in range(p.contexts.bit_length())
                                     if context % (1 << r) == 0 and context + (1 << r) <= p.contexts])  # fmt: skip
            size = p.region << regions
            columns = random.sample(range(1 << p.column_bits), max(1, min(size * random.choice([1, 3, 4]) // 5, 100)))
            rows.append([{"context": context, "regions": regions, "half": random.randrange(2),
                          "serial": next(serial)}, size, columns, random.randrange(1, 3 * len(columns))])  # fmt: skip
            context += 1 << regions
        while rows:
            entry = random.choice(rows)
            row, size, columns, _ = entry
            column = random.choice(columns)
            one = element(row, column, column * 2654435769 % (1 << 32) * size >> 32)
            entry[3] -= 1
            if entry[3] == 0:
                rows.remove(entry)
                elements += close([one])
            else:
                elements.append(one)
    seen = await play(dut, elements, table, stall)
    assert table.probes
    if not stall:
        assert seen["cycles"] <= len(elements) + PROBE_CYCLES * table.probes + 16, (seen, table.probes)


@cocotb.test()
@cocotb.parametrize(scan=[0, 1])
async def overflows(dut, scan):
    """To the probe limit and beyond, wrapping; a full region; what ends a row passes though its product is dropped."""
    p, table, stall = await begin(dut, scan)
    serial, elements = serials(), []
    for regions in range(p.contexts.bit_length()):
        size = p.region << regions
        limit = min(size, p.probe_limit)
        for slots in ([size - 2] * limit, list(range(size))):
            row = random_row(p, random, regions) | {"serial": next(serial)}
            columns = list(range(100, 100 + len(slots)))
            row_elements = [element(row, c, s) for c, s in zip(columns, slots, strict=True)]
            row_elements += [element(row, columns[-1], slots[-1]), element(row, 5, slots[0]),
                             element(row, columns[0], slots[0]), element(row, 6, slots[0]),
                             element(row, columns[1], slots[1])]  # fmt: skip
            if random.random() < 0.5:
                row_elements.append(element(row, 9, slots[0], end=1))
            elements += row_elements if row_elements[-1]["end"] else close(row_elements)
    await play(dut, elements, table, stall)
    assert table.overflows >= 4 * p.contexts.bit_length()


@cocotb.test()
async def sweeps(dut):
    """A serial comes again after a sweep: nothing of the old row is there; nor is a row that had not ended."""
    p, table, stall = await begin(dut)
    for _ in range(3):
        row = {"context": p.contexts - 1, "regions": 0, "half": 0, "serial": 9}
        await play(dut, close([element(row, c, c) for c in (3, 2, 1, 2)]), table, stall)
        await play(dut, [element(row, 5, 2)], table, stall)
        table.rows.clear()
        await RisingEdge(dut.clk)
        await sweep(dut, table)
