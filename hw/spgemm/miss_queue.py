"""Reads of blocks in an order that suits the memory's banks, which come back in the order of the asking."""

from amaranth.hdl import Const, Module, Mux, Signal
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
    in `miss_queues` queues, by address bits from `miss_bit` on, which take turns, until fewer than `in_flight` reads
    are at the memory; blocks that come back too early wait in a RAM of `outstanding` blocks.

    A beat a cycle; a block comes LATENCY cycles after its number if the memory gives a beat a cycle from the next one.

    Attributes:
        blocks: numbers of blocks of `block_lines` memory words from `base` on. contents: of each, in the same order.
        axi: reads of a block each. base: a multiple of a block.
        error: sticky: a response that is not OKAY; `clear` resets it.
    """

    LATENCY = 5
    QUEUE_DEPTH = 16

    def __init__(self, params: SpgemmParams):
        self.params = p = params
        self.words_log2 = (p.block_lines - 1).bit_length()
        self.shift = (p.beat_bytes - 1).bit_length() + self.words_log2
        self.block_bits = FIRST_BITS - (p.lanes - 1).bit_length() - self.words_log2
        super().__init__({
            "blocks": In(stream.Signature(self.block_bits)),
            "contents": Out(stream.Signature(p.block_lines * p.axi_bits)),
            "axi": Out(axi_read(p.axi_bits)), "base": In(ADDRESS_BITS), "error": Out(1), "clear": In(1),
        })

    def elaborate(self, platform):
        m = Module()
        p = self.params
        self.read_layout = data.StructLayout({"block": self.block_bits, "place": range(p.outstanding)})
        begin, end = Signal(range(p.outstanding)), Signal(range(p.outstanding))
        level = Signal(range(p.outstanding + 1))
        queues = self._enter(m, end, level)
        read = self._take_turns(m, queues)
        m.submodules.owners = owners = SyncFIFO(width=len(end), depth=p.in_flight)
        self._ask(m, read, owners)
        delivered = self._deliver(m, begin, owners)
        entered = self.blocks.valid & self.blocks.ready
        m.d.sync += [end.eq(end + entered), begin.eq(begin + delivered), level.eq(level + entered - delivered)]
        return m

    def _enter(self, m, end, level):
        """A block's number goes to the queue of its bank, with a place for the block."""
        p, shift = self.params, self.shift
        bits = (p.miss_queues - 1).bit_length()
        low = Signal(p.miss_bit + bits - shift)
        m.d.comb += low.eq(self.base[shift:] + self.blocks.payload)
        number = low[p.miss_bit - shift:] if bits else Const(0, 1)
        queues = []
        for queue in range(p.miss_queues):
            m.submodules[f"queue_{queue}"] = fifo = SyncFIFO(width=self.read_layout.size, depth=self.QUEUE_DEPTH)
            mine = (number == queue) & (level != p.outstanding)
            m.d.comb += [
                data.View(self.read_layout, fifo.w_data).block.eq(self.blocks.payload),
                data.View(self.read_layout, fifo.w_data).place.eq(end), fifo.w_en.eq(self.blocks.valid & mine),
            ]
            with m.If(mine):
                m.d.comb += self.blocks.ready.eq(fifo.w_rdy)
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
        axi = self.axi
        m.d.comb += [
            axi.arlen.eq(self.params.block_lines - 1), read.ready.eq((~axi.arvalid | axi.arready) & owners.w_rdy),
            owners.w_data.eq(read.payload.place), owners.w_en.eq(read.valid & read.ready),
        ]
        with m.If(axi.arready):
            m.d.sync += axi.arvalid.eq(0)
        with m.If(read.valid & read.ready):
            m.d.sync += [axi.arvalid.eq(1), axi.araddr.eq(self.base + (read.payload.block << self.shift))]

    def _deliver(self, m, begin, owners):
        """Blocks to their places, and on in order; strobe: one leaves its place."""
        p, axi = self.params, self.axi
        m.submodules.places = places = Ram(
            width=p.block_lines * p.axi_bits, depth=p.outstanding, parts=p.block_lines
        )
        arrived, there, beat = Signal(p.outstanding), Signal(), Signal(range(max(2, p.block_lines)))
        m.d.comb += [
            axi.rready.eq(1), owners.r_en.eq(axi.rvalid & axi.rlast),
            places.write_enable.eq(Mux(axi.rvalid, 1 << beat, 0)), places.write_address.eq(owners.r_data),
            places.write_data.eq(axi.rdata.replicate(p.block_lines)),
            there.eq(arrived.bit_select(begin, 1) & (~self.contents.valid | self.contents.ready)),
            places.read_enable.eq(there), places.read_address.eq(begin), self.contents.payload.eq(places.read_data),
        ]
        with m.If(axi.rvalid):
            m.d.sync += beat.eq(Mux(axi.rlast, 0, beat + 1))
            with m.If(axi.rlast):
                m.d.sync += arrived.bit_select(owners.r_data, 1).eq(1)
        with m.If(there):
            m.d.sync += [arrived.bit_select(begin, 1).eq(0), self.contents.valid.eq(1)]
        with m.Elif(self.contents.ready):
            m.d.sync += self.contents.valid.eq(0)
        with m.If(axi.rvalid & (axi.rresp != 0)):
            m.d.sync += self.error.eq(1)
        with m.Elif(self.clear):
            m.d.sync += self.error.eq(0)
        return there
