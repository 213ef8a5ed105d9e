"""Chunks of A to requests for lines of B."""

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from golden.spgemm.params import SpgemmParams

from .contexts import Contexts
from .entries import EntryRing
from .layouts import chunk_layout, order_layout, request_layout, row_layout
from .turns import Turns
from .unpack import EntryUnpack

__all__ = ["RowWalk"]


class RowWalk(wiring.Component):
    """Takes the entries of one chunk after the other, gives their rows contexts and asks for their lines in turn.

    An entry and a request a cycle. LATENCY cycles from an entry's word to its request, if nothing waits.

    Args:
        first_serial: of the first row.

    Attributes:
        chunks: which come next. entries: their words, in the same order.
        order: the beginnings of chunks and rows, in order. requests: of all rows at work; of each row in order.
        ended: level, by half * contexts + leader: all banks have ended the row. It is 0 from a row's beginning on.
        release, released: strobe: the row's values have been read; from the next cycle on its `ended` is 0.
        sweep, sweep_address: this slot must forget what it has.
        idle: no chunk has begun or all its rows' requests have left. Rows may wait in `order`.
    """

    LATENCY = EntryUnpack.LATENCY + Turns.LATENCY

    def __init__(self, params: SpgemmParams, *, first_serial: int = 1):
        self.params, self.first_serial = params, first_serial
        p = params
        super().__init__({
            "chunks": In(stream.Signature(chunk_layout())), "entries": In(stream.Signature(p.axi_bits)),
            "order": Out(stream.Signature(order_layout(p))), "requests": Out(stream.Signature(request_layout(p))),
            "ended": In(2 * p.contexts), "release": In(1), "released": In(row_layout(p)),
            "sweep": Out(1), "sweep_address": Out(range(p.slots)), "idle": Out(1),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        m.submodules.unpack = unpack = EntryUnpack(self.params)
        m.submodules.contexts = contexts = Contexts(self.params, first_serial=self.first_serial)
        m.submodules.ring = ring = EntryRing(self.params)
        m.submodules.turns = turns = Turns(self.params)
        connect(m, flipped(self.chunks), unpack.chunks)
        connect(m, flipped(self.entries), unpack.entries)
        connect(m, unpack.records, ring.records)
        connect(m, ring.order, flipped(self.order))
        connect(m, turns.read, ring.read)
        connect(m, turns.requests, flipped(self.requests))
        m.d.comb += [
            contexts.set_regions.eq(ring.set_regions), contexts.regions.eq(ring.regions), contexts.take.eq(ring.take),
            ring.row.eq(contexts.row), ring.free.eq(contexts.free),
            turns.start.eq(ring.start), turns.started.eq(ring.started),
            contexts.ended.eq(self.ended), contexts.release.eq(self.release), contexts.released.eq(self.released),
            self.sweep.eq(contexts.sweep), self.sweep_address.eq(contexts.sweep_address),
            self.idle.eq(~(unpack.busy | ring.busy | turns.busy)),
        ]  # fmt: skip
        return m
