"""The rest of a row engine around a RowWalk: feeds it, ends rows and releases them, and checks what comes."""

import random
from collections import defaultdict

import cocotb
from cocotb.triggers import FallingEdge, RisingEdge

from hw.spgemm.layouts import SERIAL_BITS, chunk_layout, entry_layout, order_layout, request_layout, row_layout
from tests.hw.harness import StreamSink, StreamSource, watchdog

__all__ = ["INPUTS", "RowPlayer", "entry", "regions", "rows_of"]

INPUTS = dict.fromkeys(
    ("chunks__valid", "entries__valid", "order__ready", "requests__ready", "ended", "release", "released"), 0
)


def entry(first, count, *, value=0, hint=0, last=0):
    return {"first": first, "count": count, "value": value, "hint": hint, "last": last}


def regions(size):
    return entry(0, 0, value=size)


def rows_of(chunks):
    """[(chunk id, or None; size, entries)]: a chunk's beginning, or a row."""
    for number, entries in chunks:
        yield number, 0, []
        size, row = 0, []
        for e in entries:
            if not e["count"] and not e["last"]:
                size = e["value"]
                continue
            row.append(e)
            if e["last"]:
                yield None, size, row
                row = []


def requests_of(lanes, entries):
    """(line, mask, value, hint, last, dry) of a row."""
    for e in entries:
        end = e["first"] + e["count"]
        for line in range(e["first"] // lanes, max((end - 1) // lanes, e["first"] // lanes) + 1):
            inside = [e["first"] <= line * lanes + lane < end for lane in range(lanes)]
            last = e["last"] and end <= (line + 1) * lanes
            yield (line, sum(bit << lane for lane, bit in enumerate(inside)), e["value"], e["hint"], int(last),
                   int(e["count"] == 0))  # fmt: skip


class RowPlayer:
    """Plays `chunks`, [(id, entries)]. A row ends up to `ends` cycles after its last request, is released up to
    `releases` cycles after that; in the rows' order if `in_order`. `times`: cycles of requests.
    Nothing is taken from requests for `hold` cycles, from the order for `hold_order`.
    `sweeps`: how many rows had begun. `overlaps`: sizes of rows with the same leader, at work at once.
    """

    def __init__(self, dut, params, chunks, *, seed=0, stall=0.0, ends=20, releases=40, in_order=False):
        self.dut, self.p, self.chunks, self.stall = dut, params, chunks, stall
        self.rng, self.ends, self.releases, self.in_order = random.Random(seed), ends, releases, in_order
        self.order, self.requests, self.times = [], defaultdict(list), []
        self.live, self.ready, self.waiting = [], [], {}  # rows of the order; cycles at which rows end, by key
        self.now, self.sweeps, self.overlaps = 0, [], set()
        self.hold, self.hold_order = 0, 0
        self.expected = list(rows_of(chunks))

    async def play(self, max_cycles=100_000):
        lanes = self.p.lanes
        words = []
        for _, entries in self.chunks:
            padded = [entry_layout().const(e).as_value().value for e in entries]
            padded += [self.rng.getrandbits(64) for _ in range(-len(padded) % lanes)]
            words += [sum(w << 64 * i for i, w in enumerate(padded[at : at + lanes]))
                      for at in range(0, len(padded), lanes)]  # fmt: skip
        heads = [chunk_layout().const({"id": n, "word": self.rng.getrandbits(32), "entries": len(e)}).as_value().value
                 for n, e in self.chunks]  # fmt: skip
        tasks = [
            cocotb.start_soon(StreamSource(self.dut, "chunks", seed=1, stall=self.stall).send(heads)),
            cocotb.start_soon(StreamSource(self.dut, "entries", seed=2, stall=self.stall).send(words)),
            cocotb.start_soon(self.take_order()), cocotb.start_soon(self.take_requests()),
        ]  # fmt: skip
        background = cocotb.start_soon(self.engine())

        async def everything():
            for task in tasks:
                await task
            while self.live:
                await RisingEdge(self.dut.clk)
            for _ in range(3):
                await FallingEdge(self.dut.clk)
            assert self.dut.idle.value == 1
            await RisingEdge(self.dut.clk)

        try:
            await watchdog(everything(), max_cycles)
        finally:
            background.cancel()
            for task in tasks:
                task.cancel()
        self.check()

    def group(self, row):
        return set(range(row["context"], row["context"] + (1 << row["regions"])))

    async def take_order(self):
        layout, sink = order_layout(self.p), StreamSink(self.dut, "order", seed=3, stall=self.stall / 2)
        for _ in range(self.hold_order):
            await RisingEdge(self.dut.clk)
        for _ in self.expected:
            view = layout.from_bits((await sink.receive(1))[0])
            row = {name: int(view.row[name]) for name in ("context", "half", "regions", "serial")}
            self.order.append((int(view.chunk), int(view.id), row))
            if view.chunk:
                continue
            for other in self.live:
                if row["context"] == other["context"]:
                    self.overlaps.add((row["regions"], other["regions"]))
                shared = self.group(row) & self.group(other)
                assert not (shared and not other["ended"]), f"{row} begins while {other} has its tags"
                assert not (shared and row["half"] == other["half"]), f"{row} begins while {other} has its values"
            self.live.append(row | {"ended": False, "release_at": None})

    async def take_requests(self):
        layout, sink = request_layout(self.p), StreamSink(self.dut, "requests", seed=4, stall=self.stall)
        total = sum(len(list(requests_of(self.p.lanes, entries))) for _, _, entries in self.expected)
        for _ in range(self.hold):
            await RisingEdge(self.dut.clk)
        for _ in range(total):
            view = layout.from_bits((await sink.receive(1))[0])
            row = {name: int(view.row[name]) for name in ("context", "half", "regions", "serial")}
            fields = {name: int(view[name]) for name in ("line", "mask", "value", "hint", "last", "dry")}
            self.requests[row["serial"]].append((row, tuple(fields.values())))
            self.times.append(self.now)
            if fields["last"]:
                self.waiting[row["serial"]] = self.now + self.rng.randint(0, self.ends)

    async def engine(self):
        """Ends and releases rows; watches the sweeps."""
        dut, ended, swept = self.dut, 0, 0
        while True:
            release = None
            for row in self.live:
                index = row["half"] * self.p.contexts + row["context"]
                if not row["ended"] and self.waiting.get(row["serial"], self.now + 1) <= self.now:
                    row["ended"], row["release_at"] = True, self.now + self.rng.randint(0, self.releases)
                    ended |= 1 << index
                elif release is None and row["ended"] and row["release_at"] <= self.now:
                    release = row
                if self.in_order:
                    break
            dut.ended.value = ended
            dut.release.value = int(release is not None)
            if release:
                values = {name: release[name] for name in ("context", "half", "regions", "serial")}
                dut.released.value = row_layout(self.p).const(values).as_value().value
            await FallingEdge(dut.clk)
            if dut.sweep.value == 1:
                assert not self.live, "sweeps while rows are at work"
                assert int(dut.sweep_address.value) == swept
                swept += 1
                if swept == self.p.slots:
                    self.sweeps.append(sum(not chunk for chunk, _, _ in self.order))
                    swept = 0
            await RisingEdge(dut.clk)
            self.now += 1
            if release:
                self.live.remove(release)
                ended &= ~(1 << release["half"] * self.p.contexts + release["context"])

    def check(self):
        serial, base, size = self.first_serial, 0, 0
        for (chunk, number, row), (begins, new_size, entries) in zip(self.order, self.expected, strict=True):
            if begins is not None:
                assert (chunk, number) == (1, begins)
                continue
            size = new_size
            base = (base + (1 << size) - 1 >> size << size) % self.p.contexts
            assert not chunk
            assert (row["serial"], row["context"], row["regions"]) == (serial, base, size)
            base, serial = base + (1 << size), serial % ((1 << SERIAL_BITS) - 1) + 1
            got = self.requests.pop(row["serial"])
            assert all(of == row for of, _ in got)
            for (_, fields), want in zip(got, requests_of(self.p.lanes, entries), strict=True):
                if want[-1]:
                    assert (fields[1], *fields[4:]) == (0, 1, 1)
                else:
                    assert fields == want, (row, fields, want)
        assert not self.requests
