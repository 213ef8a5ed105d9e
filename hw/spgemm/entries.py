"""The entries of the rows at work."""

from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from golden.spgemm.params import SpgemmParams
from hw.fabric.ram import Ram
from hw.fabric.sure_fifo import SureFIFO

from .contexts import ContextRing
from .layouts import CHUNK_ID_BITS, use_layout
from .unpack import Kind, piece_layout, record_layout

__all__ = ["EntryRing", "read_signature", "walk_layout"]


def walk_layout(p: SpgemmParams) -> data.StructLayout:
    """A row that walks: its `number` among those whose pieces are in the ring, where its next one is or will be, and
    whether that is its `first`; the others as in `use_layout`."""
    return data.StructLayout({
        "number": unsigned((2 * p.contexts - 1).bit_length()), "context": use_layout(p)["context"].shape,
        "first": unsigned(1), "opens": unsigned(1),
        "regions": use_layout(p)["regions"].shape, "next": unsigned((p.ring - 1).bit_length() + 1),
    })


def read_signature(p: SpgemmParams) -> wiring.Signature:
    """How entries are read: `address` below `tail`, one cycle later `piece`, which stays while not `enable`. Then
    `reached` says that `walk` has read what is before its `next`, and that the row ends there if `piece.last`.
    """
    return wiring.Signature({
        "enable": Out(1), "address": Out(range(p.ring)), "piece": In(piece_layout(p)),
        "tail": In(walk_layout(p)["next"].shape), "reached": Out(1), "walk": Out(walk_layout(p)),
    })  # fmt: skip


class EntryRing(wiring.Component):
    """Begins rows, as far as ContextRing has contexts for them, and keeps their pieces, in a ring, until they have been
    read.

    A record a cycle. The space of a piece is free some cycles after it has been read, and all pieces before it, of
    every row. A row is in the ring no longer than it has its contexts: 2 * contexts numbers are more than enough.

    Args:
        first_serial: see ContextRing.

    Attributes:
        apart, last, closed, over: see ContextRing.
        records: from EntryUnpack. chunks: their ids as they begin; some wait here.
        start, started: strobe: a row begins, whose first entry can be read in the next cycle.
        finished, finished_walk: strobe: a row has asked for its last line.
        read: see `read_signature`. busy: some row's pieces have not all been read.
    """

    CHUNKS = 16
    """Ids that wait until the first row has come through the cache."""

    def __init__(self, params: SpgemmParams, *, first_serial: int = 1):
        self.params, self.first_serial = params, first_serial
        p = params
        super().__init__({
            "records": In(stream.Signature(record_layout(p))),
            "chunks": Out(stream.Signature(CHUNK_ID_BITS)),
            "start": Out(1), "started": Out(walk_layout(p)), "finished": In(1), "finished_walk": In(walk_layout(p)),
            "read": In(read_signature(p)), "busy": Out(1),
            "apart": In(1), "last": In(1), "closed": Out(1), "over": In(1),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        p, record = self.params, self.records.payload
        m.submodules.contexts = contexts = ContextRing(p, first_serial=self.first_serial)
        m.submodules.ids = ids = SureFIFO(width=CHUNK_ID_BITS, depth=self.CHUNKS, margin=2)
        begins, opens, tail = Signal(init=1), Signal(), Signal.like(self.started.next)
        regions = Signal.like(self.started.regions)
        room, newest = self._space(m, tail)
        write = Signal()
        m.d.comb += [
            self.chunks.payload.eq(ids.r_data), self.chunks.valid.eq(ids.r_rdy), ids.r_en.eq(self.chunks.ready),
            ids.w_data.eq(record.piece.value), self.started.number.eq(newest), self.started.first.eq(1),
            self.started.context.eq(contexts.context), self.started.opens.eq(opens),
            self.started.regions.eq(regions), self.started.next.eq(tail),
            contexts.take.eq(self.start), contexts.finished.eq(self.finished),
            contexts.finished_context.eq(self.finished_walk.context),
            contexts.finished_regions.eq(self.finished_walk.regions),
            contexts.apart.eq(self.apart), contexts.last.eq(self.last), contexts.over.eq(self.over),
            self.closed.eq(contexts.closed),
        ]
        with m.If(contexts.set_regions):
            m.d.sync += regions.eq(contexts.regions)
        with m.Switch(record.kind):
            with m.Case(Kind.CHUNK):
                m.d.comb += [
                    ids.w_en.eq(self.records.valid & ids.room), self.records.ready.eq(ids.room),
                    contexts.set_regions.eq(self.records.valid & ids.room),
                ]
                with m.If(self.records.valid & ids.room):
                    m.d.sync += opens.eq(1)
            with m.Case(Kind.REGIONS):
                m.d.comb += [self.records.ready.eq(1), contexts.set_regions.eq(self.records.valid)]
                m.d.comb += contexts.regions.eq(record.piece.value)
            with m.Case(Kind.PIECE):
                m.d.comb += [
                    self.records.ready.eq(room & (~begins | contexts.free)),
                    write.eq(self.records.valid & self.records.ready), self.start.eq(write & begins),
                ]
                with m.If(self.start):
                    m.d.sync += opens.eq(0)
        m.submodules.ring = ring = Ram(width=piece_layout(p).size, depth=p.ring)
        m.d.comb += [
            ring.write_enable.eq(write), ring.write_address.eq(tail), ring.write_data.eq(record.piece),
            ring.read_enable.eq(self.read.enable), ring.read_address.eq(self.read.address),
            self.read.piece.eq(ring.read_data), self.read.tail.eq(tail),
        ]  # fmt: skip
        with m.If(write):
            m.d.sync += [tail.eq(tail + 1), begins.eq(record.piece.last)]
        return m

    def _space(self, m, tail):
        """(room for a piece, number of the next row).

        The oldest row that was not read to its end says where the used space begins. Before its first read that is
        where the row before it has ended.
        """
        p = self.params
        places = 2 * p.contexts
        oldest, newest = Signal(range(2 * places)), Signal(range(2 * places))
        head, room = Signal.like(tail), Signal()
        touched = Signal(places)  # changes with a row's first read, so it is another bit that tells in every round
        walk, at, round_ = self.read.walk, oldest[:-1], oldest[-1]
        m.submodules.reached = reached = Memory(
            shape=data.StructLayout({"next": len(tail), "end": 1}), depth=places, init=[],
            attrs={"ram_style": "distributed"},
        )  # fmt: skip
        write, read = reached.write_port(), reached.read_port(domain="comb")
        m.d.comb += [
            write.en.eq(self.read.reached), write.addr.eq(walk.number), write.data.next.eq(walk.next),
            write.data.end.eq(self.read.piece.last), read.addr.eq(at),
            self.busy.eq(oldest != newest),
        ]  # fmt: skip
        with m.If(self.read.enable):  # once, though a read may be held
            m.d.sync += touched.eq(touched ^ ((self.read.reached & walk.first) << walk.number))
        with m.If(self.start):
            m.d.sync += newest.eq(newest + 1)
        with m.If(self.busy & (touched.bit_select(at, 1) != round_)):
            m.d.sync += head.eq(read.data.next)
            with m.If(read.data.end):
                m.d.sync += oldest.eq(oldest + 1)
        m.d.sync += room.eq((tail - head)[: len(tail)] < p.ring - 1)  # a cycle late: one less than there is
        return room, newest[:-1]
