"""A row engine: rows of C from entries of A, one memory channel."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from golden.spgemm.params import SpgemmParams
from golden.spgemm.record import COUNTERS, RECORD_BYTES
from hw.fabric.axi import ADDRESS_BITS, AxiWriter, axi_read, axi_write
from hw.fabric.block import instantiate
from hw.fabric.read_join import ReadJoin

from .admit import Admit
from .bank_group import BANK_GROUP_MODULE, BankGroup
from .board import EndBoard
from .fetch import EntryFetch
from .layouts import chunk_layout
from .line_cache import LineCache
from .multiply import Multiply
from .phases import Phases
from .results import Results
from .row_walk import RowWalk
from .spread import Spread
from .tally import Tally
from .write_back import WriteBack

__all__ = ["ROW_ENGINE_MODULE", "RowEngine"]

ROW_ENGINE_MODULE = "lacuna_row_engine"


class RowEngine(wiring.Component):
    """Works on chunks; up to a line of B a cycle.

    Attributes:
        start: strobe: a run begins; its SET comes with `told`: the cursors are set and the cache forgets everything.
        base: byte address of the channel. hash_by .. n: of the SET.
        chunks: chunks. idle: none is here and their rows are with the writer.
        flush: strobe: what is left and the counters are written. flushed: they are, until the next start.
        axi_read_error, axi_write_error, overflow: sticky until start. moving: strobe: data comes from memory.
        read, write: the memory port.
    """

    def __init__(self, params: SpgemmParams):
        self.params = params
        super().__init__(self.ports(params))

    @staticmethod
    def ports(params: SpgemmParams) -> wiring.Signature:
        return wiring.Signature({
            "start": In(1), "told": In(1), "base": In(ADDRESS_BITS), "hash_by": In(2), "shift": In(5), "scan": In(1),
            "apart": In(1), "uncached": In(1), "b": In(32), "c": In(32), "n": In(32),
            "chunks": In(stream.Signature(chunk_layout())), "idle": Out(1), "flush": In(1), "flushed": Out(1),
            "axi_read_error": Out(1), "axi_write_error": Out(1), "overflow": Out(1), "moving": Out(1),
            "read": Out(axi_read(params.axi_bits)), "write": Out(axi_write(params.axi_bits)),
        })

    def elaborate(self, platform):
        m = Module()
        p = self.params
        m.submodules.fetch = fetch = EntryFetch(p)
        m.submodules.walk = walk = RowWalk(p)
        m.submodules.cache = cache = LineCache(p)
        m.submodules.admit = admit = Admit(p)
        m.submodules.phases = phases = Phases(p)
        m.submodules.multiply = multiply = Multiply(p)
        m.submodules.spread = spread = Spread(p)
        m.submodules.board = board = EndBoard(p)
        m.submodules.write_back = write_back = WriteBack(p)
        m.submodules.results = results = Results(p)
        m.submodules.join = join = ReadJoin(p.axi_bits, masters=2, depth=2 * p.outstanding)
        m.submodules.writer = writer = AxiWriter(p.axi_bits, every_cycle=True)
        groups = [instantiate(m, BANK_GROUP_MODULE, BankGroup.ports(p), f"group_{number}")
                  for number in range(p.banks // p.queue_banks)]  # fmt: skip
        for lines, group in zip(spread.queues, groups, strict=True):
            wiring.connect(m, lines, group.lines)
        banks = [bank for group in groups for bank in group.banks]

        wiring.connect(m, wiring.flipped(self.chunks), fetch.chunks)
        wiring.connect(m, fetch.walk, walk.chunks)
        wiring.connect(m, fetch.words, walk.entries)
        wiring.connect(m, walk.requests, cache.requests)
        wiring.connect(m, walk.begun, admit.begun)
        wiring.connect(m, cache.lines, admit.arrivals)
        wiring.connect(m, admit.order, write_back.order)
        wiring.connect(m, admit.lines, multiply.lines)
        wiring.connect(m, cache.axi, join.masters[0])
        wiring.connect(m, fetch.axi, join.masters[1])
        wiring.connect(m, join.port, wiring.flipped(self.read))
        wiring.connect(m, write_back.elements, results.elements)
        wiring.connect(m, write_back.numbers, results.numbers)
        wiring.connect(m, results.beats, writer.i)
        wiring.connect(m, writer.axi, wiring.flipped(self.write))

        word_shift = p.beat_bytes.bit_length() - 1
        room = Signal()
        m.d.sync += room.eq(Cat(group.room for group in groups).all())
        m.d.comb += [
            fetch.base.eq(self.base), fetch.clear.eq(self.start), cache.base.eq(self.base + (self.b << word_shift)),
            cache.clear.eq(self.start), cache.invalidate.eq(self.told),
            walk.apart.eq(self.apart), phases.apart.eq(self.apart), write_back.scan.eq(self.scan),
            cache.uncached.eq(self.uncached), multiply.room.eq(room), multiply.hash_by.eq(self.hash_by),
            multiply.shift.eq(self.shift),
            spread.products.eq(multiply.products), spread.valid.eq(multiply.valid),
            writer.clear.eq(self.start),
            results.start.eq(self.told), results.base.eq(self.base), results.c.eq(self.c), results.n.eq(self.n),
            results.alone.eq(self.idle),
            self.moving.eq(self.read.rvalid & self.read.rready),
        ]
        self._rows(m, walk, cache, admit, phases, multiply, banks, board, write_back)
        self._ends(m, fetch, walk, cache, admit, phases, write_back, results, writer, banks, spread)
        self._count(m, cache, multiply, write_back, results, banks)
        return m

    def _rows(self, m, walk, cache, admit, phases, multiply, banks, board, write_back):
        """From allocation to release: what banks and write-back tell each other."""
        released = write_back.released
        m.d.comb += [
            board.last.eq(multiply.valid & multiply.products.last),
            board.row.eq(Cat(multiply.products.row.context, multiply.products.row.half)),
            board.clear.eq(write_back.release), board.cleared.eq(Cat(released.context, released.half)),
            write_back.ended.eq(board.ended), write_back.leaving.eq(phases.leaving),
            phases.closed.eq(walk.closed), walk.over.eq(phases.over), phases.ended.eq(board.ended),
            phases.asked.eq(cache.requests.valid & cache.requests.ready),
            phases.came.eq(admit.came),
            phases.begins.eq(admit.begins), phases.began.eq(admit.began),
            phases.release.eq(write_back.release), phases.released.eq(released),
            admit.release.eq(write_back.release), admit.released.eq(released),
        ]
        for number, bank in enumerate(banks):
            m.d.comb += [
                board.strobe[number].eq(bank.ended), bank.scan.eq(self.scan), bank.sweep.eq(admit.sweep),
                bank.sweep_address.eq(admit.sweep_address), bank.count_index.eq(write_back.count_index),
                write_back.counts[number].eq(bank.count), bank.read.eq(write_back.read[number]),
                bank.read_address.eq(write_back.read_address), write_back.read_live[number].eq(bank.read_live),
                write_back.read_data[number].eq(bank.read_data),
            ]

    def _ends(self, m, fetch, walk, cache, admit, phases, write_back, results, writer, banks, spread):
        """Idle, the end of a run and what went wrong."""
        m.d.sync += self.idle.eq(~fetch.busy & walk.idle & phases.nothing_comes & ~admit.busy & write_back.idle
                                 & ~self.chunks.valid)
        with m.FSM():
            with m.State("RUN"):
                with m.If(self.flush):
                    m.d.comb += write_back.flush.eq(1)
                    m.next = "FLUSH"
            with m.State("FLUSH"):
                with m.If(write_back.idle):
                    m.d.comb += results.record.eq(1)
                    m.next = "RECORD"
            with m.State("RECORD"):
                with m.If(results.recorded):
                    m.next = "ANSWERS"
            with m.State("ANSWERS"):
                with m.If(~results.beats.valid & ~writer.busy):
                    m.d.sync += self.flushed.eq(1)
                    m.next = "RUN"
        lost = Cat(*(bank.overflow for bank in banks), spread.lost).any()
        with m.If(self.start):
            m.d.sync += [self.flushed.eq(0), self.overflow.eq(0)]
        with m.Elif(lost):
            m.d.sync += self.overflow.eq(1)
        m.d.sync += [
            self.axi_read_error.eq(fetch.error | cache.error), self.axi_write_error.eq(writer.error),
        ]

    def _count(self, m, cache, multiply, write_back, results, banks):
        lines = multiply.lines
        m.submodules.tally = tally = Tally(len(COUNTERS), max(self.params.banks, self.params.lanes, 32))
        counted = {
            "lines": lines.valid & lines.ready,
            "bank_wait": lines.valid & ~lines.ready,
            "memory_wait": ~lines.valid & cache.memory_wait,
            "no_request": ~lines.valid & ~cache.memory_wait & ~self.idle,
            "idle": ~lines.valid & ~cache.memory_wait & self.idle,
            "hits": cache.hit, "misses": cache.miss, "starved": write_back.starved,
            "numbers": write_back.order.valid & write_back.order.ready, "elements": write_back.sent,
            "products": Mux(lines.valid & lines.ready, lines.payload.mask, 0),
            "probing": Cat(bank.probing for bank in banks), "same_element": Cat(bank.waiting for bank in banks),
            "yielding": Cat(bank.yielding for bank in banks),
        }
        running = Signal()
        with m.If(self.told):
            m.d.sync += running.eq(1)
        with m.Elif(self.flush):
            m.d.sync += running.eq(0)
        m.d.comb += [
            tally.clear.eq(self.told), tally.running.eq(running),
            *(tally.strobes[i].eq(counted[name]) for i, name in enumerate(COUNTERS)),
            results.counters.eq(Cat(*(tally.counts[i] for i in range(len(COUNTERS))))),
        ]
        assert len(COUNTERS) * 4 <= RECORD_BYTES
