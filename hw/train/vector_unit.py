"""The vector unit: LDC, STC, CHN and VEC, one after the other."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from golden.isa.train import ARGUMENTS, ISA
from golden.train.params import TrainParams
from hw.fabric.answers import AnswerWatch
from hw.fabric.axi import ADDRESS_BITS, command_layout

from .channel_moves import ChannelMoves
from .channels import Channels
from .layouts import addressed_layout
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
            "base": In(ADDRESS_BITS), "arguments": In(32).array(len(ARGUMENTS)),
            "commands": Out(stream.Signature(command_layout())), "beats": In(stream.Signature(params.axi_bits)),
            "words": Out(stream.Signature(addressed_layout(params))), "answered": In(1), "wrong": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        p = self.params
        m.submodules.channels = channels = Channels(p)
        m.submodules.moves = moves = ChannelMoves(p)
        m.submodules.tensors = tensors = TensorPass(p)
        m.submodules.watch = watch = AnswerWatch(1, self.OVERLAP)
        word = Signal(ISA.bits, reset_less=True)
        opcode, starts, done = Signal(8), Signal(), Signal()
        codes = {fmt.name: fmt.opcode for fmt in ISA.formats}
        m.d.comb += [
            opcode.eq(word[:8]),
            *(unit.instruction.eq(word) for unit in (channels, moves, tensors)),
            *(mine.eq(argument) for mine, argument in zip(channels.arguments, self.arguments, strict=True)),
            *(strobe.eq(starts & (opcode == codes[name])) for strobe, name in (
                (moves.load, "LDC"), (moves.store, "STC"), (channels.operate, "CHN"), (tensors.start, "VEC"))),
            done.eq(channels.done | moves.done | tensors.done),
            self.wrong.eq(channels.wrong | moves.wrong | tensors.wrong),
            watch.sent.eq(self.words.valid & self.words.ready), watch.answered.eq(self.answered),
            self.finished.eq(watch.finished),
        ]
        self._share(m, opcode == codes["VEC"], channels, tensors, moves)
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

    def _share(self, m, is_pass, channels, tensors, moves):
        """Ports and channel file are those of the unit whose instruction it is."""
        low = (self.params.axi_bits // 8).bit_length() - 1
        request = tensors.requests.payload.shape()(Mux(
            is_pass, tensors.requests.payload.as_value(), moves.requests.payload.as_value()))
        m.d.comb += [
            self.commands.payload.address.eq(self.base + (request.address << low)),
            self.commands.payload.beats.eq(request.words),
            self.commands.valid.eq(Mux(is_pass, tensors.requests.valid, moves.requests.valid)),
            self.words.valid.eq(Mux(is_pass, tensors.words.valid, moves.words.valid)),
            self.words.payload.eq(Mux(is_pass, tensors.words.payload, moves.words.payload)),
            self.beats.ready.eq(Mux(is_pass, tensors.beats.ready, moves.beats.ready)),
            channels.read_row.eq(Mux(is_pass, tensors.read_row, moves.read_row)),
            channels.write.eq(Mux(is_pass, tensors.write.replicate(self.params.word), moves.write)),
            channels.write_row.eq(Mux(is_pass, tensors.write_row, moves.write_row)),
            channels.write_data.eq(Mux(is_pass, tensors.write_data, moves.write_data)),
        ]
        for unit, mine in ((tensors, is_pass), (moves, ~is_pass)):
            m.d.comb += [
                unit.requests.ready.eq(self.commands.ready & mine), unit.words.ready.eq(self.words.ready & mine),
                unit.beats.valid.eq(self.beats.valid & mine), unit.beats.payload.eq(self.beats.payload),
                unit.read_data.eq(channels.read_data),
            ]
