"""In-order queues with wait/release tokens: what orders the units of an engine (FlightLLM's scheme)."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

__all__ = ["TokenQueue", "TokenTable"]


class TokenTable(wiring.Component):
    """counts[source][destination]: release adds one, take removes one.

    Attributes:
        take, release: one mask a queue: bit s of take[q] consumes a token s -> q, bit d of release[q] adds one q -> d.
        available: bit s of available[q]: there is a token s -> q.
        error: a counter overflowed (sticky until reset).
    """

    BITS = 6

    def __init__(self, queues: int):
        self.queues = queues
        super().__init__({
            "take": In(queues).array(queues),
            "release": In(queues).array(queues),
            "available": Out(queues).array(queues),
            "error": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        for source in range(self.queues):
            for destination in range(self.queues):
                count = Signal(self.BITS, name=f"count_{source}_{destination}")
                up, down = self.release[source][destination], self.take[destination][source]
                m.d.sync += count.eq(count + up - down)
                m.d.comb += self.available[destination][source].eq(count != 0)
                with m.If((count == (1 << self.BITS) - 1) & up & ~down):
                    m.d.sync += self.error.eq(1)
        return m


class TokenQueue(wiring.Component):
    """A FIFO whose head goes to the unit when its wait tokens are there; releases when the unit is done.

    Attributes:
        i: instruction words. wait, release: masks of the head, cut from the word by the engine.
        head: the word at the head. go: strobe-like valid for the unit, taken at `go & accept`.
        done: the unit is idle again. idle: nothing queued or running. stalled: the head waits for tokens.
    """

    def __init__(self, width: int, queues: int, depth: int):
        self.width, self.depth = width, depth
        super().__init__({
            "i": In(stream.Signature(width)),
            "head": Out(width),
            "wait": In(queues),
            "release": In(queues),
            "available": In(queues),
            "take": Out(queues),
            "give": Out(queues),
            "go": Out(1),
            "accept": In(1),
            "done": In(1),
            "idle": Out(1),
            "stalled": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.fifo = fifo = SyncFIFO(width=self.width, depth=self.depth)
        m.d.comb += [
            fifo.w_data.eq(self.i.payload),
            fifo.w_en.eq(self.i.valid),
            self.i.ready.eq(fifo.w_rdy),
            self.head.eq(fifo.r_data),
        ]
        running = Signal()
        release = Signal.like(self.release)
        ready = (self.wait & ~self.available) == 0
        m.d.comb += [
            self.go.eq(fifo.r_rdy & ready & ~running),
            self.stalled.eq(fifo.r_rdy & ~ready & ~running),
            self.idle.eq(~fifo.r_rdy & ~running),
        ]
        with m.If(self.go & self.accept):
            m.d.comb += [fifo.r_en.eq(1), self.take.eq(self.wait)]
            m.d.sync += [running.eq(1), release.eq(self.release)]
        settled = Signal()
        m.d.sync += settled.eq(running)
        with m.If(running & settled & self.done):
            m.d.comb += self.give.eq(release)
            m.d.sync += [running.eq(0), settled.eq(0)]
        return m
