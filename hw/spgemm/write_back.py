"""Rows of C out of the banks: elements in the lanes of their words, and lengths."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from golden.spgemm.params import SpgemmParams
from hw.fabric.pipeline import delay

from .concentrator import Concentrator
from .element_queue import ElementQueue
from .layouts import elements_port, held_layout, numbers_port, order_layout, row_layout
from .number_words import NumberWords
from .row_fetch import RowFetch
from .row_reader import RowReader
from .values import Values

__all__ = ["WriteBack"]


class WriteBack(wiring.Component):
    """Elements of rows in the order of `golden.spgemm.order.hash_order`, a group of banks a cycle.

    A row's groups of `lanes` banks are read depth by depth, without those that have no element as deep; with `scan`
    all of its places are. Rows follow each other without a gap. An element leaves LATENCY cycles after its bank was
    read.

    Attributes:
        order: as in `order_layout`: rows and chunk marks in the order in which they leave.
        scan: not to change but while idle. leaving: rows may leave.
        ended: level of a row half * contexts + context: all banks have ended it. Low again before the next such row.
        count_index, counts: the banks' counts of a row, one cycle later.
        read, read_address, read_data, read_live: banks' elements, Values.READ_LATENCY cycles later; with `scan` only
            those that live count.
        sent: elements on their way to words.
        elements: as in `elements_port`; up to UNDER_WAY groups come without room.
        numbers: lengths of rows and numbers of chunks, in order, as in `numbers_port`; up to RowFetch.LATENCY come
            without room.
        release, released: strobe: the row's last read; its values are free.
        flush: strobe while idle: zeros fill a word of elements that has begun.
        idle: nothing in the unit, nothing in `order`, and all words of elements have reached the queue's end.
        starved: strobe: nothing to read because the banks have not ended the first row.
    """

    LATENCY = Values.READ_LATENCY + Concentrator.LATENCY
    UNDER_WAY = RowReader.LATENCY + LATENCY

    def __init__(self, params: SpgemmParams):
        self.params = p = params
        self.fetch, self.reader = RowFetch(p), RowReader(p)
        for under_way, queue in ((self.UNDER_WAY, ElementQueue), (self.fetch.LATENCY, NumberWords)):
            if under_way + 3 > queue.MARGIN:
                raise ValueError(f"{queue.__name__}.MARGIN = {queue.MARGIN}: {under_way + 3} may be under way")
        super().__init__({
            "order": In(stream.Signature(order_layout(p))),
            "ended": In(2 * p.contexts), "leaving": In(1), "scan": In(1),
            "count_index": Out(range(2 * p.contexts)),
            "counts": In(data.ArrayLayout(p.slots.bit_length(), p.banks)),
            "read": Out(p.banks),
            "read_address": Out(range(2 * p.slots)),
            "read_data": In(data.ArrayLayout(held_layout(p), p.banks)),
            "read_live": In(p.banks),
            "sent": Out(p.lanes),
            "elements": Out(elements_port(p)),
            "numbers": Out(numbers_port()),
            "release": Out(1),
            "released": Out(row_layout(p)),
            "flush": In(1),
            "idle": Out(1),
            "starved": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.fetch, m.submodules.reader = fetch, reader = self.fetch, self.reader
        connect(m, flipped(self.order), fetch.order)
        connect(m, fetch.rows, reader.rows)
        m.d.comb += [
            fetch.ended.eq(self.ended), fetch.leaving.eq(self.leaving), fetch.scan.eq(self.scan),
            fetch.counts.eq(self.counts), self.count_index.eq(fetch.count_index),
            self.numbers.valid.eq(fetch.number_valid), self.numbers.number.eq(fetch.number),
            fetch.number_room.eq(self.numbers.room), reader.room.eq(self.elements.room),
            self.read.eq(reader.read), self.read_address.eq(reader.read_address),
            self.release.eq(reader.release), self.released.eq(reader.released),
            self.starved.eq(fetch.starved & ~reader.busy),
        ]  # fmt: skip
        self._elements(m)

        to_words = RowReader.LATENCY + self.LATENCY + ElementQueue.LATENCY
        settling = Signal(range(to_words + 1))
        upstream = fetch.busy | reader.busy
        with m.If(upstream | self.flush):
            m.d.sync += settling.eq(to_words)
        with m.Elif(settling.any()):
            m.d.sync += settling.eq(settling - 1)
        m.d.comb += self.idle.eq(~self.order.valid & ~upstream & ~settling.any())
        return m

    def _elements(self, m):
        """From the banks' data to lanes."""
        p = self.params
        m.submodules.concentrator = concentrator = Concentrator(p)
        mask = self.reader.mask
        for stage in range(Values.READ_LATENCY):
            later = Signal(p.lanes, name=f"mask_{stage}")
            m.d.sync += later.eq(mask)
            mask = later
        group = delay(m, self.reader.group, Values.READ_LATENCY, "group")
        live = self.read_live.word_select(group, p.lanes) | ~self.scan.replicate(p.lanes)
        m.d.sync += self.sent.eq(concentrator.mask)
        m.d.comb += [
            concentrator.mask.eq(mask & live), concentrator.group.eq(group), concentrator.data.eq(self.read_data),
            concentrator.flush.eq(self.flush),
            self.elements.mask.eq(concentrator.out_mask), self.elements.data.eq(concentrator.out),
        ]  # fmt: skip
