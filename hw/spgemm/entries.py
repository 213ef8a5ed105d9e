"""The entries of the rows at work."""

from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from golden.spgemm.params import SpgemmParams
from hw.fabric.ram import Ram

from .layouts import order_layout, row_layout
from .unpack import Kind, piece_layout, record_layout

__all__ = ["EntryRing", "read_signature", "walk_layout"]


def walk_layout(p: SpgemmParams) -> data.StructLayout:
    """A row that walks: its number `place` among those that do, and where in the ring its next entry is or will be."""
    return data.StructLayout({
        "row": row_layout(p), "place": unsigned((2 * p.contexts - 1).bit_length()),
        "next": unsigned((p.ring - 1).bit_length() + 1),
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
    """Begins rows and keeps their pieces, in a ring, until they have been read.

    A record a cycle. The space of a piece is free some cycles after it has been read, and all pieces before it, of
    every row. As rows get contexts in a ring, fewer than `contexts` come behind one that has not been read to its end:
    2 * contexts numbers for them are more than enough.

    Attributes:
        records: from EntryUnpack. set_regions, regions, row, free, take: to Contexts.
        order: chunks and rows as they begin; some wait here.
        start, started: strobe: a row begins, whose first entry can be read in the next cycle.
        read: see `read_signature`. busy: some row's pieces have not all been read.
    """

    def __init__(self, params: SpgemmParams):
        self.params = p = params
        super().__init__({
            "records": In(stream.Signature(record_layout(p))),
            "set_regions": Out(1), "regions": Out(row_layout(p)["regions"].shape),
            "row": In(row_layout(p)), "free": In(1), "take": Out(1),
            "order": Out(stream.Signature(order_layout(p))),
            "start": Out(1), "started": Out(walk_layout(p)),
            "read": In(read_signature(p)), "busy": Out(1),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        p, record = self.params, self.records.payload
        order = data.View(order_layout(p), Signal(order_layout(p).size, name="order_next"))
        m.submodules.orders = orders = SyncFIFO(width=order_layout(p).size, depth=2 * p.contexts)
        m.d.comb += [
            orders.w_data.eq(order), self.order.payload.eq(orders.r_data), self.order.valid.eq(orders.r_rdy),
            orders.r_en.eq(self.order.ready),
        ]  # fmt: skip

        begins, tail = Signal(init=1), Signal.like(self.started.next)
        room, newest = self._space(m, tail)
        m.d.comb += [
            order.id.eq(record.piece.value), order.row.eq(self.row), self.regions.eq(record.piece.value),
            self.started.row.eq(self.row), self.started.place.eq(newest), self.started.next.eq(tail),
        ]  # fmt: skip
        write = Signal()
        with m.Switch(record.kind):
            with m.Case(Kind.CHUNK):
                m.d.comb += [
                    order.chunk.eq(1), orders.w_en.eq(self.records.valid), self.records.ready.eq(orders.w_rdy),
                    self.regions.eq(0), self.set_regions.eq(self.records.valid & orders.w_rdy),
                ]  # fmt: skip
            with m.Case(Kind.REGIONS):
                m.d.comb += [self.records.ready.eq(1), self.set_regions.eq(self.records.valid)]
            with m.Case(Kind.PIECE):
                can_begin = self.free & orders.w_rdy
                m.d.comb += [
                    self.records.ready.eq(room & (~begins | can_begin)),
                    write.eq(self.records.valid & self.records.ready),
                    self.take.eq(write & begins), orders.w_en.eq(self.take),
                ]  # fmt: skip
        m.d.comb += self.start.eq(self.take)
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
        touched, done = Signal(places), Signal(places)
        walk, at = self.read.walk, oldest[:-1]
        m.submodules.reached = reached = Memory(
            shape=len(tail), depth=places, init=[], attrs={"ram_style": "distributed"}
        )
        write, read = reached.write_port(), reached.read_port(domain="comb")
        m.d.comb += [
            write.en.eq(self.read.reached), write.addr.eq(walk.place), write.data.eq(walk.next), read.addr.eq(at),
            self.busy.eq(oldest != newest),
        ]  # fmt: skip
        with m.If(self.read.reached):
            m.d.sync += [
                touched.bit_select(walk.place, 1).eq(1), done.bit_select(walk.place, 1).eq(self.read.piece.last),
            ]  # fmt: skip
        with m.If(self.take):
            m.d.sync += [
                newest.eq(newest + 1), touched.bit_select(newest[:-1], 1).eq(0), done.bit_select(newest[:-1], 1).eq(0),
            ]  # fmt: skip
        with m.If(self.busy & touched.bit_select(at, 1)):
            m.d.sync += head.eq(read.data)
            with m.If(done.bit_select(at, 1)):
                m.d.sync += oldest.eq(oldest + 1)
        m.d.sync += room.eq((tail - head)[: len(tail)] < p.ring - 1)  # a cycle late: one less than there is
        return room, newest[:-1]
