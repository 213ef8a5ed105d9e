"""In-order queues with wait/release tokens: what orders the units of an engine (FlightLLM's scheme)."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

__all__ = ["FinishOrder", "TokenQueue", "TokenTable"]


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
    """A FIFO whose head goes to the unit when its wait tokens are there; releases when the unit has finished it.

    Args:
        overlap: instructions that the unit works on at once, in order.

    Attributes:
        i: instruction words. wait, release: masks of the head, cut from the word by the engine.
        head: the word at the head. ahead: there is one and the unit may take it as soon as its tokens are there.
        go: strobe-like valid for the unit, taken at `go & accept`.
        finished: strobe: the unit has finished its oldest instruction, at least one cycle after it took it.
        idle: nothing queued or running. runs: the unit has an instruction. stalled: the head waits for tokens.
    """

    def __init__(self, width: int, queues: int, depth: int, overlap: int = 1):
        self.width, self.depth, self.overlap = width, depth, overlap
        super().__init__({
            "i": In(stream.Signature(width)),
            "head": Out(width),
            "wait": In(queues),
            "release": In(queues),
            "available": In(queues),
            "take": Out(queues),
            "give": Out(queues),
            "ahead": Out(1),
            "go": Out(1),
            "accept": In(1),
            "finished": In(1),
            "idle": Out(1),
            "runs": Out(1),
            "stalled": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.fifo = fifo = SyncFIFO(width=self.width, depth=self.depth)
        m.submodules.running = running = SyncFIFO(width=len(self.release), depth=max(2, self.overlap))
        ready, room = (self.wait & ~self.available) == 0, running.level < self.overlap
        m.d.comb += [
            fifo.w_data.eq(self.i.payload),
            fifo.w_en.eq(self.i.valid),
            self.i.ready.eq(fifo.w_rdy),
            self.head.eq(fifo.r_data),
            self.ahead.eq(fifo.r_rdy & room),
            self.go.eq(self.ahead & ready),
            self.stalled.eq(self.ahead & ~ready),
            self.idle.eq(~fifo.r_rdy & ~running.r_rdy),
            self.runs.eq(running.r_rdy),
            running.w_data.eq(self.release),
        ]
        with m.If(self.go & self.accept):
            m.d.comb += [fifo.r_en.eq(1), running.w_en.eq(1), self.take.eq(self.wait)]
        with m.If(self.finished & running.r_rdy):
            m.d.comb += [running.r_en.eq(1), self.give.eq(running.r_data)]
        return m


class FinishOrder(wiring.Component):
    """Which instruction of a unit is the next to finish: reports in order what gets through out of order.

    Args:
        kinds: of instructions; those of a kind get through in order.
        depth: instructions under way at most.

    Attributes:
        taken, kind: strobe: an instruction starts. through: a strobe for each kind: its oldest one is through, a cycle
            or more after it was taken.
        finished: strobe, a cycle or more after `through`: the oldest of all is through. busy: others are under way, or
            it is not. room: one more may start.
    """

    def __init__(self, kinds: int, depth: int):
        self.kinds, self.depth = kinds, depth
        super().__init__({
            "taken": In(1),
            "kind": In(range(kinds)),
            "through": In(kinds),
            "finished": Out(1),
            "busy": Out(1),
            "room": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.order = order = SyncFIFO(width=len(self.kind), depth=self.depth)
        waiting = [Signal(range(self.depth + 1), name=f"waiting_{kind}") for kind in range(self.kinds)]
        m.d.comb += [
            order.w_data.eq(self.kind),
            order.w_en.eq(self.taken),
            order.r_en.eq(self.finished),
            self.room.eq(order.w_rdy),
            self.busy.eq(order.r_rdy & ~(self.finished & (order.level == 1))),
        ]
        for kind, count in enumerate(waiting):
            oldest = order.r_rdy & (order.r_data == kind) & (count != 0)
            m.d.sync += count.eq(count + self.through[kind] - oldest)
            with m.If(oldest):
                m.d.comb += self.finished.eq(1)
        return m
