"""Reads of single memory words whose order suits the memory's banks, and their responses in the order of the asking."""

from amaranth.hdl import Const, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

from golden.isa.spgemm import FIRST_BITS
from golden.spgemm.params import SpgemmParams
from hw.fabric.axi import ADDRESS_BITS, axi_read
from hw.fabric.ram import Ram

__all__ = ["MissQueue"]


class MissQueue(wiring.Component):
    """DRAM banks work side by side, but one that must open another row keeps all reads behind it waiting. So reads wait
    in `miss_queues` queues, by address bits from `miss_bit` on, which take turns; words that come back too early wait
    in a RAM of `outstanding` words.

    A read and a word a cycle; a word comes LATENCY cycles after its line if the memory answers in the next cycle.

    Attributes:
        lines: from `base` on, to be read. words: of each, in the same order. axi: reads of one beat.
        error: sticky: a response that is not OKAY; `clear` resets it.
    """

    LATENCY = 5
    QUEUE_DEPTH = 16

    def __init__(self, params: SpgemmParams):
        self.params = p = params
        self.line_bits = FIRST_BITS - (p.lanes - 1).bit_length()
        super().__init__({
            "lines": In(stream.Signature(self.line_bits)), "words": Out(stream.Signature(p.axi_bits)),
            "axi": Out(axi_read(p.axi_bits)), "base": In(ADDRESS_BITS), "error": Out(1), "clear": In(1),
        })

    def elaborate(self, platform):
        m = Module()
        p = self.params
        self.read_layout = data.StructLayout({"line": self.line_bits, "place": range(p.outstanding)})
        begin, end = Signal(range(p.outstanding)), Signal(range(p.outstanding))
        level = Signal(range(p.outstanding + 1))
        queues = self._enter(m, end, level)
        read = self._take_turns(m, queues)
        m.submodules.owners = owners = SyncFIFO(width=len(end), depth=p.outstanding)
        self._ask(m, read, owners)
        delivered = self._deliver(m, begin, owners)
        entered = self.lines.valid & self.lines.ready
        m.d.sync += [end.eq(end + entered), begin.eq(begin + delivered), level.eq(level + entered - delivered)]
        return m

    def _enter(self, m, end, level):
        """A line goes to the queue of its bank, with a place for its word."""
        p = self.params
        shift = p.beat_bytes.bit_length() - 1
        bits = (p.miss_queues - 1).bit_length()
        low = Signal(p.miss_bit + bits - shift)
        m.d.comb += low.eq(self.base[shift:] + self.lines.payload)
        number = low[p.miss_bit - shift:] if bits else Const(0, 1)
        queues = []
        for queue in range(p.miss_queues):
            m.submodules[f"queue_{queue}"] = fifo = SyncFIFO(width=self.read_layout.size, depth=self.QUEUE_DEPTH)
            mine = (number == queue) & (level != p.outstanding)
            m.d.comb += [
                data.View(self.read_layout, fifo.w_data).line.eq(self.lines.payload),
                data.View(self.read_layout, fifo.w_data).place.eq(end), fifo.w_en.eq(self.lines.valid & mine),
            ]
            with m.If(mine):
                m.d.comb += self.lines.ready.eq(fifo.w_rdy)
            queues.append(fifo)
        return queues

    def _take_turns(self, m, queues):
        """Stream of the reads: the next queue, around, that has one."""
        read = stream.Signature(self.read_layout).create(path=("read",))
        free = ~read.valid | read.ready
        last = Signal(range(max(2, len(queues))))
        with m.If(read.ready):
            m.d.sync += read.valid.eq(0)
        with m.Switch(last):
            for before in range(len(queues)):
                with m.Case(before):
                    waits = Const(1)
                    for step in range(1, len(queues) + 1):
                        number = (before + step) % len(queues)
                        queue = queues[number]
                        chosen = free & waits & queue.r_rdy
                        m.d.comb += queue.r_en.eq(chosen)
                        with m.If(chosen):
                            m.d.sync += [read.valid.eq(1), read.payload.eq(queue.r_data), last.eq(number)]
                        waits = waits & ~queue.r_rdy
        return read

    def _ask(self, m, read, owners):
        axi, shift = self.axi, self.params.beat_bytes.bit_length() - 1
        m.d.comb += [
            read.ready.eq((~axi.arvalid | axi.arready) & owners.w_rdy),
            owners.w_data.eq(read.payload.place), owners.w_en.eq(read.valid & read.ready),
        ]
        with m.If(axi.arready):
            m.d.sync += axi.arvalid.eq(0)
        with m.If(read.valid & read.ready):
            m.d.sync += [axi.arvalid.eq(1), axi.araddr.eq(self.base + (read.payload.line << shift))]

    def _deliver(self, m, begin, owners):
        """Words to their places, and on in order; strobe: one leaves its place."""
        p, axi = self.params, self.axi
        m.submodules.places = places = Ram(width=p.axi_bits, depth=p.outstanding)
        arrived, there = Signal(p.outstanding), Signal()
        m.d.comb += [
            axi.rready.eq(1), owners.r_en.eq(axi.rvalid),
            places.write_enable.eq(axi.rvalid), places.write_address.eq(owners.r_data),
            places.write_data.eq(axi.rdata),
            there.eq(arrived.bit_select(begin, 1) & (~self.words.valid | self.words.ready)),
            places.read_enable.eq(there), places.read_address.eq(begin), self.words.payload.eq(places.read_data),
        ]
        with m.If(axi.rvalid):
            m.d.sync += arrived.bit_select(owners.r_data, 1).eq(1)
        with m.If(there):
            m.d.sync += [arrived.bit_select(begin, 1).eq(0), self.words.valid.eq(1)]
        with m.Elif(self.words.ready):
            m.d.sync += self.words.valid.eq(0)
        with m.If(axi.rvalid & (axi.rresp != 0)):
            m.d.sync += self.error.eq(1)
        with m.Elif(self.clear):
            m.d.sync += self.error.eq(0)
        return there
