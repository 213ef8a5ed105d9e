"""The vector unit: LDC, STC, CHN, VEC and POOL, one after the other."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from golden.isa.train import ISA
from golden.train.params import TrainParams
from hw.fabric.answers import AnswerWatch
from hw.fabric.axi import ADDRESS_BITS, command_layout

from .channel_moves import ChannelMoves
from .channels import Channels
from .layouts import addressed_layout
from .pool import Pool
from .tensor_pass import TensorPass

__all__ = ["VectorUnit"]


class VectorUnit(wiring.Component):
    """`golden.train.vector_unit`. The next instruction starts when the one before has given its last word; the answers
    to its words may still be on their way.

    Attributes:
        instructions: words of the VEC queue. finished: strobe: what the oldest one writes is there.
        arguments: of the run. base: of the port. commands, beats: of an AxiReader.
        words, answered: words to memory; a strobe: one is there.
        wrong: strobe: an instruction is none; it has no end.
    """

    OVERLAP = 2

    def __init__(self, params: TrainParams):
        self.params = params
        super().__init__({
            "instructions": In(stream.Signature(ISA.bits)), "finished": Out(1),
            "base": In(ADDRESS_BITS), "arguments": In(32).array(len(params.arguments)),
            "commands": Out(stream.Signature(command_layout())), "beats": In(stream.Signature(params.axi_bits)),
            "words": Out(stream.Signature(addressed_layout(params))), "answered": In(1), "wrong": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        p = self.params
        m.submodules.channels = channels = Channels(p)
        m.submodules.moves = moves = ChannelMoves(p)
        m.submodules.tensors = tensors = TensorPass(p)
        m.submodules.pool = pool = Pool(p)
        m.submodules.watch = watch = AnswerWatch(1, self.OVERLAP)
        word = Signal(ISA.bits, reset_less=True)
        opcode, starts, done = Signal(8), Signal(), Signal()
        codes = {fmt.name: fmt.opcode for fmt in ISA.formats}
        units = (channels, moves, tensors, pool)
        m.d.comb += [
            opcode.eq(word[:8]), *(unit.instruction.eq(word) for unit in units),
            *(mine.eq(argument) for mine, argument in zip(channels.arguments, self.arguments, strict=True)),
            *(strobe.eq(starts & (opcode == codes[name])) for strobe, name in (
                (moves.load, "LDC"), (moves.store, "STC"), (channels.operate, "CHN"), (tensors.start, "VEC"),
                (pool.start, "POOL"))),
            done.eq(Cat(unit.done for unit in units).any()), self.wrong.eq(Cat(unit.wrong for unit in units).any()),
            watch.sent.eq(self.words.valid & self.words.ready), watch.answered.eq(self.answered),
            self.finished.eq(watch.finished),
        ]
        with m.Switch(opcode):
            for name, unit in (("VEC", tensors), ("POOL", pool), (None, moves)):
                with m.Case(codes[name]) if name else m.Default():
                    self._connect(m, unit, channels)
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.instructions.ready.eq(1)
                m.d.sync += word.eq(self.instructions.payload)
                with m.If(self.instructions.valid):
                    m.next = "START"
            with m.State("START"):
                m.d.comb += starts.eq(1)
                m.next = "RUN"
                with m.If(self.wrong):
                    m.next = "IDLE"
            with m.State("RUN"):
                with m.If(done):
                    m.next = "CLOSE"
            with m.State("CLOSE"):
                m.d.comb += watch.close.eq(watch.room)
                with m.If(watch.room):
                    m.next = "IDLE"
        return m

    def _connect(self, m, unit, channels):
        """Ports and channel file are this unit's."""
        low = (self.params.axi_bits // 8).bit_length() - 1
        request, lanes = unit.requests.payload, len(channels.write)
        m.d.comb += [
            self.commands.valid.eq(unit.requests.valid), unit.requests.ready.eq(self.commands.ready),
            self.commands.payload.address.eq(self.base + (request.address << low)),
            self.commands.payload.beats.eq(request.words),
            unit.beats.valid.eq(self.beats.valid), self.beats.ready.eq(unit.beats.ready),
            unit.beats.payload.eq(self.beats.payload),
            self.words.valid.eq(unit.words.valid), unit.words.ready.eq(self.words.ready),
            self.words.payload.eq(unit.words.payload),
        ]
        if not isinstance(unit, Pool):
            m.d.comb += [
                channels.read_row.eq(unit.read_row), unit.read_data.eq(channels.read_data),
                channels.write.eq(unit.write.replicate(lanes // len(unit.write))),
                channels.write_row.eq(unit.write_row), channels.write_data.eq(unit.write_data),
            ]
