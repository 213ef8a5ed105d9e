"""Rows take turns, line by line."""

from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from golden.spgemm.params import SpgemmParams
from hw.fabric.sure_fifo import SureFIFO

from .entries import read_signature, walk_layout
from .layouts import request_layout
from .unpack import piece_layout

__all__ = ["Turns"]


def _turn_layout(p: SpgemmParams) -> data.StructLayout:
    """What a row has to do next. `more`: there are lines after this one; `fetch`: get its next piece now."""
    return data.StructLayout({
        "walk": walk_layout(p), "more": unsigned(1), "fetch": unsigned(1), "piece": piece_layout(p),
    })


class Turns(wiring.Component):
    """Requests for the lines of the rows' pieces.

    A row's piece goes round in a FIFO: at the front its next line is asked for, then it goes to the end, before pieces
    that were read from the ring. When it has one line left (or had only one) the row's next piece is read, which comes
    behind it. So a row's requests keep their order, one with pieces of two lines or more keeps up a request a
    cycle, and so do two rows with pieces of one line. A row's first request comes LATENCY cycles after its start.

    At most one row can have nothing to read: the newest one. It waits apart, and goes on two cycles after its next
    entry has come.

    Attributes:
        start, started: from EntryRing. finished, finished_walk, read: to it. requests: registered.
        busy: there are pieces or a request.
    """

    LATENCY = 4

    def __init__(self, params: SpgemmParams):
        self.params = p = params
        super().__init__({
            "start": In(1), "started": In(walk_layout(p)), "finished": Out(1),
            "finished_walk": Out(walk_layout(p)), "read": Out(read_signature(p)),
            "requests": Out(stream.Signature(request_layout(p))), "busy": Out(1),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        p = self.params
        m.submodules.turns = turns = SureFIFO(width=_turn_layout(p).size, depth=2 * p.contexts)
        turn = data.View(_turn_layout(p), turns.r_data)
        valid, advance, pop = Signal(), Signal(), Signal()
        m.d.comb += [
            advance.eq(~valid | self.requests.ready), pop.eq(advance & turns.r_rdy), turns.r_en.eq(advance),
            self.requests.valid.eq(valid), self.busy.eq(valid | turns.r_rdy | self.read.reached),
        ]  # fmt: skip
        with m.If(advance):
            m.d.sync += valid.eq(turns.r_rdy)
        self._request(m, turn, advance)
        m.d.comb += [self.finished.eq(pop & turn.piece.last & ~turn.more), self.finished_walk.eq(turn.walk)]
        free = Signal()  # the last piece that was read gets into the FIFO, or there is none
        m.d.comb += free.eq(~self.read.reached | ~(pop & turn.more))
        self._fetch(m, turn, pop & turn.fetch, free)

        piece, behind = self.read.piece, turn.piece
        fresh, again = (Signal(_turn_layout(p), name=name) for name in ("fresh", "again"))
        m.d.comb += [
            fresh.walk.eq(self.read.walk), fresh.piece.eq(piece), fresh.more.eq(piece.further != 0),
            fresh.fetch.eq(~piece.last & (piece.further <= 1)),
            again.eq(turn), again.walk.first.eq(0), again.piece.line.eq(behind.line + 1), again.piece.start.eq(0),
            again.piece.further.eq(behind.further - 1), again.more.eq(behind.further != 1),
            again.fetch.eq(~behind.last & (behind.further == 2)),
            turns.w_en.eq((pop & turn.more) | self.read.reached),
            turns.w_data.eq(Mux(turn.more & pop, again, fresh)),
        ]  # fmt: skip
        return m

    def _request(self, m, turn, advance):
        piece, request = turn.piece, Signal(request_layout(self.params), reset_less=True)
        m.d.comb += self.requests.payload.eq(request)
        inside = Cat(
            (lane >= piece.start) & (turn.more | (lane <= piece.stop)) for lane in range(self.params.lanes)
        )  # fmt: skip
        with m.If(advance):
            m.d.sync += [
                request.use.last.eq(piece.last & ~turn.more), request.use.mask.eq(Mux(piece.dry, 0, inside)),
                request.use.value.eq(piece.value), request.dry.eq(piece.dry), request.hint.eq(piece.hint),
                request.line.eq(piece.line),
                *(request.use[name].eq(turn.walk[name]) for name in ("context", "first", "opens", "regions")),
            ]  # fmt: skip

    def _fetch(self, m, turn, asks, free):
        """Reads the next piece of a row: one that waited for its entry, one that begins, one that could not be served
        at once, or the one whose turn asks. None of these FIFOs can be full: a row is in one of them at most once."""
        p = self.params
        size = walk_layout(p).size
        m.submodules.starts = starts = SureFIFO(width=size, depth=p.contexts)
        m.submodules.wants = wants = SureFIFO(width=size, depth=p.contexts)
        starved, waits, came = Signal(walk_layout(p), reset_less=True), Signal(), Signal()
        ready, some, there = Signal(), Signal(), Signal()
        chosen, asking = Signal(walk_layout(p)), Signal(walk_layout(p))
        m.d.comb += [
            asking.eq(turn.walk), asking.first.eq(0),
            starts.w_data.eq(self.started), starts.w_en.eq(self.start),
            wants.w_data.eq(asking), wants.w_en.eq(asks & ~(free & ~(ready | starts.r_rdy | wants.r_rdy))),
            ready.eq(waits & came),
            starts.r_en.eq(free & ~ready), wants.r_en.eq(free & ~ready & ~starts.r_rdy),
            some.eq(ready | starts.r_rdy | wants.r_rdy | asks),
            self.read.enable.eq(free), self.read.address.eq(chosen.next),
        ]  # fmt: skip
        with m.If(ready):
            m.d.comb += [chosen.eq(starved), there.eq(1)]
        with m.Elif(starts.r_rdy):
            begins = data.View(walk_layout(p), starts.r_data)
            m.d.comb += [chosen.eq(begins), there.eq(begins.next != self.read.tail)]
        with m.Elif(wants.r_rdy):
            wanted = data.View(walk_layout(p), wants.r_data)
            m.d.comb += [chosen.eq(wanted), there.eq(wanted.next != self.read.tail)]
        with m.Else():
            m.d.comb += [chosen.eq(asking), there.eq(asking.next != self.read.tail)]
        m.d.sync += came.eq(waits & (starved.next != self.read.tail))
        walk, reached = Signal(walk_layout(p), reset_less=True), Signal()
        m.d.comb += [self.read.walk.eq(walk), self.read.reached.eq(reached)]
        with m.If(free):
            m.d.sync += [reached.eq(some & there), walk.eq(chosen), walk.next.eq(chosen.next + 1)]
            with m.If(ready):
                m.d.sync += waits.eq(0)
            with m.Elif(some & ~there):
                m.d.sync += [waits.eq(1), starved.eq(chosen)]
