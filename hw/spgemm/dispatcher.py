"""Reads the program and deals its chunks to the row engines."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from golden.isa.spgemm import ISA
from golden.spgemm.params import SpgemmParams
from hw.fabric.isa_layout import instruction_layout

from .layouts import chunk_layout

__all__ = ["Dispatcher"]


class Dispatcher(wiring.Component):
    """Three cycles an instruction, if a row engine takes the chunk.

    Attributes:
        start, words: strobe, length of the program in instructions. program: its memory words.
        chunks: a stream a row engine. A chunk that is not fixed goes to the lowest that is ready.
        hash_by, shift, scan, apart, uncached, b, c, n: of the last SET; told: strobe: they are new.
        idle: of the row engines. flush: strobe: they write what is left; flushed: they have, until the next start.
        dispatched: strobe. pc: instructions read. halted: with code. illegal, too_long: the program is wrong, sticky
            until start: an instruction; its end without HALT.
    """

    def __init__(self, params: SpgemmParams):
        self.params = params
        super().__init__({
            "start": In(1), "words": In(32), "program": In(stream.Signature(params.axi_bits)),
            "chunks": Out(stream.Signature(chunk_layout())).array(params.engines),
            "hash_by": Out(2), "shift": Out(5), "scan": Out(1), "apart": Out(1), "uncached": Out(1), "b": Out(32),
            "c": Out(32), "n": Out(32), "told": Out(1), "idle": In(params.engines), "flush": Out(1),
            "flushed": In(params.engines), "dispatched": Out(1),
            "pc": Out(32), "halted": Out(1), "code": Out(8), "illegal": Out(1), "too_long": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        per_word = self.params.axi_bits // ISA.bits
        word, place = Signal(self.params.axi_bits, reset_less=True), Signal(range(max(2, per_word)))
        instruction, target = Signal(ISA.bits, reset_less=True), Signal(self.params.engines, reset_less=True)
        views = {}
        for fmt in ISA.formats:
            views[fmt.name] = view = Signal(instruction_layout(ISA, fmt.name), name=fmt.name)
            m.d.comb += view.eq(instruction)
        put, chunk = views["SET"], views["CHUNK"]
        ready = Signal(self.params.engines)
        m.d.sync += [ready.eq(Cat(stream.ready for stream in self.chunks)), self.told.eq(0), self.flush.eq(0)]
        known = Signal()  # a SET has been
        for out in self.chunks:
            m.d.comb += [out.payload.id.eq(chunk.id), out.payload.word.eq(chunk.a), out.payload.entries.eq(chunk.n)]

        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [self.pc.eq(0), known.eq(0)]
                with m.If(self.start):
                    m.d.sync += [self.halted.eq(0), self.illegal.eq(0), self.too_long.eq(0)]
                    m.next = "WORD"
            with m.State("WORD"):
                m.d.comb += self.program.ready.eq(1)
                m.d.sync += [word.eq(self.program.payload), place.eq(0)]
                with m.If(self.pc == self.words):
                    m.d.sync += self.too_long.eq(1)
                    m.next = "IDLE"
                with m.Elif(self.program.valid):
                    m.next = "FETCH"
            with m.State("FETCH"):
                m.d.sync += [instruction.eq(word.word_select(place, ISA.bits)), self.pc.eq(self.pc + 1)]
                m.d.sync += place.eq(place + 1)
                m.d.comb += self.dispatched.eq(1)
                m.next = "EXECUTE"
                with m.If(self.pc == self.words):
                    m.d.sync += self.too_long.eq(1)
                    m.next = "IDLE"
            with m.State("EXECUTE"):
                lowest = ready & -ready
                fits = Mux(chunk.fixed, chunk.engine < self.params.engines, 1) & known & (chunk.n != 0)
                m.d.sync += target.eq(Mux(chunk.fixed, 1 << chunk.engine, lowest))
                with m.Switch(chunk.opcode):
                    with m.Case(ISA.by_name("SET").opcode):
                        m.d.sync += self.hash_by.eq(put.hash)
                        m.d.sync += [getattr(self, name).eq(getattr(put, name))
                                     for name in ("shift", "scan", "apart", "uncached", "b", "c", "n")]
                        with m.If(put.scan & ~put.apart):
                            m.d.sync += self.illegal.eq(1)
                            m.next = "IDLE"
                        with m.Else():
                            m.d.sync += [known.eq(1), self.told.eq(1)]
                            m.next = "NEXT"
                    with m.Case(ISA.by_name("CHUNK").opcode):
                        with m.If(~fits):
                            m.d.sync += self.illegal.eq(1)
                            m.next = "IDLE"
                        with m.Elif(chunk.fixed | ready.any()):
                            m.next = "GIVE"
                    with m.Case(ISA.by_name("HALT").opcode):
                        m.d.sync += self.code.eq(views["HALT"].code)
                        m.next = "DRAIN"
                    with m.Default():
                        m.d.sync += self.illegal.eq(1)
                        m.next = "IDLE"
            with m.State("GIVE"):
                m.d.comb += [out.valid.eq(target[number]) for number, out in enumerate(self.chunks)]
                with m.If((target & Cat(stream.ready for stream in self.chunks)).any()):
                    m.d.sync += ready.eq(0)
                    m.next = "NEXT"
            with m.State("NEXT"):
                m.next = "FETCH"
                if per_word == 1:
                    m.next = "WORD"
                else:
                    with m.If(place == 0):
                        m.next = "WORD"
            with m.State("DRAIN"):
                with m.If(self.idle.all()):
                    m.d.sync += self.flush.eq(1)
                    m.next = "FLUSH"
            with m.State("FLUSH"):
                with m.If(self.flushed.all()):
                    m.d.sync += self.halted.eq(1)
                    m.next = "IDLE"
        return m
