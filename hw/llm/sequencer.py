"""Instruction scheduler: loads the program, runs the SYS class, resolves operands, dispatches to the queues."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from golden.isa.llm import ISA, QUEUES, Alu
from golden.params import LlmParams
from hw.fabric.isa_layout import instruction_layout
from hw.fabric.ram import Ram

__all__ = ["ARGUMENTS", "Sequencer"]

ARGUMENTS = 4
"""Registers 1..ARGUMENTS are loaded from the control registers at start."""
REGISTERS = 16


class Sequencer(wiring.Component):
    """Three cycles an instruction, four after a jump. A register is written while the next instruction is fetched.

    Attributes:
        start, words, arguments: strobe, program length in instructions (0: what is there runs), initial registers.
        program: the program's memory words, one stream; `load` asks for them.
        queues: one stream a class (LD, ST, MV, MISC): the word with a, b, n resolved.
        available, take: tokens for SYS; give: tokens it releases.
        idle: all queues are idle. dispatched: strobe: an instruction is on its way.
        halted, code: HALT has run. illegal: an illegal instruction, or none: the program has ended without HALT.
        too_long: a program longer than the store, or none.
    """

    def __init__(self, params: LlmParams):
        self.params = params
        super().__init__({
            "start": In(1),
            "words": In(32),
            "arguments": In(32).array(ARGUMENTS),
            "load": Out(1),
            "program": In(stream.Signature(params.axi_bits)),
            "queues": Out(stream.Signature(ISA.bits)).array(len(QUEUES) - 1),
            "available": In(len(QUEUES)),
            "take": Out(len(QUEUES)),
            "give": Out(len(QUEUES)),
            "idle": In(1),
            "dispatched": Out(1),
            "halted": Out(1),
            "illegal": Out(1),
            "too_long": Out(1),
            "code": Out(8),
            "pc": Out(32),
        })

    def elaborate(self, platform):
        m = Module()
        per_word = self.params.axi_bits // ISA.bits
        shift = per_word.bit_length() - 1
        m.submodules.store = store = Ram(
            width=self.params.axi_bits, depth=max(2, self.params.imem_words // per_word)
        )
        pc, loaded, length = self.pc, Signal(17), Signal(32)
        word = Signal(ISA.bits, reset_less=True)
        resolved = Signal(ISA.bits, reset_less=True)
        resolved_a = resolved[32:64]
        registers = [Signal(32, name=f"r{i}") for i in range(1, REGISTERS)]

        def register(select):
            value = Signal(32, name=f"read_{select.name if hasattr(select, 'name') else len(values)}")
            values.append(value)
            with m.Switch(select):
                for n, reg in enumerate(registers, 1):
                    with m.Case(n):
                        m.d.comb += value.eq(reg)
            return value

        values = []
        inst = Signal(instruction_layout(ISA, "ALU"))
        m.d.comb += inst.eq(word)
        ra, rb, rn = register(inst.ra), register(inst.rb), register(inst.rn)
        m.d.comb += [
            store.read_address.eq(pc >> shift),
            store.write_address.eq(loaded),
            store.write_data.eq(self.program.payload),
            *(queue.payload.eq(resolved) for queue in self.queues),
        ]

        is_alu, is_dbnz, is_halt = (inst.opcode == ISA.by_name(name).opcode for name in ("ALU", "DBNZ", "HALT"))
        first, second, counter = Signal(32, reset_less=True), resolved[64:96], Signal(32, reset_less=True)
        total, product, shifted = (Signal(32, name=n, reset_less=True) for n in ("total", "product", "shifted"))
        less, writing, result = Signal(reset_less=True), Signal(), Signal(32)
        m.d.sync += [
            first.eq(ra),
            counter.eq(register(inst.rd) - 1),
            total.eq(Mux(inst.alu == Alu.ADD, first + second, first - second)),
            product.eq(first * second[:16]),
            shifted.eq(Mux(inst.alu == Alu.SHL, first << second[:5], first >> second[:5])),
            less.eq(first < second),
            writing.eq(0),
        ]
        with m.Switch(inst.alu):
            for op, value in (
                (Alu.ADD, total), (Alu.SUB, total), (Alu.SHL, shifted), (Alu.SHR, shifted), (Alu.AND, first & second),
                (Alu.MUL, product), (Alu.MIN, Mux(less, first, second)), (Alu.MAX, Mux(less, second, first)),
            ):
                with m.Case(op):
                    m.d.comb += result.eq(value)
        with m.If(is_dbnz):
            m.d.comb += result.eq(counter)
        with m.If(writing):
            with m.Switch(inst.rd):
                for n, reg in enumerate(registers, 1):
                    with m.Case(n):
                        m.d.sync += reg.eq(result)

        queue_of = {fmt.opcode: QUEUES.index(fmt.queue) for fmt in ISA.formats}
        sys_ready = (inst.wait & ~self.available) == 0

        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += loaded.eq(0)
                with m.If(self.start):
                    m.d.sync += [self.halted.eq(0), self.illegal.eq(0), self.too_long.eq(0), pc.eq(0)]
                    m.d.sync += [r.eq(self.arguments[i] if i < ARGUMENTS else 0) for i, r in enumerate(registers)]
                    with m.If(self.words > self.params.imem_words):
                        m.d.sync += self.too_long.eq(1)
                    with m.Elif(self.words != 0):
                        m.d.comb += self.load.eq(1)
                        m.d.sync += length.eq(0)
                        m.next = "LOAD"
                    with m.Elif(length != 0):
                        m.next = "READ"
                    with m.Else():
                        m.d.sync += self.too_long.eq(1)
            with m.State("LOAD"):
                m.d.comb += [self.program.ready.eq(1), store.write_enable.eq(self.program.valid)]
                with m.If(self.program.valid):
                    m.d.sync += loaded.eq(loaded + 1)
                    with m.If(((loaded + 1) << shift) >= self.words):
                        m.d.sync += length.eq(self.words)
                        m.next = "READ"
            with m.State("READ"):
                m.next = "FETCH"
            with m.State("FETCH"):
                select = pc[:shift] if shift else Const(0, 1)
                m.d.sync += word.eq(store.read_data.word_select(select, ISA.bits) if shift else store.read_data)
                m.next = "RESOLVE"
                with m.If(pc >= length):
                    m.d.sync += self.illegal.eq(1)
                    m.next = "IDLE"
            with m.State("RESOLVE"):
                m.d.sync += [
                    resolved.eq(Cat(word[:32], (inst.a + ra)[:32], (inst.b + rb)[:32], (inst.n + rn)[:32], word[128:])),
                    pc.eq(pc + 1),
                ]
                m.d.comb += self.dispatched.eq(1)
                m.next = "DISPATCH"
            with m.State("DISPATCH"):
                with m.Switch(inst.opcode):
                    for opcode, queue in queue_of.items():
                        if queue < len(self.queues):
                            with m.Case(opcode):
                                m.d.comb += self.queues[queue].valid.eq(1)
                                with m.If(self.queues[queue].ready):
                                    m.next = "FETCH"
                    with m.Case(*(op for op, queue in queue_of.items() if queue == len(self.queues))):
                        with m.If(sys_ready):
                            m.d.comb += [self.take.eq(inst.wait), self.give.eq(inst.release)]
                            m.next = "FETCH"
                            m.d.sync += writing.eq(is_alu | is_dbnz)
                            with m.If(is_dbnz & (counter != 0)):
                                m.d.sync += pc.eq(resolved_a)
                                m.next = "READ"
                            with m.If(is_halt):
                                m.next = "DRAIN"
                    with m.Default():
                        m.d.sync += self.illegal.eq(1)
                        m.next = "IDLE"
            with m.State("DRAIN"):
                with m.If(self.idle):
                    m.d.sync += [self.halted.eq(1), self.code.eq(resolved_a)]
                    m.next = "IDLE"
        return m
