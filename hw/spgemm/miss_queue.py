"""Reads of blocks in an order that suits the memory's banks, which come back in the order of the asking."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

from golden.isa.spgemm import FIRST_BITS
from golden.spgemm.params import SpgemmParams
from hw.fabric.axi import ADDRESS_BITS, axi_read
from hw.fabric.ram import Ram
from hw.fabric.round_robin import RoundRobin

__all__ = ["MissQueue"]


class MissQueue(wiring.Component):
    """DRAM banks work side by side, but one that must open another row keeps all reads behind it waiting. So reads wait
    in `miss_queues` queues, by address bits from `miss_bit` on, which take turns, until fewer than `in_flight` reads
    are at the memory; blocks that come back too early wait in a RAM of `outstanding` blocks.

    A read a cycle, also if all are of one queue, and a beat a cycle. A block comes LATENCY cycles after its number if
    the memory gives a beat a cycle from the next one.

    Attributes:
        blocks: numbers of blocks of `block_lines` memory words from `base` on. contents: of each, in the same order.
        axi: reads of a block each. base: a multiple of a block.
        error: sticky: a response that is not OKAY; `clear` resets it.
    """

    LATENCY = 7
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
        end, level = Signal(range(p.outstanding)), Signal(range(p.outstanding + 1))
        entered, read = self._queues(m, end, level[-1])
        m.submodules.owners = owners = SyncFIFO(width=len(end), depth=p.in_flight)
        self._ask(m, read, owners)
        delivered = self._deliver(m, owners)
        m.d.sync += end.eq(end + entered)
        with m.If(entered != delivered):
            m.d.sync += level.eq(level + Mux(entered, 1, -1))
        return m

    def _number(self, m):
        """Stream of block and number of its queue, which its bank tells, a cycle after it came."""
        p, shift = self.params, self.shift
        bits = (p.miss_queues - 1).bit_length()
        low = Signal(p.miss_bit + bits - shift)
        m.d.comb += low.eq(self.base[shift:] + self.blocks.payload)
        numbered = stream.Signature(
            data.StructLayout({"block": self.block_bits, "queue": range(max(2, p.miss_queues))})
        ).create(path=("numbered",))
        m.d.comb += self.blocks.ready.eq(~numbered.valid | numbered.ready)
        with m.If(self.blocks.ready):
            m.d.sync += [
                numbered.valid.eq(self.blocks.valid), numbered.payload.block.eq(self.blocks.payload),
                numbered.payload.queue.eq(low[p.miss_bit - shift :] if bits else 0),
            ]  # fmt: skip
        return numbered

    def _queues(self, m, end, full):
        """(strobe: a block enters and gets the place `end`, not if `full`; stream of the reads).

        A block enters and one leaves in a cycle, so all queues are in one RAM.
        """
        p = self.params
        bits = (self.QUEUE_DEPTH - 1).bit_length()
        ends, begins, levels = (
            Array(Signal(width, name=f"{name}_{queue}") for queue in range(p.miss_queues))
            for name, width in (("end", bits), ("begin", bits), ("level", bits + 1))
        )
        numbered, entered = self._number(m), Signal()
        to, row = numbered.payload.queue, Signal(self.read_layout)
        chosen, left, moves, read = self._take_turns(m, levels)
        m.submodules.rows = rows = Ram(width=row.shape().size, depth=p.miss_queues * self.QUEUE_DEPTH)
        m.d.comb += [
            numbered.ready.eq(~full & ~Array(level[-1] for level in levels)[to]),
            entered.eq(numbered.valid & numbered.ready), row.block.eq(numbered.payload.block), row.place.eq(end),
            rows.write_enable.eq(entered), rows.write_address.eq(Cat(ends[to], to)), rows.write_data.eq(row),
            rows.read_enable.eq(moves), rows.read_address.eq(Cat(begins[left], left)),
            read.payload.eq(data.View(self.read_layout, rows.read_data)),
        ]  # fmt: skip
        for queue, (here, begin, level) in enumerate(zip(ends, begins, levels, strict=True)):
            enters, leaves = entered & (to == queue), moves & chosen[queue]
            with m.If(enters):
                m.d.sync += here.eq(here + 1)
            with m.If(leaves):
                m.d.sync += begin.eq(begin + 1)
            with m.If(enters != leaves):
                m.d.sync += level.eq(level + Mux(enters, 1, -1))
        return entered, read

    def _take_turns(self, m, levels):
        """(whose read is next, one-hot and as a number; whether it leaves if there is one; stream of the reads, without
        their payload, which is what the queue's row holds).

        That is decided a cycle ahead, in which the one that leaves is still in its queue's level.
        """
        read = stream.Signature(self.read_layout).create(path=("read",))
        m.submodules.turns = turns = RoundRobin(len(levels))
        chosen, number = Signal(len(levels)), Signal(range(max(2, len(levels))))
        some, moves = Signal(), Signal()
        m.d.comb += [moves.eq(~read.valid | read.ready), turns.take.eq(~some | moves)]
        for queue, level in enumerate(levels):
            m.d.comb += turns.requests[queue].eq(level[1:].any() | (level[0] & ~chosen[queue]))
        for bit in range(len(number)):
            m.d.comb += number[bit].eq(Cat(chosen[queue] for queue in range(len(levels)) if queue >> bit & 1).any())
        with m.If(turns.take):
            m.d.sync += [chosen.eq(turns.grant), some.eq(turns.requests.any())]
        with m.If(moves):
            m.d.sync += read.valid.eq(some)
        return chosen, number, moves, read

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

    def _deliver(self, m, owners):
        """Blocks to their places, and on in order; strobe: one leaves its place.

        A bit for each place changes when a block comes, so in every round of the places it is another one that tells.
        """
        p, axi = self.params, self.axi
        m.submodules.places = places = Ram(
            width=p.block_lines * p.axi_bits, depth=p.outstanding, parts=p.block_lines
        )
        arrived, there, beat = Signal(p.outstanding), Signal(), Signal(range(max(2, p.block_lines)))
        begin, round_, came = Signal(range(p.outstanding)), Signal(), Signal()
        m.d.comb += [
            axi.rready.eq(1), came.eq(axi.rvalid & axi.rlast), owners.r_en.eq(came),
            places.write_enable.eq(Mux(axi.rvalid, 1 << beat, 0)), places.write_address.eq(owners.r_data),
            places.write_data.eq(axi.rdata.replicate(p.block_lines)),
            there.eq((arrived.bit_select(begin, 1) != round_) & (~self.contents.valid | self.contents.ready)),
            places.read_enable.eq(there), places.read_address.eq(begin), self.contents.payload.eq(places.read_data),
        ]
        with m.If(axi.rvalid):
            m.d.sync += beat.eq(Mux(axi.rlast, 0, beat + 1))
        m.d.sync += arrived.eq(arrived ^ (came << owners.r_data))
        with m.If(there):
            m.d.sync += [Cat(begin, round_).eq(Cat(begin, round_) + 1), self.contents.valid.eq(1)]
        with m.Elif(self.contents.ready):
            m.d.sync += self.contents.valid.eq(0)
        with m.If(axi.rvalid & (axi.rresp != 0)):
            m.d.sync += self.error.eq(1)
        with m.Elif(self.clear):
            m.d.sync += self.error.eq(0)
        return there
