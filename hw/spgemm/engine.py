"""The SpGEMM engine: a dispatcher and row engines, each with a memory channel of its own."""

from typing import ClassVar

from amaranth.hdl import Cat, Module
from amaranth.lib import wiring

from golden.isa.spgemm import ISA
from golden.spgemm.params import SpgemmParams
from hw.fabric.block import instantiate
from hw.shell.core import EngineCore
from hw.shell.program_reader import ProgramReader
from hw.shell.run_status import RunStatus

from .bank import BANK_MODULE, Bank
from .bank_group import BANK_GROUP_MODULE, BankGroup
from .dispatcher import Dispatcher
from .row_engine import ROW_ENGINE_MODULE, RowEngine

__all__ = ["SpgemmEngine"]


class SpgemmEngine(EngineCore):
    """Runs a program from memory; see docs/spgemm_isa.md. Ports: the row engines' channels c0, c1, .., then p for the
    program.
    """

    NAME = "spgemm"
    RESULTS = 0
    COUNTERS = ("cycles",)
    UNITS = ("dispatch", "rows", "flush")
    BLOCKS: ClassVar = {BANK_MODULE: Bank, BANK_GROUP_MODULE: BankGroup, ROW_ENGINE_MODULE: RowEngine}

    @staticmethod
    def memory_ports(params: SpgemmParams) -> tuple[tuple[str, ...], int]:
        return (*(f"c{engine}" for engine in range(params.engines)), "p"), params.axi_bits

    @staticmethod
    def cycles_to_clear(params: SpgemmParams) -> int:
        return 2 * max(params.slots, params.sets)

    def elaborate(self, platform):
        m = Module()
        p = self.params
        m.submodules.dispatcher = dispatcher = Dispatcher(p)
        m.submodules.reader = reader = ProgramReader(
            p.axi_bits, ISA.bits, burst_beats=p.burst_beats, outstanding=p.outstanding)
        engines = [self._row_engine(m, number, dispatcher) for number in range(p.engines)]
        m.d.comb += [
            dispatcher.idle.eq(Cat(*(engine.idle for engine in engines))),
            dispatcher.flushed.eq(Cat(*(engine.flushed for engine in engines))),
            self.pc.eq(dispatcher.pc),
            self.busy.eq(Cat(reader.busy, ~dispatcher.idle.all(), dispatcher.idle.all() & ~dispatcher.flushed.all())),
        ]
        self._program(m, dispatcher, reader)
        self._status(m, dispatcher, reader, engines)
        return m

    def _row_engine(self, m, number, dispatcher):
        engine = instantiate(m, ROW_ENGINE_MODULE, RowEngine.ports(self.params), f"row_engine_{number}")
        for mine, port in ((engine.read, self.read[number]), (engine.write, self.write[number])):
            for name, member in mine.signature.members.items():
                inner, outer = getattr(mine, name), getattr(port, name)
                m.d.comb += outer.eq(inner) if member.flow == wiring.Out else inner.eq(outer)
        m.d.comb += [
            engine.start.eq(self.start), engine.base.eq(self.bases[number]), engine.flush.eq(dispatcher.flush),
            engine.chunks.valid.eq(dispatcher.chunks[number].valid),
            engine.chunks.payload.eq(dispatcher.chunks[number].payload),
            dispatcher.chunks[number].ready.eq(engine.chunks.ready),
            *(getattr(engine, name).eq(getattr(dispatcher, name))
              for name in ("told", "hash_by", "shift", "scan", "apart", "uncached", "b", "c", "n")),
        ]
        return engine

    def _program(self, m, dispatcher, reader):
        m.d.comb += [
            *(getattr(reader, name).eq(getattr(self, name)) for name in ("start", "words", "address")),
            reader.base.eq(self.bases[-1]), dispatcher.start.eq(reader.begins), dispatcher.words.eq(reader.length),
        ]
        wiring.connect(m, reader.o, dispatcher.program)
        wiring.connect(m, reader.read, wiring.flipped(self.read[-1]))
        wiring.connect(m, reader.write, wiring.flipped(self.write[-1]))

    def _status(self, m, dispatcher, reader, engines):
        m.submodules.end = end = RunStatus(("program_size", "illegal", "overflow", "axi_read", "axi_write"))
        m.d.comb += [
            end.start.eq(self.start), end.halted.eq(dispatcher.halted), end.code.eq(dispatcher.code),
            end.errors.eq(Cat(
                dispatcher.too_long, dispatcher.illegal, Cat(*(engine.overflow for engine in engines)).any(),
                Cat(*(engine.axi_read_error for engine in engines), reader.error).any(),
                Cat(*(engine.axi_write_error for engine in engines)).any(),
            )),
            end.moving.eq(Cat(*(engine.moving for engine in engines), dispatcher.dispatched).any()),
            self.done.eq(end.done), self.status.eq(end.status),
        ]  # fmt: skip
        with m.If(self.start):
            m.d.sync += self.counters[0].eq(0)
        with m.Elif(end.running):
            m.d.sync += self.counters[0].eq(self.counters[0] + 1)
