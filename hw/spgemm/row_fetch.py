"""Rows of C in the order in which they leave: how many elements every bank has of them."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out, connect, flipped

from golden.spgemm.params import SpgemmParams
from hw.fabric.pipeline import delay, strobes

from .layouts import order_layout, row_layout

__all__ = ["RowFetch", "counted_layout"]


def counted_layout(p: SpgemmParams) -> data.StructLayout:
    """A row with the places that are read in each bank. `first`, `second`: groups that have more than 0, 1; `third`:
    banks, 2."""
    return data.StructLayout({
        "row": row_layout(p), "counts": data.ArrayLayout(p.slots.bit_length(), p.banks),
        "first": p.banks // p.lanes, "second": p.banks // p.lanes, "third": p.banks,
    })  # fmt: skip


class RowFetch(wiring.Component):
    """Waits until all banks have ended a row, fetches its counts and adds them up; a row or chunk mark a cycle.

    Attributes:
        order: as in `order_layout`. leaving: rows may leave. scan: all places of a row are read, not just as many as it
            has elements. ended: level of a row half * contexts + context: all banks have ended it.
        count_index, counts: the banks' counts of a row, one cycle later.
        rows: as in `counted_layout`, of rows only.
        number_valid, number: length of a row or number of a chunk, in order, LATENCY cycles after it was taken.
        number_room: a number may be under way.
        starved: the first row waits until its banks have ended it, and no other one is on its way.
        busy: something has been taken from `order` that has not left as a row or number.
    """

    DEPTH = 8
    UNDER_WAY = 4
    """Rows that have been let through and are not yet counted by the queue's level."""

    def __init__(self, params: SpgemmParams):
        self.params = p = params
        self.levels = p.banks.bit_length() - 1
        self.LATENCY = 2 + self.levels
        super().__init__({
            "order": In(stream.Signature(order_layout(p))),
            "ended": In(2 * p.contexts), "leaving": In(1), "scan": In(1),
            "count_index": Out(range(2 * p.contexts)),
            "counts": In(data.ArrayLayout(p.slots.bit_length(), p.banks)),
            "rows": Out(stream.Signature(counted_layout(p))),
            "number_valid": Out(1),
            "number": Out(32),
            "number_room": In(1),
            "starved": Out(1),
            "busy": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        p = self.params
        head, valid, go, may = Signal(order_layout(p), reset_less=True), Signal(), Signal(), Signal()
        has_ended, was_ended, room = Signal(), Signal(), Signal()
        coming = self.order.payload.row
        m.d.sync += was_ended.eq(self.ended.bit_select(
            Mux(self.order.ready, Cat(coming.context, coming.half), self.count_index), 1))  # fmt: skip
        m.d.comb += [
            self.count_index.eq(Cat(head.row.context, head.row.half)), self.order.ready.eq(~valid | go),
            has_ended.eq(head.chunk | (self.leaving & was_ended)),
            may.eq(room & self.number_room), go.eq(valid & has_ended & may),
        ]  # fmt: skip
        with m.If(self.order.ready):
            m.d.sync += [head.eq(self.order.payload), valid.eq(self.order.valid)]

        gone = strobes(m, go, self.LATENCY, "gone")
        of_row = strobes(m, go & ~head.chunk, 2, "of_row")
        counts = Signal(data.ArrayLayout(p.slots.bit_length(), p.banks), reset_less=True)
        m.d.sync += counts.eq(self.counts)
        m.submodules.queue = queue = SyncFIFO(width=counted_layout(p).size, depth=self.DEPTH)
        m.d.comb += [queue.w_en.eq(of_row[-1]), queue.w_data.eq(self._counted(m, delay(m, head.row, 2, "row"), counts))]
        m.d.sync += room.eq(queue.level <= self.DEPTH - self.UNDER_WAY)
        connect(m, queue.r_stream, flipped(self.rows))

        chunk, number = delay(m, head.chunk, self.LATENCY, "chunk"), delay(m, head.id, self.LATENCY, "id")
        m.d.comb += [
            self.number_valid.eq(gone[-1]), self.number.eq(Mux(chunk, number, self._total(m, counts))),
            self.busy.eq(valid | Cat(*gone[1:]).any() | queue.r_rdy),
            self.starved.eq(valid & ~has_ended & ~Cat(*of_row[1:]).any() & ~queue.r_rdy),
        ]  # fmt: skip
        return m

    def _counted(self, m, row, counts):
        p = self.params
        counted, size = Signal(counted_layout(p)), Signal(p.slots.bit_length())
        with m.Switch(counted.row.regions):
            for regions in range(p.contexts.bit_length()):
                with m.Case(regions):
                    m.d.comb += size.eq(p.region << regions)  # at least 4
        m.d.comb += counted.row.eq(row)
        m.d.comb += [out.eq(Mux(self.scan, size, count)) for out, count in zip(counted.counts, counts, strict=True)]
        for group in range(p.banks // p.lanes):
            members = [counts[bank] for bank in range(group * p.lanes, (group + 1) * p.lanes)]
            m.d.comb += [
                counted.first[group].eq(Cat(self.scan, *members).any()),
                counted.second[group].eq(Cat(self.scan, *(count[1:] for count in members)).any()),
            ]  # fmt: skip
        m.d.comb += [third.eq(self.scan | (count > 2)) for third, count in zip(counted.third, counts, strict=True)]
        return counted

    def _total(self, m, counts):
        """Sum of the counts, a level of the tree a cycle."""
        terms = [*counts]
        for level in range(self.levels):
            sums = []
            for index, (a, b) in enumerate(zip(terms[::2], terms[1::2], strict=True)):
                sums.append(Signal(len(a) + 1, name=f"sum_{level}_{index}", reset_less=True))
                m.d.sync += sums[-1].eq(a + b)
            terms = sums
        return terms[0]
