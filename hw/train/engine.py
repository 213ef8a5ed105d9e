"""The training engine: dispatcher, queues, units and memory ports."""

from typing import ClassVar

from amaranth.hdl import Cat, Module
from amaranth.lib import wiring

from golden.isa.train import ISA, QUEUES
from golden.train.params import TrainParams
from hw.fabric.axi import AxiReader, AxiWriter
from hw.fabric.isa_layout import instruction_layout
from hw.fabric.tokens import TokenQueue, TokenTable
from hw.shell.core import EngineCore
from hw.shell.program_reader import ProgramReader
from hw.shell.run_status import RunStatus

from .dispatcher import Dispatcher
from .load import LoadUnit, load_layout
from .matrix import MatrixUnit
from .sums import Sums
from .uspe import USPE_MODULE, Uspe

__all__ = ["TrainEngine"]


class TrainEngine(EngineCore):
    """Runs a program from memory; see docs/train_isa.md. Ports: m for what is multiplied and comes out, p for the
    program.
    """

    NAME = "train"
    ARGUMENTS = 0
    RESULTS = 0
    COUNTERS = ("cycles", "steps", "load_cycles", "matrix_cycles", "load_stall", "matrix_stall")
    """steps: cycles in which the array's first row multiplies. *_cycles: the unit has work. *_stall: its next
    instruction waits for a token."""
    UNITS = QUEUES[:-1]
    BLOCKS: ClassVar = {USPE_MODULE: lambda _: Uspe()}

    @staticmethod
    def memory_ports(params: TrainParams) -> tuple[tuple[str, ...], int]:
        return ("m", "p"), params.axi_bits

    @staticmethod
    def cycles_to_clear(params: TrainParams) -> int:
        return MatrixUnit.CLEAR

    def elaborate(self, platform):
        m = Module()
        p = self.params
        m.submodules.program = program = ProgramReader(p.axi_bits, ISA.bits)
        m.submodules.dispatcher = dispatcher = Dispatcher(p)
        m.submodules.load = load = LoadUnit(p)
        m.submodules.matrix = matrix = MatrixUnit(p)
        m.submodules.reader = reader = AxiReader(p.axi_bits, burst_beats=p.burst_beats, outstanding=p.outstanding)
        m.submodules.writer = writer = AxiWriter(p.axi_bits, every_cycle=True)
        for unit, port in ((program.read, self.read[1]), (program.write, self.write[1]),
                           (reader.axi, self.read[0]), (writer.axi, self.write[0])):
            wiring.connect(m, unit, wiring.flipped(port))
        wiring.connect(m, program.o, dispatcher.program)
        wiring.connect(m, load.commands, reader.command)
        wiring.connect(m, reader.o, load.beats)
        low = (p.axi_bits // 8).bit_length() - 1
        m.d.comb += [
            *(getattr(program, name).eq(getattr(self, name)) for name in ("start", "words", "address")),
            program.base.eq(self.bases[1]), load.base.eq(self.bases[0]),
            dispatcher.start.eq(program.begins), dispatcher.words.eq(program.length), self.pc.eq(dispatcher.pc),
            reader.clear.eq(self.start), writer.clear.eq(self.start),
            *(getattr(matrix, name).eq(getattr(load, name))
              for name in ("write_x", "write_values", "write_index", "write_row", "write_data")),
            writer.i.valid.eq(matrix.words.valid), matrix.words.ready.eq(writer.i.ready),
            writer.i.payload.address.eq(self.bases[0] + (matrix.words.payload.address << low)),
            writer.i.payload.data.eq(matrix.words.payload.data),
            writer.i.payload.strobe.eq(~0), matrix.answered.eq(writer.answered),
        ]
        queues, tokens = self._queues(m, dispatcher, load, matrix)
        self._status(m, program, dispatcher, load, matrix, reader, writer, queues, tokens)
        return m

    def _queues(self, m, dispatcher, load, matrix):
        p = self.params
        m.submodules.tokens = tokens = TokenTable(len(QUEUES))
        units = ((load.load, load.finished, LoadUnit.OVERLAP), (matrix.mm, matrix.finished, Sums.QUEUE))
        queues = []
        for number, (name, (unit, finished, overlap)) in enumerate(zip(QUEUES, units, strict=False)):
            queue = TokenQueue(ISA.bits, len(QUEUES), p.queue_depth, overlap)
            m.submodules[f"queue_{name.lower()}"] = queue
            wiring.connect(m, dispatcher.queues[number], queue.i)
            head = instruction_layout(ISA, "LDW")(queue.head)
            m.d.comb += [
                queue.wait.eq(head.wait), queue.release.eq(head.release), queue.available.eq(tokens.available[number]),
                tokens.take[number].eq(queue.take), tokens.release[number].eq(queue.give),
                unit.valid.eq(queue.go), queue.accept.eq(unit.ready), queue.finished.eq(finished),
            ]
            queues.append(queue)
        for name in load_layout().members:
            if name != "w":
                m.d.comb += getattr(load.load.payload, name).eq(getattr(instruction_layout(ISA, "LDW")(queues[0].head),
                                                                        name))
        m.d.comb += [
            load.load.payload.w.eq(queues[0].head[:8] == ISA.by_name("LDW").opcode),
            matrix.mm.payload.as_value().eq(queues[1].head),
            dispatcher.idle.eq(Cat(queue.idle for queue in queues).all()),
        ]
        return queues, tokens

    def _status(self, m, program, dispatcher, load, matrix, reader, writer, queues, tokens):
        names = ("program_size", "illegal", "token", "axi_read", "axi_write")
        m.submodules.end = end = RunStatus(names)
        m.d.comb += [
            end.start.eq(self.start), end.halted.eq(dispatcher.halted), end.code.eq(dispatcher.code),
            end.errors.eq(Cat(
                dispatcher.too_long, dispatcher.illegal | load.wrong | matrix.wrong, tokens.error,
                program.error | reader.error, writer.error)),
            end.moving.eq(Cat(dispatcher.dispatched, load.finished, matrix.finished, writer.answered, matrix.steps,
                              load.beats.valid & load.beats.ready).any()),
            self.done.eq(end.done), self.status.eq(end.status), self.busy.eq(Cat(~queue.idle for queue in queues)),
        ]  # fmt: skip
        counted = (1, matrix.steps, ~queues[0].idle, ~queues[1].idle, queues[0].stalled, queues[1].stalled)
        for counter, event in zip(self.counters, counted, strict=True):
            with m.If(self.start):
                m.d.sync += counter.eq(0)
            with m.Elif(end.running & event):
                m.d.sync += counter.eq(counter + 1)
