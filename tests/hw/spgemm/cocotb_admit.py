"""Rows that walk in a ring of contexts: which half of the values they get, in which order they leave, and sweeps."""

import random
from collections import deque

import cocotb
from cocotb.triggers import FallingEdge, RisingEdge

from hw.spgemm.admit import Admit
from hw.spgemm.layouts import SERIAL_BITS, arrival_layout, line_layout, order_layout, row_layout
from tests.hw.harness import StreamSink, StreamSource, parameters, start, watchdog
from tests.hw.packing import packed, unpacked
from tests.hw.spgemm.bench import shape_params

ROWS = 200
MOST_SERIAL = (1 << SERIAL_BITS) - 1


def rows_before_the_wrap():
    return MOST_SERIAL + 1 - parameters()["first_serial"]


def serial_of(row):
    return (parameters()["first_serial"] + row - 1) % MOST_SERIAL + 1


def arrivals(p, rng):
    """[(row number, use, data)]: rows of 1 to 9 lines, which begin in order, some at once, in a ring of contexts;
    chunks' ids. No row begins behind the last serial while others walk."""
    walking, base, held, uses, ids, number, wrap = {}, 0, set(), [], [], 0, rows_before_the_wrap()
    while number < ROWS or walking:
        if number < ROWS and rng.random() < 0.5 and not (number == wrap and walking):
            size = rng.choice([0, 0, 0, rng.randrange(p.contexts.bit_length())])
            first = (base + (1 << size) - 1 >> size << size) % p.contexts
            group = set(range(first, first + (1 << size)))
            passed = group if first == base else set(range(p.contexts))
            if not passed & held:
                opens = int(number == 0 or rng.random() < 0.2)
                ids += [rng.getrandbits(16)] * opens
                walking[number] = {"context": first, "regions": size, "opens": opens, "left": rng.randrange(1, 10),
                                   "group": group, "first": 1}
                held |= group
                base, number = (first + (1 << size)) % p.contexts, number + 1
        if walking:
            row = next((row for row in walking if walking[row]["first"]), rng.choice(list(walking)))
            state = walking[row]
            state["left"] -= 1
            use = {name: state[name] for name in ("context", "regions", "opens", "first")}
            use |= {"last": int(not state["left"]), "mask": rng.randrange(1 << p.lanes),
                    "value": rng.getrandbits(p.value_bits)}
            state["first"] = 0
            if not state["left"]:
                held -= walking.pop(row)["group"]
            uses.append((row, use, [{"column": rng.getrandbits(32), "value": rng.getrandbits(p.value_bits)}] * p.lanes))
    return uses, ids


class Player:
    """Ends rows some time after their last line, lets them leave in order."""

    def __init__(self, dut, p, stall, delay):
        self.dut, self.p, self.stall, self.delay, self.rng = dut, p, stall, delay, random.Random(f"{stall}-{delay}")
        self.uses, self.ids = arrivals(p, self.rng)
        self.leaving, self.ended, self.rows, self.now = deque(), {}, [], 0
        self.sweeps = []

    async def play(self):
        dut = self.dut
        await start(dut, inputs=dict.fromkeys(("arrivals__valid", "begun__valid", "lines__ready", "order__ready",
                                               "release", "released"), 0))
        values = [packed(arrival_layout(self.p), {"use": use, "data": data}) for _, use, data in self.uses]
        tasks = [cocotb.start_soon(StreamSource(dut, "arrivals", seed=1, stall=self.stall).send(values)),
                 cocotb.start_soon(StreamSource(dut, "begun", seed=2, stall=self.stall).send(self.ids)),
                 cocotb.start_soon(self.take_order()), cocotb.start_soon(self.take_lines())]
        writing = cocotb.start_soon(self.write_back())
        try:
            for task in tasks:
                await task
        finally:
            writing.cancel()

    async def take_order(self):
        sink, ids = StreamSink(self.dut, "order", seed=3, stall=self.stall), deque(self.ids)
        opening = [use["opens"] for _, use, _ in self.uses if use["first"]]
        for number in range(ROWS):
            if opening[number]:
                view = order_layout(self.p).from_bits((await sink.receive(1))[0])
                assert (int(view.chunk), int(view.id)) == (1, ids.popleft())
            view = order_layout(self.p).from_bits((await sink.receive(1))[0])
            row = {name: int(view.row[name]) for name, _ in row_layout(self.p)}
            assert not int(view.chunk)
            assert row["serial"] == serial_of(number)
            group = set(range(row["context"], row["context"] + (1 << row["regions"])))
            for other in self.leaving:
                shared = group & set(range(other["context"], other["context"] + (1 << other["regions"])))
                assert not shared or other["half"] != row["half"], f"{row} gets the values of {other}"
            self.rows.append(row)
            self.leaving.append(row)

    async def take_lines(self):
        sink, number = StreamSink(self.dut, "lines", seed=4, stall=self.stall), {}
        for row, use, data in self.uses:
            bits = (await sink.receive(1))[0]
            number.setdefault(row, serial_of(row))
            expected = {name: use[name] for name in ("last", "mask", "value")} | {"data": data}
            found = unpacked(row_layout(self.p), unpacked(line_layout(self.p), bits)["row"])
            assert (found["context"], found["regions"]) == (use["context"], use["regions"])
            assert found["serial"] == number[row]
            assert bits == packed(line_layout(self.p), expected | {"row": found})
            if use["last"]:
                self.ended[row] = self.now + self.rng.randrange(self.delay + 1)
            assert row >= len(self.rows) or self.rows[row] == found, "the order has another row than its lines"

    async def write_back(self):
        dut, swept, left = self.dut, 0, 0
        while True:
            head = self.leaving[0] if self.leaving else None
            leaves = head is not None and self.ended.get(left, self.now + 1) <= self.now
            dut.release.value = int(leaves)
            if leaves:
                dut.released.value = packed(row_layout(self.p), head)
            await FallingEdge(dut.clk)
            if int(dut.sweep.value):
                assert not self.leaving, "sweeps while rows have values"
                assert int(dut.sweep_address.value) == swept
                swept = (swept + 1) % self.p.slots
                self.sweeps += [len(self.rows)] * (swept == 0)
            await RisingEdge(dut.clk)
            self.now += 1
            if leaves:
                self.leaving.popleft()
                left += 1


@cocotb.test()
@cocotb.parametrize(delay=[0, 20, 100])
async def rows(dut, delay):
    p, stall = shape_params()
    player = Player(dut, p, stall, delay)
    await watchdog(player.play(), 200_000)
    assert player.sweeps == [0, rows_before_the_wrap()]
    assert len(player.rows) == ROWS


@cocotb.test()
async def a_line_a_cycle(dut):
    """Of short rows, whose values leave long before the ring comes round twice."""
    p, _ = shape_params()
    await start(dut, inputs={"arrivals__valid": 0, "begun__valid": 0, "lines__ready": 1, "order__ready": 1,
                             "release": 0, "released": 0})
    for _ in range(p.slots + 4):
        await RisingEdge(dut.clk)
    uses = [{"context": row % p.contexts, "regions": 0, "opens": 0, "first": int(line == 0),
             "last": int(line == 3), "mask": 1, "value": 0} for row in range(20) for line in range(4)]
    data = [{"column": 0, "value": 0}] * p.lanes
    values = [packed(arrival_layout(p), {"use": use, "data": data}) for use in uses]
    cocotb.start_soon(StreamSource(dut, "arrivals").send(values))
    seen, leaving, offered = [], deque(), None
    for cycle in range(len(uses) + 5):
        leaves = bool(leaving) and leaving[0][0] <= cycle
        dut.release.value = int(leaves)
        if leaves:
            dut.released.value = leaving.popleft()[1]
        await FallingEdge(dut.clk)
        seen.append(int(dut.lines__valid.value))
        offered = cycle if offered is None and int(dut.arrivals__valid.value) else offered
        if int(dut.order__valid.value):
            leaving.append((cycle + 8, order_layout(p).from_bits(int(dut.order__payload.value)).row.as_bits()))
        await RisingEdge(dut.clk)
    assert sum(seen) == len(uses)
    assert seen.index(1) - offered == Admit.LATENCY
    assert "0" not in "".join(map(str, seen)).strip("0"), "a gap between lines"
