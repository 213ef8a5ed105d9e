"""Chunks of A to requests for lines of B."""

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from golden.spgemm.params import SpgemmParams

from .entries import EntryRing
from .layouts import CHUNK_ID_BITS, chunk_layout, request_layout
from .turns import Turns
from .unpack import EntryUnpack

__all__ = ["RowWalk"]


class RowWalk(wiring.Component):
    """Takes the entries of one chunk after the other and asks for the lines of their rows, which take turns.

    An entry and a request a cycle. LATENCY cycles from an entry's word to its request, if nothing waits.

    Args:
        first_serial: see ContextRing.

    Attributes:
        apart, closed, over: see ContextRing; a row is the last one if no chunk waits behind it.
        chunks: which come next. entries: their words, in the same order.
        begun: ids of the chunks, in order. requests: of all rows at work; of each row in order; rows begin in order.
        idle: no chunk has begun or all its rows' requests have left.
    """

    LATENCY = EntryUnpack.LATENCY + Turns.LATENCY

    def __init__(self, params: SpgemmParams, *, first_serial: int = 1):
        self.params, self.first_serial = params, first_serial
        super().__init__({
            "chunks": In(stream.Signature(chunk_layout())), "entries": In(stream.Signature(params.axi_bits)),
            "begun": Out(stream.Signature(CHUNK_ID_BITS)), "requests": Out(stream.Signature(request_layout(params))),
            "apart": In(1), "closed": Out(1), "over": In(1), "idle": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.unpack = unpack = EntryUnpack(self.params)
        m.submodules.ring = ring = EntryRing(self.params, first_serial=self.first_serial)
        m.submodules.turns = turns = Turns(self.params)
        connect(m, flipped(self.chunks), unpack.chunks)
        connect(m, flipped(self.entries), unpack.entries)
        connect(m, unpack.records, ring.records)
        connect(m, ring.chunks, flipped(self.begun))
        connect(m, turns.read, ring.read)
        connect(m, turns.requests, flipped(self.requests))
        m.d.comb += [
            turns.start.eq(ring.start), turns.started.eq(ring.started), ring.finished.eq(turns.finished),
            ring.finished_walk.eq(turns.finished_walk),
            ring.apart.eq(self.apart), ring.last.eq(~(unpack.busy | self.chunks.valid)),
            self.closed.eq(ring.closed & ~turns.busy), ring.over.eq(self.over & ~turns.busy),
            self.idle.eq(~(unpack.busy | ring.busy | turns.busy)),
        ]
        return m
