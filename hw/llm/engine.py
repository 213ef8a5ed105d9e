"""One computing core of the LLM engine: sequencer, queues, units and memory ports."""

from typing import ClassVar

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring

from golden.isa.llm import ISA, QUEUES
from golden.params import LlmParams
from hw.fabric.axi import AxiReader, AxiWriter
from hw.fabric.dsp import TWIN
from hw.fabric.isa_layout import instruction_layout
from hw.fabric.tokens import TokenQueue, TokenTable
from hw.shell.core import EngineCore
from hw.shell.run_status import RunStatus

from .load import LoadUnit
from .mpe import MPU_MODULE, Mpe
from .mpu import Mpu
from .sequencer import ARGUMENTS, Sequencer
from .store import StoreUnit
from .vector import Operation, VectorUnit
from .vmem import GlobalBuffer
from .weight_buffer import WeightBuffer

__all__ = ["LlmEngine"]

VECTOR_OPERATIONS = {"VEC": Operation.VEC, "QNT": Operation.QNT, "AMX": Operation.AMX, "PUT": Operation.PUT}


class LlmEngine(EngineCore):
    """Runs a program from memory; see docs/llm_isa.md. Ports: the weight channels w0, w1, .., then v for vectors and
    the program. The result word is the arg-max.
    """

    NAME = "llm"
    RESULTS = 1
    COUNTERS = ("cycles", "array_cycles", "vector_cycles", "load_stall", "array_stall", "vector_stall", "store_stall")
    UNITS = QUEUES[:-1]
    BLOCKS: ClassVar = {MPU_MODULE: Mpu}
    TWINS = (TWIN,)

    @staticmethod
    def argument_count(params: LlmParams) -> int:
        return ARGUMENTS

    @staticmethod
    def memory_ports(params: LlmParams) -> tuple[tuple[str, ...], int]:
        return (*(f"w{c}" for c in range(params.channels)), "v"), params.axi_bits

    def elaborate(self, platform):
        m = Module()
        p = self.params
        base_v = self.bases[p.channels]
        m.submodules.sequencer = sequencer = Sequencer(p)
        m.submodules.tokens = tokens = TokenTable(len(QUEUES))
        m.submodules.load = load = LoadUnit(p)
        m.submodules.store = store = StoreUnit(p)
        m.submodules.mpe = mpe = Mpe(p)
        m.submodules.vector = vector = VectorUnit(p)
        m.submodules.buffer = buffer = GlobalBuffer(p, writers=3)

        readers, writers = [], []
        for name, read_port, write_port in zip(self.ports, self.read, self.write, strict=True):
            reader = AxiReader(p.axi_bits, burst_beats=p.burst_beats, outstanding=p.outstanding)
            writer = AxiWriter(p.axi_bits)
            m.submodules[f"reader_{name}"], m.submodules[f"writer_{name}"] = reader, writer
            wiring.connect(m, reader.axi, wiring.flipped(read_port))
            wiring.connect(m, writer.axi, wiring.flipped(write_port))
            m.d.comb += [reader.clear.eq(self.start), writer.clear.eq(self.start)]
            readers.append(reader)
            writers.append(writer)
        for c in range(p.channels):
            wiring.connect(m, load.channels[c], readers[c].command)
            wiring.connect(m, store.channels[c], writers[c].i)
            m.submodules[f"buffer_w{c}"] = words = WeightBuffer(p)
            wiring.connect(m, readers[c].o, words.i)
            first = c * p.lanes_per_channel
            m.d.comb += words.room.eq(mpe.lane_room[first : first + p.lanes_per_channel].all())
            for i in range(p.lanes_per_channel):
                lane = mpe.lanes[first + i]
                m.d.comb += [lane.data.eq(words.word.word_select(i, p.lane_bits)), lane.valid.eq(words.valid)]
            m.d.comb += [load.bases[c].eq(self.bases[c]), store.bases[c].eq(self.bases[c])]
        wiring.connect(m, store.vector, writers[-1].i)
        m.d.comb += [load.base.eq(base_v), store.base.eq(base_v)]
        m.d.comb += store.answered.eq(Cat(*(writer.answered for writer in writers)))

        self._vector_port(m, sequencer, load, readers[-1])
        running = self._status(m, sequencer, tokens, mpe, vector, readers, writers)
        self._queues(m, sequencer, tokens, running, {"LD": load, "ST": store, "MV": mpe, "MISC": vector})
        self._global_buffer(m, buffer, load, store, mpe, vector)
        m.d.comb += [
            mpe.x_valid.eq(vector.x_valid),
            mpe.x_token.eq(vector.x_token),
            mpe.x_block.eq(vector.x_block),
            mpe.x_data.eq(vector.x_data),
            mpe.peek_block.eq(store.peek_block),
            *(store.peek_data[c].eq(mpe.peek_data[c]) for c in range(p.ksplit)),
            self.results[0].eq(vector.best),
            self.pc.eq(sequencer.pc),
        ]
        return m

    def _vector_port(self, m, sequencer, load, reader):
        """The program first, LDV afterwards: the sequencer is done loading before anything is dispatched."""
        loading = Signal()
        m.d.comb += [
            sequencer.start.eq(self.start),
            sequencer.words.eq(self.words),
            *(sequencer.arguments[i].eq(self.arguments[i]) for i in range(ARGUMENTS)),
            sequencer.program.payload.eq(reader.o.payload),
            sequencer.program.valid.eq(reader.o.valid & loading),
            load.words.payload.eq(reader.o.payload),
            load.words.valid.eq(reader.o.valid & ~loading),
        ]
        beat_shift = self.params.beat_bytes.bit_length() - 1
        requested = Signal()
        with m.If(loading):
            m.d.comb += [
                reader.command.payload.address.eq(self.bases[self.params.channels] + self.address),
                reader.command.payload.beats.eq(
                    ((self.words << (ISA.bits.bit_length() - 4)) + self.params.beat_bytes - 1) >> beat_shift
                ),
                reader.command.valid.eq(~requested),
                reader.o.ready.eq(sequencer.program.ready),
            ]
            with m.If(reader.command.ready):
                m.d.sync += requested.eq(1)
            with m.If(requested & ~reader.busy):
                m.d.sync += [loading.eq(0), requested.eq(0)]
        with m.Else():
            m.d.comb += [
                reader.command.payload.eq(load.vector.payload),
                reader.command.valid.eq(load.vector.valid),
                load.vector.ready.eq(reader.command.ready),
                reader.o.ready.eq(load.words.ready),
            ]
        with m.If(sequencer.load):
            m.d.sync += loading.eq(1)

    def _queues(self, m, sequencer, tokens, running, units):
        heads = {}
        for q, name in enumerate(QUEUES[:-1]):
            queue = TokenQueue(ISA.bits, len(QUEUES), self.params.queue_depth, units[name].OVERLAP)
            m.submodules[f"queue_{name.lower()}"] = queue
            wiring.connect(m, sequencer.queues[q], queue.i)
            head = Signal(instruction_layout(ISA, next(f.name for f in ISA.formats if f.queue == name)), name=name)
            m.d.comb += [
                head.eq(queue.head),
                queue.wait.eq(head.wait),
                queue.release.eq(head.release),
                queue.available.eq(tokens.available[q]),
                tokens.take[q].eq(queue.take),
                tokens.release[q].eq(queue.give),
                units[name].command.valid.eq(queue.go),
                queue.accept.eq(units[name].command.ready),
                queue.finished.eq(units[name].finished),
            ]
            heads[name] = queue
        m.d.comb += self.busy.eq(Cat(*(units[name].busy for name in heads)))
        sys = len(QUEUES) - 1
        m.d.comb += [
            sequencer.available.eq(tokens.available[sys]),
            tokens.take[sys].eq(sequencer.take),
            tokens.release[sys].eq(sequencer.give),
            sequencer.idle.eq(Cat(*(q.idle for q in heads.values())).all() & ~units["MV"].busy),
        ]

        def view(name, queue):
            fields = Signal(instruction_layout(ISA, name), name=f"as_{name}")
            m.d.comb += fields.eq(heads[queue].head)
            return fields

        def is_a(name, queue):
            return view(name, queue).opcode == ISA.by_name(name).opcode

        ldw, command = view("LDW", "LD"), units["LD"].command.payload
        m.d.comb += [command.a.eq(ldw.a), command.b.eq(ldw.b), command.n.eq(ldw.n), command.lanes.eq(is_a("LDW", "LD"))]
        ldg = view("LDG", "LD")
        m.d.comb += [command.gather.eq(is_a("LDG", "LD")), command.table.eq(ldg.table), command.stride.eq(ldg.stride)]
        stk, command = view("STK", "ST"), units["ST"].command.payload
        m.d.comb += [command.a.eq(stk.a), command.b.eq(stk.b), command.n.eq(stk.n), command.cache.eq(is_a("STK", "ST"))]
        m.d.comb += [getattr(command, f.name).eq(getattr(stk, f.name)) for f in ISA.by_name("STK").fields]
        mm, command = view("MM", "MV"), units["MV"].command.payload
        is_mm = is_a("MM", "MV")
        m.d.comb += [command.tile[n].eq(getattr(mm, n)) for n in ("group_log2", "scaled", "minimum", "raw", "beats")]
        m.d.comb += [
            command.tile.rows.eq(Mux(mm.grow, mm.n, mm.rows)),
            command.tile.blocks.eq(Mux(mm.grow, mm.blocks, mm.n)),
            command.tile.shared.eq(is_mm),
            command.tile.spread.eq(mm.raw | mm.dense),
            command.empty.eq(mm.n == 0),
            command.out.eq(mm.a),
            command.base.eq(mm.b),
            command.slot.eq(mm.slot),
            command.stride.eq(mm.stride),
            command.tokens.eq(mm.tokens),
            command.early.eq(mm.early),
            units["MV"].ahead.eq(heads["MV"].ahead),
            units["MV"].exponents.eq(units["MISC"].exponents),
        ]
        head, command = view("VEC", "MISC"), units["MISC"].command.payload
        m.d.comb += [command.a.eq(head.a), command.b.eq(head.b), command.n.eq(head.n)]
        for name, operation in VECTOR_OPERATIONS.items():
            fields = view(name, "MISC") if name != "VEC" else head
            with m.If(head.opcode == ISA.by_name(name).opcode):
                m.d.comb += command.operation.eq(operation)
                m.d.comb += [getattr(command, f.name).eq(getattr(fields, f.name)) for f in ISA.by_name(name).fields]

        counted = {
            "array_cycles": units["MV"].busy,
            "vector_cycles": units["MISC"].busy,
            "load_stall": heads["LD"].stalled,
            "array_stall": heads["MV"].stalled,
            "vector_stall": heads["MISC"].stalled,
            "store_stall": heads["ST"].stalled,
        }
        counted["cycles"] = running
        for i, name in enumerate(self.COUNTERS):
            with m.If(self.start):
                m.d.sync += self.counters[i].eq(0)
            with m.Elif(counted[name]):
                m.d.sync += self.counters[i].eq(self.counters[i] + 1)

    def _global_buffer(self, m, buffer, load, store, mpe, vector):
        """The array never waits, loads wait for the vector unit; stores read when that does not."""
        grant = Signal()
        for writer, unit, elements in (
            (0, mpe, ~0), (1, vector, vector.write_elements), (2, load, load.write_elements)
        ):
            m.d.comb += [
                buffer.write[writer].elements.eq(Mux(unit.write_valid, elements, 0)),
                buffer.write[writer].row.eq(unit.write_row),
                buffer.write[writer].data.eq(unit.write_data),
            ]
        m.d.comb += [
            Cat(vector.write_ready, load.write_ready).eq(buffer.ready[1:]),
            buffer.a_row.eq(vector.a_row),
            buffer.a_read.eq(vector.read),
            vector.a_data.eq(buffer.a_data),
            grant.eq(~vector.reading),
            store.read_grant.eq(grant),
            store.read_data.eq(buffer.b_data),
            buffer.b_row.eq(vector.b_row),
            buffer.b_read.eq(vector.read),
            vector.b_data.eq(buffer.b_data),
        ]
        with m.If(grant):
            m.d.comb += [buffer.b_row.eq(store.read_row), buffer.b_read.eq(1)]

    def _status(self, m, sequencer, tokens, mpe, vector, readers, writers):
        """Whether a run is on, for the counters."""
        m.submodules.end = end = RunStatus(("program_size", "illegal", "descriptor", "axi_read", "axi_write", "token"))
        m.d.comb += [
            end.start.eq(self.start), end.halted.eq(sequencer.halted), end.code.eq(sequencer.code),
            end.errors.eq(Cat(
                sequencer.too_long, sequencer.illegal | mpe.illegal | vector.illegal, mpe.error,
                Cat(*(r.error for r in readers)).any(), Cat(*(w.error for w in writers)).any(), tokens.error,
            )),
            end.moving.eq(Cat(*(r.o.valid & r.o.ready for r in readers), sequencer.dispatched).any()),
            self.done.eq(end.done), self.status.eq(end.status),
        ]  # fmt: skip
        return end.running
