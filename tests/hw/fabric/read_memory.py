"""An AXI4 memory for tests of masters that only read."""

import random
from collections import deque

from cocotb.triggers import FallingEdge, RisingEdge

__all__ = ["ReadMemory"]


class ReadMemory:
    """Answers on `<prefix>ar*`, `<prefix>r*` in order; `word_at(address)`: what it holds; `bad` addresses: SLVERR.

    A beat comes `latency` (a number, or a function that draws one) cycles after its request or later; each channel is
    held back with probability `stall`. `asked`: (address, beats) in order. `most`: of requests that were not complete.
    """

    def __init__(self, dut, prefix, *, beat, word_at, seed=0, stall=0.0, latency=1, bad=()):
        self.dut, self.prefix, self.beat, self.word_at = dut, prefix, beat, word_at
        self.rng, self.stall, self.bad = random.Random(f"{seed}-memory"), stall, set(bad)
        self.latency = latency if callable(latency) else lambda: latency
        self.asked, self.beats, self.now, self.in_flight, self.most = [], deque(), 0, 0, 0
        for name in ("arready", "rvalid", "rdata", "rresp", "rlast"):
            self.port(name).value = 0

    def port(self, name):
        return getattr(self.dut, self.prefix + name)

    async def run(self):
        waiting, held = None, False
        while True:
            ready = self.rng.random() >= self.stall
            self.port("arready").value = int(ready)
            offers = bool(self.beats) and self.beats[0][0] <= self.now and (held or self.rng.random() >= self.stall)
            self.port("rvalid").value = int(offers)
            if offers:
                _, word, last, response = self.beats[0]
                self.port("rdata").value, self.port("rlast").value, self.port("rresp").value = word, last, response
            await FallingEdge(self.dut.clk)
            if self.port("arvalid").value == 1:
                request = int(self.port("araddr").value), int(self.port("arlen").value) + 1
                assert waiting in (None, request), "AR changed while it waited"
                waiting = None if ready else request
                if ready:
                    self.accept(*request)
            else:
                assert waiting is None, "AR withdrawn"
            taken = offers and self.port("rready").value == 1
            held = offers and not taken
            if taken:
                self.in_flight -= self.beats.popleft()[2]
            await RisingEdge(self.dut.clk)
            self.now += 1

    def accept(self, address, beats):
        assert address % self.beat == 0, f"{address:#x} is not aligned"
        self.asked.append((address, beats))
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)
        due = self.now + self.latency()
        for number in range(beats):
            at = address + number * self.beat
            self.beats.append((due, self.word_at(at), int(number == beats - 1), 2 if at in self.bad else 0))
