"""Gives the instructions of a program to their queues."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from golden.isa.train import ISA, QUEUES
from golden.train.params import TrainParams
from hw.fabric.isa_layout import instruction_layout

__all__ = ["Dispatcher"]


class Dispatcher(wiring.Component):
    """Two cycles an instruction, and one for each memory word of it. HALT waits for all queues.

    Attributes:
        start, words: strobe, length of the program in instructions. program: its memory words.
        queues: a stream for each of QUEUES but SYS. idle: of all queues.
        dispatched: strobe. pc: instructions read. halted, with code; illegal: an instruction; too_long: the program
            ends without HALT. These three are sticky until start.
    """

    def __init__(self, params: TrainParams):
        self.params = params
        super().__init__({
            "start": In(1), "words": In(32), "program": In(stream.Signature(params.axi_bits)),
            "queues": Out(stream.Signature(ISA.bits)).array(len(QUEUES) - 1), "idle": In(1), "dispatched": Out(1),
            "pc": Out(32), "halted": Out(1), "code": Out(8), "illegal": Out(1), "too_long": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        parts = ISA.bits // self.params.axi_bits
        word, part = Signal(ISA.bits, reset_less=True), Signal(range(max(2, parts)))
        halt = Signal(instruction_layout(ISA, "HALT"))
        m.d.comb += [halt.eq(word), *(queue.payload.eq(word) for queue in self.queues)]
        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [self.pc.eq(0), part.eq(0)]
                with m.If(self.start):
                    m.d.sync += [self.halted.eq(0), self.illegal.eq(0), self.too_long.eq(0)]
                    m.next = "WORD"
            with m.State("WORD"):
                m.d.comb += self.program.ready.eq(1)
                with m.If(self.pc == self.words):
                    m.d.comb += self.program.ready.eq(0)
                    m.d.sync += self.too_long.eq(1)
                    m.next = "IDLE"
                with m.Elif(self.program.valid):
                    m.d.sync += [word.eq(Cat(word, self.program.payload)[-ISA.bits:]), part.eq(part + 1)]
                    with m.If(part == parts - 1):
                        m.d.sync += [part.eq(0), self.pc.eq(self.pc + 1)]
                        m.d.comb += self.dispatched.eq(1)
                        m.next = "GIVE"
            with m.State("GIVE"):
                with m.Switch(halt.opcode):
                    for fmt in ISA.formats:
                        with m.Case(fmt.opcode):
                            if fmt.name == "HALT":
                                with m.If(self.idle):
                                    m.d.sync += [self.halted.eq(1), self.code.eq(halt.code)]
                                    m.next = "IDLE"
                            else:
                                queue = self.queues[QUEUES.index(fmt.queue)]
                                m.d.comb += queue.valid.eq(1)
                                with m.If(queue.ready):
                                    m.next = "WORD"
                    with m.Default():
                        m.d.sync += self.illegal.eq(1)
                        m.next = "IDLE"
        return m
