"""Values against sums made one by one, bit for bit; rows are read as soon as they have ended."""

import random

import cocotb
import numpy as np
from cocotb.triggers import FallingEdge, RisingEdge

from hw.spgemm.arithmetic import adder
from hw.spgemm.layouts import held_layout, update_layout
from hw.spgemm.values import Values
from tests.hw.harness import StreamSource, start, watchdog
from tests.hw.packing import packed, unpacked
from tests.hw.spgemm.bench import add_bits, random_value, shape_params

INPUTS = {"updates__valid": 0, "updates__payload": 0, "read": 0, "read_address": 0, "count_index": 0, "scan": 0,
          "sweep": 0, "sweep_address": 0}  # fmt: skip


class Model:
    """`elements`: address to [column, value] when all updates are done. `counts`: of the rows that have ended."""

    def __init__(self, params):
        self.p = params
        self.elements, self.counts = {}, {}

    def update(self, update):
        if update["some"] and update["first"]:
            self.elements[update["address"]] = [update["column"], add_bits(self.p, 0, update["value"])]
        elif update["some"]:
            old = self.elements[update["address"]]
            assert old[0] == update["column"]
            old[1] = add_bits(self.p, old[1], update["value"])
        if update["end"]:
            self.counts[self.row(update)] = update["count"]

    def row(self, update):
        return update["half"] * self.p.contexts + update["context"]

    def addresses(self, row):
        half, context = divmod(row, self.p.contexts)
        base = half * self.p.slots + context * self.p.region
        return range(base, base + self.counts[row])


class Rows:
    """Updates of rows one region large. `known`: (half, context) to columns."""

    def __init__(self, params):
        self.p = params
        self.known = {}

    def product(self, half, context, place, end=0):
        """Of element `place` of the row, which is a new one or one that it has."""
        columns = self.known.setdefault((half, context), [])
        first = place == len(columns)
        if first:
            columns.append(random.getrandbits(self.p.column_bits))
        return {"some": 1, "end": end, "first": int(first), "half": half, "context": context,
                "address": half * self.p.slots + context * self.p.region + place, "column": columns[place],
                "value": random_value(self.p, random), "count": len(columns)}  # fmt: skip

    def end(self, half, context):
        columns = self.known.pop((half, context), [])
        return {"some": 0, "end": 1, "first": random.randrange(2), "half": half, "context": context,
                "address": random.randrange(2 * self.p.slots), "column": 1, "value": 1,
                "count": len(columns)}  # fmt: skip


class Reader:
    """Watches; reads at random: what comes counts from the very cycle that says that the row has ended."""

    def __init__(self, dut, model, often):
        self.dut, self.model, self.often = dut, model, often
        self.ended, self.ending = [], []  # rows that have, and that will, in order
        self.strobes = {"waiting": 0, "yielding": 0}
        self.cycles = self.reads = self.at_once = 0
        cocotb.start_soon(self.run())

    def draw(self):
        """(row, address) to read, or None."""
        row = self.ending[0] if self.ending and random.random() < 0.5 else random.choice([*self.model.counts])
        addresses = self.model.addresses(row)
        if random.random() >= self.often or not addresses:
            return row, None
        return row, random.choice([addresses[-1], random.choice(addresses)])

    async def run(self):
        dut, wanted, asked = self.dut, [None] * (Values.READ_LATENCY + 1), None
        while True:
            row, address = self.draw() if self.model.counts else (None, None)
            dut.read.value = int(address is not None)
            dut.read_address.value = random.randrange(2 * self.model.p.slots) if address is None else address
            dut.count_index.value = row or 0
            await FallingEdge(dut.clk)
            self.cycles += 1
            for name in self.strobes:
                self.strobes[name] += int(getattr(dut, name).value)
            if dut.ended.value == 1:
                self.ended.append(self.ending.pop(0))
                self.at_once += row == self.ended[-1] and address is not None
            if asked is not None:
                assert int(dut.count.value) == asked
            has_ended = row in self.ended
            asked = self.model.counts[row] if has_ended else None
            element = None if address is None or not has_ended else (address, *self.model.elements[address])
            wanted = [element, *wanted[:-1]]
            if wanted[-1] is not None:
                got = unpacked(held_layout(self.model.p), int(dut.read_data.value))
                assert (got["column"], got["value"]) == wanted[-1][1:], (wanted[-1], got)
                self.reads += 1
            await RisingEdge(dut.clk)


async def play(dut, updates, model, reader, stall):
    reader.ending += [model.row(update) for update in updates if update["end"]]
    reader.ended = [row for row in reader.ended if row not in {model.row(update) for update in updates}]
    for update in updates:
        model.update(update)
    layout = update_layout(model.p)
    source = StreamSource(dut, "updates", seed=len(updates), stall=stall)
    cycles, strobes = reader.cycles, dict(reader.strobes)
    await watchdog(source.send([packed(layout, u) for u in updates]), 100 * len(updates) + 1000)
    cycles = reader.cycles - cycles
    for _ in range(40):
        await RisingEdge(dut.clk)
    return cycles, {name: reader.strobes[name] - strobes[name] for name in strobes}


def waits(updates, latency):
    """Cycles in which updates wait that come one a cycle: a sum is there `latency` cycles behind its update."""
    issued, cycle = {}, 0
    for update in updates:
        cycle += 1
        if update["some"]:
            cycle = issued[update["address"]] = max(cycle, issued.get(update["address"], -latency) + latency)
    return cycle - len(updates)


async def begin(dut, often):
    p, stall = shape_params()
    random.seed(3)
    np.seterr(all="ignore")
    await start(dut, inputs=INPUTS)
    model = Model(p)
    return p, model, Rows(p), Reader(dut, model, often), stall


@cocotb.test()
async def distances(dut):
    """The same element 1 .. 12 cycles apart, several times, others between; nearer ones wait as long as they must."""
    p, model, rows, reader, stall = await begin(dut, 0)
    others = [(half, context, place) for half in (0, 1) for context in range(2) for place in range(p.region)]
    updates = [rows.product(*other) for other in others]
    for distance in range(1, 13):
        at = random.choice(others)
        between = [other for other in others if other != at][: distance - 1]
        for _ in range(6):
            updates += [rows.product(*at)] + [rows.product(*other) for other in between]
        updates += [rows.product(*other) for other in others if other != at and other not in between][:12]
    updates += [rows.end(half, context) for half in (0, 1) for context in range(2)]
    cycles, strobes = await play(dut, updates, model, reader, stall)
    assert strobes["yielding"] == 0
    if not stall:
        expected = waits(updates, adder(p).LATENCY)
        assert strobes["waiting"] == expected
        assert (expected > 100) == (p.numbers != "int32")
        assert cycles <= len(updates) + expected + 3
    reader.often = 0.9
    for _ in range(40 * p.region):
        await RisingEdge(dut.clk)
    assert reader.reads > 10 * p.region
    assert sorted(reader.ended) == [0, 1, p.contexts, p.contexts + 1]


@cocotb.test()
async def right_after_first(dut):
    """Second, third .. products right after the first one, -0 among them; rows of one element, read at once."""
    p, model, rows, reader, stall = await begin(dut, 0.3)
    for half in (0, 1, 0, 1):
        updates = []
        for context in range(p.contexts):
            for place in range(random.randrange(1, p.region)):
                for distance in range(random.randrange(4)):
                    updates.append(rows.product(half, context, place))
                    updates += [rows.product(half, context, 0)] * (distance == 2 and place > 0)
                if not rows.known.get((half, context)) or place >= len(rows.known[half, context]):
                    updates.append(rows.product(half, context, place))
            if random.random() < 0.5:
                updates[-1]["end"] = 1
                rows.known.pop((half, context))
            else:
                updates.append(rows.end(half, context))
        await play(dut, updates, model, reader, stall)
        assert sorted(r for r in reader.ended if r // p.contexts == half) == [
            half * p.contexts + context for context in range(p.contexts)]  # fmt: skip
    assert reader.reads


@cocotb.test()
async def random_rows(dut):
    """All contexts of a half at random, few elements or many, while the other half is read."""
    p, model, rows, reader, stall = await begin(dut, 0.4)
    for turn in range(10):
        half = turn % 2
        span = random.choice([1, 2, 5, p.region])
        updates = []
        for _ in range(300):
            context = random.randrange(p.contexts) if turn % 3 else random.choice([0, 1])
            known = len(rows.known.get((half, context), []))
            updates.append(rows.product(half, context, random.randrange(min(span, known + 1))))
        for context in random.sample(range(p.contexts), p.contexts):
            if random.random() < 0.5:
                updates.append(rows.product(half, context, 0, end=1))
                rows.known.pop((half, context))
            else:
                updates.append(rows.end(half, context))
        await play(dut, updates, model, reader, stall)
    assert reader.reads > 100
    assert reader.at_once > 3
    assert reader.strobes["yielding"]


async def swept(dut, p):
    dut.sweep.value = 1
    for address in range(p.slots):
        dut.sweep_address.value = address
        await RisingEdge(dut.clk)
    dut.sweep.value = 0


async def places_of(dut, p, addresses):
    """[(column, value), or None if nothing lives there], read a cycle each, now and then with a gap."""
    pipe, found = [None] * Values.READ_LATENCY, []
    queue = list(addresses)
    while queue or any(place is not None for place in pipe):
        reads = bool(queue) and random.random() < 0.9
        dut.read.value = int(reads)
        dut.read_address.value = pipe_in = queue.pop(0) if reads else random.randrange(2 * p.slots)
        await FallingEdge(dut.clk)
        if pipe[-1] is not None:
            element = unpacked(held_layout(p), int(dut.read_data.value))
            found.append((element["column"], element["value"]) if int(dut.read_live.value) else None)
        pipe = [pipe_in if reads else None, *pipe[:-1]]
        await RisingEdge(dut.clk)
    dut.read.value = 0
    return found


def scattered(p, rows, context, addresses):
    """Updates of a row whose elements lie at any of `addresses`; each element comes several times."""
    columns = {address: random.getrandbits(p.column_bits) for address in addresses}
    turns, seen, updates = random.choices(addresses, k=2 * len(addresses)) + addresses if addresses else [], set(), []
    for address in random.sample(turns, len(turns)):
        first, _ = address not in seen, seen.add(address)
        updates.append({"some": 1, "end": 0, "first": int(first), "half": address // p.slots, "context": context,
                        "address": address, "column": columns[address], "value": random_value(p, random),
                        "count": len(seen)})  # fmt: skip
    return [*updates, rows.end(0, context) | {"count": len(addresses)}]


@cocotb.test()
async def scanned(dut):
    """Of all places of a row those live that have an element, until they are read; after the sweep none does."""
    p, stall = shape_params()
    random.seed(4)
    np.seterr(all="ignore")
    await start(dut, inputs=INPUTS)
    model, rows = Model(p), Rows(p)
    await swept(dut, p)
    for turn in range(12):
        dense, regions, updates, live = turn % 4 == 2, [], [], set()
        for context in range(p.contexts):
            base = context * p.region
            if dense:  # as many as its elements, one behind the other, in both halves
                regions += [half * p.slots + base + place for half in (0, 1) for place in range(p.region)]
                used = [half * p.slots + base + place for half in (0, 1) for place in range(p.region // 2)]
            else:
                regions += range(base, base + p.region)
                used = random.sample(range(base, base + p.region), random.choice([0, 1, p.region // 2, p.region]))
                live |= set(used)
            updates += scattered(p, rows, context, used)
        for update in updates:
            model.update(update)
        dut.scan.value = int(not dense)
        source = StreamSource(dut, "updates", seed=turn, stall=stall)
        await watchdog(source.send([packed(update_layout(p), u) for u in updates]), 100 * len(updates) + 1000)
        for _ in range(40):
            await RisingEdge(dut.clk)
        if turn == 7:  # as after a run that failed
            await swept(dut, p)
            await RisingEdge(dut.clk)
            live.clear()
        found = await places_of(dut, p, regions)
        if not dense:
            assert found == [tuple(model.elements[at]) if at in live else None for at in regions]
            assert await places_of(dut, p, regions) == [None] * len(regions)


@cocotb.test()
async def full_speed(dut):
    """One update a cycle on distinct elements, and on the same ones as far apart as the adder takes."""
    p, model, rows, reader, stall = await begin(dut, 0)
    updates = []
    for _ in range(4):
        updates += [rows.product(half, context, place)
                    for place in range(p.region) for context in range(p.contexts) for half in (0, 1)]  # fmt: skip
    for _ in range(40):
        updates += [rows.product(1, 1, place % p.region) if place < p.region else rows.product(0, 1, place - p.region)
                    for place in range(adder(p).LATENCY)]  # fmt: skip
    cycles, strobes = await play(dut, updates, model, reader, stall)
    assert strobes["waiting"] == strobes["yielding"] == 0
    if not stall:
        assert cycles <= len(updates) + 1
