"""What is around a RowWalk: feeds it, and checks what comes."""

import random

import cocotb
import numpy as np
from cocotb.triggers import FallingEdge, RisingEdge

from golden.spgemm.piece import encode_piece
from hw.spgemm.layouts import chunk_layout, entry_layout, request_layout, use_layout
from tests.hw.harness import StreamSink, StreamSource, watchdog
from tests.hw.packing import packed, unpacked

__all__ = ["INPUTS", "RowPlayer", "entry", "regions", "rows_of"]

INPUTS = dict.fromkeys(("chunks__valid", "entries__valid", "begun__ready", "requests__ready", "apart", "over"), 0)


def entry(first, count, *, value=0, hint=0, last=0):
    return {"first": first, "count": count, "value": value, "hint": hint, "last": last}


def stored(e, p):
    """An entry's bits in memory."""
    first, count = encode_piece(np.array(e["first"]), np.array(e["count"]), p.lanes)
    directive = {} if e["count"] or e["last"] else {"says": e["value"]}
    return packed(entry_layout(p), {**e, "first": int(first), "count": int(count), **directive})


def regions(size):
    return entry(0, 0, value=size)


def rows_of(chunks):
    """[(opens, size, entries)]: rows; `opens`: the first of a chunk."""
    for _, entries in chunks:
        size, row, opens = 0, [], 1
        for e in entries:
            if not e["count"] and not e["last"]:
                size = e["value"]
                continue
            row.append(e)
            if e["last"]:
                yield opens, size, row
                row, opens = [], 0


def requests_of(lanes, entries):
    """(line, mask, value, hint, last, dry) of a row's requests."""
    for e in entries:
        end = e["first"] + e["count"]
        for line in range(e["first"] // lanes, max((end - 1) // lanes, e["first"] // lanes) + 1):
            inside = [e["first"] <= line * lanes + lane < end for lane in range(lanes)]
            last = e["last"] and end <= (line + 1) * lanes
            yield (line, sum(bit << lane for lane, bit in enumerate(inside)), e["value"], e["hint"], int(last),
                   int(e["count"] == 0))  # fmt: skip


class RowPlayer:
    """Plays `chunks`, [(id, entries)]. `times`: cycles of requests, of which none is taken for `hold` cycles.

    With `apart` windows are over some time after they have closed; `windows`: how many.
    """

    def __init__(self, dut, params, chunks, *, seed=0, stall=0.0, hold=0, apart=False):
        self.dut, self.p, self.chunks, self.stall, self.hold = dut, params, chunks, stall, hold
        self.rng, self.times, self.now, self.most = random.Random(seed), [], 0, 0
        self.expected = list(rows_of(chunks))
        self.apart, self.windows, self.walking, self.of_window = apart, 0, {}, set()
        dut.apart.value = int(apart)

    async def play(self, max_cycles=100_000):
        lanes, bits = self.p.lanes, 8 * self.p.element_bytes
        words = []
        for _, entries in self.chunks:
            padded = [stored(e, self.p) for e in entries]
            padded += [self.rng.getrandbits(bits) for _ in range(-len(padded) % lanes)]
            words += [sum(w << bits * i for i, w in enumerate(padded[at : at + lanes]))
                      for at in range(0, len(padded), lanes)]  # fmt: skip
        heads = [packed(chunk_layout(), {"id": n, "word": self.rng.getrandbits(32), "entries": len(e)})
                 for n, e in self.chunks]  # fmt: skip
        tasks = [
            cocotb.start_soon(StreamSource(self.dut, "chunks", seed=1, stall=self.stall).send(heads)),
            cocotb.start_soon(StreamSource(self.dut, "entries", seed=2, stall=self.stall).send(words)),
            cocotb.start_soon(StreamSink(self.dut, "begun", seed=3, stall=self.stall).receive(len(heads))),
            cocotb.start_soon(self.take_requests()),
        ]  # fmt: skip
        clock = cocotb.start_soon(self.end_windows() if self.apart else self.count())

        async def everything():
            _, _, begun, _ = [await task for task in tasks]
            assert begun == [number for number, _ in self.chunks]
            while self.of_window:
                await RisingEdge(self.dut.clk)
            for _ in range(2 * self.p.contexts + 8):
                await FallingEdge(self.dut.clk)
            assert self.dut.idle.value == 1
            await RisingEdge(self.dut.clk)

        try:
            await watchdog(everything(), max_cycles)
        finally:
            clock.cancel()
            for task in tasks:
                task.cancel()

    async def count(self):
        while True:
            await RisingEdge(self.dut.clk)
            self.now += 1

    async def end_windows(self):
        dut, left = self.dut, None
        while True:
            dut.over.value = int(left == 0)
            await FallingEdge(dut.clk)
            if dut.closed.value == 1:
                assert not self.walking, "closed before all lines have been asked for"
                assert dut.requests__valid.value == 0, "a line of the next window"
                left = self.rng.randrange(60) if left is None else max(0, left - 1)
            await RisingEdge(dut.clk)
            self.now += 1
            if dut.over.value == 1:
                self.windows, left = self.windows + 1, None
                self.of_window.clear()

    async def take_requests(self):
        layout, sink = request_layout(self.p), StreamSink(self.dut, "requests", seed=4, stall=self.stall)
        for _ in range(self.hold):
            await RisingEdge(self.dut.clk)
        rows, walking, base = iter(self.expected), self.walking, 0
        for _ in range(sum(len(list(requests_of(self.p.lanes, entries))) for _, _, entries in self.expected)):
            request = unpacked(layout, (await sink.receive(1))[0])
            use = unpacked(use_layout(self.p), request["use"])
            self.times.append(self.now)
            if use["first"]:
                row = next(rows)
                base = (base + (1 << row[1]) - 1 >> row[1] << row[1]) % self.p.contexts
                taken = {c for at, ((_, size, _), _) in walking.items() for c in range(at, at + (1 << size))}
                assert not taken & set(range(base, base + (1 << row[1]))), "a row gets another's contexts"
                assert not self.of_window & set(range(base, base + (1 << row[1]))), "a window has a context twice"
                self.of_window |= set(range(base, base + (1 << row[1]))) if self.apart else set()
                walking[base], base = (row, list(requests_of(self.p.lanes, row[2]))), base + (1 << row[1])
                self.most = max(self.most, len(walking))
            (opens, size, _), left = walking[use["context"]]
            assert use["regions"] == size
            assert not use["first"] or use["opens"] == opens
            line, mask, value, hint, last, dry = left.pop(0)
            assert (use["mask"], use["last"], request["dry"]) == (0 if dry else mask, last, dry)
            assert dry or (request["line"], use["value"], request["hint"]) == (line, value, hint)
            if last:
                del walking[use["context"]]
        assert not walking
