"""Rows of C out of the banks: packed elements, and lengths."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from golden.spgemm.params import SpgemmParams
from hw.fabric.pipeline import delay

from .concentrator import Concentrator
from .layouts import order_layout, row_layout, stored_layout
from .packer import Packer
from .row_fetch import RowFetch
from .row_reader import RowReader
from .values import Values

__all__ = ["WriteBack"]

NUMBER_BITS = 32


class WriteBack(wiring.Component):
    """Elements of rows in the order of `golden.spgemm.order.hash_order`, `lanes` a word; a group of banks a cycle.

    A row's groups of `lanes` banks are read depth by depth, without those that have no element as deep; with `scan`
    all of its places are. Rows follow each other without a gap. An element is in its word LATENCY cycles after its bank
    was read.

    Attributes:
        order: as in `order_layout`: rows and chunk marks in the order in which they leave.
        scan: not to change but while idle. leaving: rows may leave.
        ended: level of a row half * contexts + context: all banks have ended it. Low again before the next such row.
        count_index, counts: the banks' counts of a row, one cycle later.
        read, read_address, read_data, read_live: banks' elements, Values.READ_LATENCY cycles later; with `scan` only
            those that live count.
        sent: elements on their way to words.
        elements: words of elements. length_words: words of 32-bit lengths of rows and numbers of chunks, in order.
        release, released: strobe: the row's last read; its values are free.
        flush: strobe while idle: words that have begun leave, with zeros behind.
        idle: nothing in the unit but what waits for its word's rest, nothing in `order`.
        starved: strobe: nothing to read because the banks have not ended the first row.
    """

    def __init__(self, params: SpgemmParams):
        self.params = p = params
        self.fetch, self.reader = RowFetch(p), RowReader(p)
        self.concentrator = Concentrator(p.lanes, stored_layout().size)
        self.LATENCY = Values.READ_LATENCY + 1 + Concentrator.LEAD + self.concentrator.LATENCY
        self.to_words = RowReader.LATENCY + self.LATENCY + Packer.LATENCY
        if self.to_words >= Packer.MARGIN:
            raise ValueError(f"Packer.MARGIN = {Packer.MARGIN}: {self.to_words + 1} words may be under way")
        super().__init__({
            "order": In(stream.Signature(order_layout(p))),
            "ended": In(2 * p.contexts), "leaving": In(1), "scan": In(1),
            "count_index": Out(range(2 * p.contexts)),
            "counts": In(data.ArrayLayout(p.slots.bit_length(), p.banks)),
            "read": Out(p.banks),
            "read_address": Out(range(2 * p.slots)),
            "read_data": In(data.ArrayLayout(stored_layout(), p.banks)),
            "read_live": In(p.banks),
            "sent": Out(p.lanes),
            "elements": Out(stream.Signature(p.axi_bits)),
            "length_words": Out(stream.Signature(p.axi_bits)),
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
            self.read.eq(reader.read), self.read_address.eq(reader.read_address),
            self.release.eq(reader.release), self.released.eq(reader.released),
            self.starved.eq(fetch.starved & ~reader.busy),
        ]  # fmt: skip
        elements, lengths = self._elements(m), self._lengths(m)

        longest = max(self.to_words, fetch.LATENCY + Packer.LATENCY)
        settling = Signal(range(longest + 1))
        upstream = fetch.busy | reader.busy
        with m.If(upstream | self.flush):
            m.d.sync += settling.eq(longest)
        with m.Elif(settling.any()):
            m.d.sync += settling.eq(settling - 1)
        m.d.comb += self.idle.eq(
            ~self.order.valid & ~upstream & ~settling.any() & ~elements.busy & ~lengths.busy)  # fmt: skip
        return m

    def _elements(self, m):
        """From the banks' data to words."""
        p, reader = self.params, self.reader
        m.submodules.concentrator = concentrator = self.concentrator
        m.submodules.elements = packer = Packer(p.lanes, stored_layout().size)
        group = delay(m, reader.group, Values.READ_LATENCY, "group")
        of_group = Signal.like(concentrator.data, reset_less=True)
        live, mask = Signal(p.lanes, reset_less=True), reader.mask
        m.d.sync += [
            of_group.eq(self.read_data.as_value().word_select(group, p.axi_bits)),
            live.eq(self.read_live.word_select(group, p.lanes) | ~self.scan.replicate(p.lanes)),
        ]
        for stage in range(Values.READ_LATENCY + 1):
            later = Signal(p.lanes, name=f"mask_{stage}")
            m.d.sync += later.eq(mask)
            mask = later
        m.d.comb += [
            self.sent.eq(mask & live), concentrator.mask.eq(self.sent), concentrator.restart.eq(self.flush),
            concentrator.data.as_value().eq(delay(m, of_group.as_value(), Concentrator.LEAD, "of_group")),
            packer.mask.eq(concentrator.out_mask), packer.data.eq(concentrator.out), packer.flush.eq(self.flush),
            reader.room.eq(packer.room),
        ]  # fmt: skip
        connect(m, packer.words, flipped(self.elements))
        return packer

    def _lengths(self, m):
        p, fetch = self.params, self.fetch
        lanes = p.axi_bits // NUMBER_BITS
        m.submodules.lengths = packer = Packer(lanes, NUMBER_BITS)
        lane = Signal(lanes, init=1)
        with m.If(self.flush):
            m.d.sync += lane.eq(1)
        with m.Elif(fetch.number_valid):
            m.d.sync += lane.eq(lane.rotate_left(1))
        m.d.comb += [
            packer.mask.eq(lane & fetch.number_valid.replicate(lanes)), packer.flush.eq(self.flush),
            packer.data.eq(fetch.number.replicate(lanes)), fetch.number_room.eq(packer.room),
        ]  # fmt: skip
        connect(m, packer.words, flipped(self.length_words))
        return packer
