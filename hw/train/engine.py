"""The training engine: dispatcher, queues, units and memory ports."""

from typing import ClassVar

from amaranth.hdl import Cat, Module, Mux
from amaranth.lib import wiring

from golden.isa.train import ISA, QUEUES
from golden.train.params import TrainParams
from hw.fabric.axi import AxiReader, AxiWriter
from hw.fabric.isa_layout import instruction_layout
from hw.fabric.read_join import ReadJoin
from hw.fabric.tokens import TokenQueue, TokenTable
from hw.fabric.write_join import WriteJoin
from hw.shell.core import EngineCore
from hw.shell.program_reader import ProgramReader
from hw.shell.run_status import RunStatus

from .channel_lane import CHANNEL_LANE_MODULE, ChannelLane
from .dispatcher import Dispatcher
from .layouts import masked_layout
from .load import LoadUnit, load_layout
from .matrix import MatrixUnit
from .sums import Sums
from .update_lane import UPDATE_LANE_MODULE, update_lane
from .update_unit import UpdateUnit
from .uspe import USPE_MODULE, Uspe
from .vector_lane import VECTOR_LANE_MODULE, VectorLane
from .vector_sums import SUM_LANE_MODULE, SumLane
from .vector_unit import VectorUnit

__all__ = ["TrainEngine"]


class TrainEngine(EngineCore):
    """Runs a program from memory; see docs/train_isa.md. Ports: m for what is multiplied and comes out, p for the
    program. Arguments: `TrainParams.arguments`.
    """

    NAME = "train"
    RESULTS = 0
    COUNTERS = ("cycles", "steps", "load_cycles", "matrix_cycles", "vector_cycles", "update_cycles",
                "load_stall", "matrix_stall", "vector_stall", "update_stall", "update_alone", "vector_alone")
    """steps: cycles in which the array's first row multiplies. *_cycles: the unit has work. *_stall: its next
    instruction waits for a token. update_alone: an update runs while that row does not multiply; vector_alone:
    likewise, and no update runs either."""
    UNITS = QUEUES[:-1]
    BLOCKS: ClassVar = {
        USPE_MODULE: lambda _: Uspe(), UPDATE_LANE_MODULE: update_lane, VECTOR_LANE_MODULE: VectorLane,
        SUM_LANE_MODULE: lambda _: SumLane(), CHANNEL_LANE_MODULE: lambda _: ChannelLane(),
    }  # fmt: skip

    @staticmethod
    def argument_count(params: TrainParams) -> int:
        return len(params.arguments)

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
        m.submodules.vector = vector = VectorUnit(p)
        m.submodules.update = update = UpdateUnit(p)
        m.submodules.writer = writer = AxiWriter(p.axi_bits, every_cycle=True)
        readers = self._readers(m, {"load": load, "vector": vector, "update": update})
        for unit, port in ((program.read, self.read[1]), (program.write, self.write[1]), (writer.axi, self.write[0])):
            wiring.connect(m, unit, wiring.flipped(port))
        wiring.connect(m, program.o, dispatcher.program)
        m.d.comb += [
            *(getattr(program, name).eq(getattr(self, name)) for name in ("start", "words", "address")),
            program.base.eq(self.bases[1]),
            dispatcher.start.eq(program.begins), dispatcher.words.eq(program.length), self.pc.eq(dispatcher.pc),
            writer.clear.eq(self.start),
            *(getattr(matrix, name).eq(getattr(load, name))
              for name in ("write_x", "write_values", "write_index", "write_row", "write_data")),
            *(getattr(update, name).eq(self.arguments[p.arguments.index(name)]) for name in p.settings),
            *(mine.eq(argument) for mine, argument in zip(vector.arguments, self.arguments, strict=True)),
        ]
        self._writes(m, matrix, vector, update, writer)
        queues, tokens = self._queues(m, dispatcher, load, matrix, vector, update)
        wrong = load.wrong | matrix.wrong | vector.wrong | update.wrong
        self._status(m, program, dispatcher, wrong, matrix.steps, readers, writer, queues, tokens)
        return m

    def _readers(self, m, units):
        """A reader for each of those who read from m."""
        p, readers = self.params, []
        m.submodules.join = join = ReadJoin(p.axi_bits, masters=len(units), depth=max(4, 2 * p.outstanding))
        wiring.connect(m, join.port, wiring.flipped(self.read[0]))
        for master, (name, unit) in zip(join.masters, units.items(), strict=True):
            m.submodules[f"{name}_reader"] = reader = AxiReader(
                p.axi_bits, burst_beats=p.burst_beats, outstanding=p.outstanding)
            wiring.connect(m, unit.commands, reader.command)
            wiring.connect(m, reader.o, unit.beats)
            wiring.connect(m, reader.axi, master)
            m.d.comb += [unit.base.eq(self.bases[0]), reader.clear.eq(self.start)]
            readers.append(reader)
        return readers

    def _writes(self, m, matrix, vector, update, writer):
        """Words to m: whole ones of sums and vectors, parts of them of updates."""
        p, low = self.params, (self.params.axi_bits // 8).bit_length() - 1
        m.submodules.words = words = WriteJoin(masked_layout(p), masters=3)
        wiring.connect(m, update.words, words.masters[2])
        for unit, master in ((matrix, words.masters[0]), (vector, words.masters[1])):
            m.d.comb += [
                master.valid.eq(unit.words.valid), unit.words.ready.eq(master.ready), master.payload.strobe.eq(~0),
                *(master.payload[name].eq(unit.words.payload[name]) for name in ("address", "data")),
            ]
        m.d.comb += [
            writer.i.valid.eq(words.port.valid), words.port.ready.eq(writer.i.ready),
            writer.i.payload.address.eq(self.bases[0] + (words.port.payload.address << low)),
            *(writer.i.payload[name].eq(words.port.payload[name]) for name in ("data", "strobe")),
            words.port_answered.eq(writer.answered),
            Cat(matrix.answered, vector.answered, update.answered).eq(words.answered),
        ]

    def _queues(self, m, dispatcher, load, matrix, vector, update):
        p = self.params
        m.submodules.tokens = tokens = TokenTable(len(QUEUES))
        units = {"LD": (load.load, load.finished, LoadUnit.OVERLAP), "MM": (matrix.mm, matrix.finished, Sums.QUEUE),
                 "VEC": (vector.instructions, vector.finished, VectorUnit.OVERLAP),
                 "UPD": (update.upd, update.finished, 1)}
        queues = {}
        for name, (unit, finished, overlap) in units.items():
            number = QUEUES.index(name)
            queue = TokenQueue(ISA.bits, len(QUEUES), p.queue_depth, overlap)
            m.submodules[f"queue_{name.lower()}"] = queue
            wiring.connect(m, dispatcher.queues[number], queue.i)
            head = instruction_layout(ISA, "LDW")(queue.head)
            m.d.comb += [
                queue.wait.eq(head.wait), queue.release.eq(head.release), queue.available.eq(tokens.available[number]),
                tokens.take[number].eq(queue.take), tokens.release[number].eq(queue.give),
                unit.valid.eq(queue.go), queue.accept.eq(unit.ready), queue.finished.eq(finished),
            ]
            queues[name] = queue
        ldx, ldw = (instruction_layout(ISA, name)(queues["LD"].head) for name in ("LDX", "LDW"))
        is_w = queues["LD"].head[:8] == ISA.by_name("LDW").opcode
        m.d.comb += [getattr(load.load.payload, name).eq(getattr(ldw, name))
                     for name in load_layout().members if name not in ("w", "pattern")]
        m.d.comb += [
            load.load.payload.w.eq(is_w),
            *(load.load.payload.pattern[name].eq(Mux(is_w, 0, getattr(ldx, name))) for name in ("n", "m")),
            matrix.mm.payload.as_value().eq(queues["MM"].head), vector.instructions.payload.eq(queues["VEC"].head),
            update.upd.payload.as_value().eq(queues["UPD"].head),
            dispatcher.idle.eq(Cat(queue.idle for queue in queues.values()).all()),
        ]
        return queues, tokens

    def _status(self, m, program, dispatcher, wrong, steps, readers, writer, queues, tokens):
        names = ("program_size", "illegal", "token", "axi_read", "axi_write")
        m.submodules.end = end = RunStatus(names)
        m.d.comb += [
            end.start.eq(self.start), end.halted.eq(dispatcher.halted), end.code.eq(dispatcher.code),
            end.errors.eq(Cat(
                dispatcher.too_long, dispatcher.illegal | wrong, tokens.error,
                Cat(program.error, *(reader.error for reader in readers)).any(), writer.error)),
            end.moving.eq(Cat(dispatcher.dispatched, *(queue.finished for queue in queues.values()), writer.answered,
                              steps, *(reader.o.valid & reader.o.ready for reader in readers)).any()),
            self.done.eq(end.done), self.status.eq(end.status),
            self.busy.eq(Cat(~queues[name].idle for name in self.UNITS)),
        ]  # fmt: skip
        of_queues = [queues[name] for name in self.UNITS]
        updates = ~steps & queues["UPD"].runs
        counted = (1, steps, *(~queue.idle for queue in of_queues), *(queue.stalled for queue in of_queues), updates,
                   ~steps & ~updates & queues["VEC"].runs)
        for counter, event in zip(self.counters, counted, strict=True):
            with m.If(self.start):
                m.d.sync += counter.eq(0)
            with m.Elif(end.running & event):
                m.d.sync += counter.eq(counter + 1)
