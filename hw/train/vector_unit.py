"""The vector unit: LDC, STC, CHN and VEC, one after the other."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from golden.isa.train import ISA
from golden.train.params import TrainParams
from hw.fabric.answers import AnswerWatch
from hw.fabric.axi import ADDRESS_BITS, command_layout
from hw.fabric.isa_layout import instruction_layout

from .channels import Channels
from .layouts import addressed_layout
from .tensor_pass import TensorPass, request_layout
from .wuve import SETTINGS

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
            "base": In(ADDRESS_BITS), "arguments": In(32).array(len(SETTINGS)),
            "commands": Out(stream.Signature(command_layout())), "beats": In(stream.Signature(params.axi_bits)),
            "words": Out(stream.Signature(addressed_layout(params))), "answered": In(1), "wrong": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        p = self.params
        m.submodules.channels = channels = Channels(p)
        m.submodules.tensors = tensors = TensorPass(p)
        m.submodules.watch = watch = AnswerWatch(1, self.OVERLAP)
        word = Signal(ISA.bits, reset_less=True)
        move = data.View(instruction_layout(ISA, "LDC"), word)
        opcode, starts, done, asks, is_pass = Signal(8), Signal(), Signal(), Signal(), Signal()
        codes = {fmt.name: fmt.opcode for fmt in ISA.formats}
        m.d.comb += [
            opcode.eq(word[:8]), is_pass.eq(opcode == codes["VEC"]),
            channels.instruction.eq(word), tensors.instruction.eq(word),
            *(mine.eq(argument) for mine, argument in zip(channels.arguments, self.arguments, strict=True)),
            *(strobe.eq(starts & (opcode == codes[name])) for strobe, name in (
                (channels.load, "LDC"), (channels.store, "STC"), (channels.operate, "CHN"), (tensors.start, "VEC"))),
            channels.read_row.eq(tensors.read_row), tensors.read_data.eq(channels.read_data),
            *(getattr(channels, name).eq(getattr(tensors, name)) for name in ("write", "write_row", "write_data")),
            done.eq(channels.done | tensors.done), self.wrong.eq(channels.wrong | tensors.wrong),
            channels.beats.valid.eq(self.beats.valid & ~is_pass), tensors.beats.valid.eq(self.beats.valid & is_pass),
            channels.beats.payload.eq(self.beats.payload), tensors.beats.payload.eq(self.beats.payload),
            self.beats.ready.eq(Mux(is_pass, tensors.beats.ready, channels.beats.ready)),
            self.words.valid.eq(channels.words.valid | tensors.words.valid),
            self.words.payload.eq(Mux(is_pass, tensors.words.payload, channels.words.payload)),
            channels.words.ready.eq(self.words.ready & ~is_pass), tensors.words.ready.eq(self.words.ready & is_pass),
            watch.sent.eq(self.words.valid & self.words.ready), watch.answered.eq(self.answered),
            self.finished.eq(watch.finished),
        ]
        asked, low = Signal(request_layout()), (p.axi_bits // 8).bit_length() - 1
        m.d.comb += [
            self.commands.valid.eq(Mux(is_pass, tensors.requests.valid, asks)),
            tensors.requests.ready.eq(self.commands.ready & is_pass),
            Cat(asked.address, asked.words).eq(Mux(
                is_pass, tensors.requests.payload.as_value(), Cat(move.address, Const(0, 1), move.rows)[:64])),
            self.commands.payload.address.eq(self.base + (asked.address << low)),
            self.commands.payload.beats.eq(asked.words),
        ]
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.instructions.ready.eq(1)
                m.d.sync += word.eq(self.instructions.payload)
                with m.If(self.instructions.valid):
                    m.next = "START"
            with m.State("START"):
                m.d.comb += starts.eq(1)
                m.d.sync += asks.eq((opcode == codes["LDC"]) & ~self.wrong)
                m.next = "RUN"
                with m.If(self.wrong):
                    m.next = "IDLE"
            with m.State("RUN"):
                with m.If(self.commands.ready):
                    m.d.sync += asks.eq(0)
                with m.If(done):
                    m.next = "CLOSE"
            with m.State("CLOSE"):
                m.d.comb += watch.close.eq(watch.room)
                with m.If(watch.room):
                    m.next = "IDLE"
        return m
