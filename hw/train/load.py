"""LDX and LDW: memory words into the buffers of the matrix unit."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

from golden.isa.train import ISA
from golden.train.params import TrainParams
from hw.fabric.axi import ADDRESS_BITS, command_layout
from hw.fabric.isa_layout import instruction_layout

from .uspe import SLOT_BITS

__all__ = ["LoadUnit", "load_layout"]


def load_layout() -> data.StructLayout:
    """LDX, or LDW: values or indices."""
    fields = instruction_layout(ISA, "LDX")
    return data.StructLayout({
        **{name: fields[name].shape for name in ("address", "words", "runs", "stride", "to")}, "w": 1, "index": 1,
    })


class LoadUnit(wiring.Component):
    """Asks for an instruction's runs while the words of up to OVERLAP before it come. A word of X takes a cycle, one of
    W a cycle for each step whose values or indices it has.

    Attributes:
        load: instructions. finished: strobe: the oldest one's rows are written.
        base: of the port. commands, beats: of an AxiReader.
        write_x, write_values, write_index, write_row, write_data: see MatrixUnit.
        wrong: strobe: an instruction without words, or a row beyond the buffer.
    """

    OVERLAP = 4

    def __init__(self, params: TrainParams):
        self.params = params
        super().__init__({
            "load": In(stream.Signature(load_layout())), "finished": Out(1), "base": In(ADDRESS_BITS),
            "commands": Out(stream.Signature(command_layout())), "beats": In(stream.Signature(params.axi_bits)),
            "write_x": Out(1), "write_values": Out(1), "write_index": Out(1),
            "write_row": Out(range(max(params.x_words, params.w_steps))), "write_data": Out(params.axi_bits),
            "wrong": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.coming = coming = SyncFIFO(width=load_layout().size, depth=self.OVERLAP)
        self._ask(m, coming)
        self._receive(m, coming)
        return m

    def _ask(self, m, coming):
        load, address, left = self.load.payload, Signal(32), Signal(16)
        asking = Signal()
        low = (self.params.axi_bits // 8).bit_length() - 1
        m.d.comb += [
            self.load.ready.eq(~asking & coming.w_rdy), coming.w_data.eq(load),
            coming.w_en.eq(self.load.valid & self.load.ready),
            self.commands.valid.eq(asking), self.commands.payload.address.eq(self.base + (address << low)),
        ]
        stride, words = Signal.like(load.stride), Signal.like(load.words)
        m.d.comb += self.commands.payload.beats.eq(words)
        with m.If(self.commands.valid & self.commands.ready):
            m.d.sync += [address.eq(address + stride), left.eq(left - 1), asking.eq(left != 1)]
        with m.If(coming.w_en):
            m.d.sync += [asking.eq((load.runs != 0) & (load.words != 0)), address.eq(load.address), left.eq(load.runs),
                         stride.eq(load.stride), words.eq(load.words)]

    def _receive(self, m, coming):
        p = self.params
        load = data.View(load_layout(), coming.r_data)
        beat, held = Signal(p.axi_bits, reset_less=True), Signal()
        steps = {"values": p.word // p.columns, "index": 4 * p.word // p.columns}
        step, row = Signal(range(max(2, *steps.values()))), Signal(17)
        words_left, runs_left, begun = Signal(16), Signal(16), Signal()
        steps_end, wrong = Signal(), Signal()
        depth = Mux(load.w, p.w_steps, p.x_words)
        last = Mux(load.w, Mux(load.index, steps["index"] - 1, steps["values"] - 1), 0)
        word_ends = held & steps_end
        run_ends = word_ends & (words_left == 1)
        all_ends = run_ends & (runs_left == 1)
        m.d.comb += [
            steps_end.eq(step == last), wrong.eq((load.runs == 0) | (load.words == 0)),
            coming.r_en.eq(all_ends), self.beats.ready.eq(begun & ~held),
        ]
        m.d.sync += [
            self.finished.eq(all_ends), self.wrong.eq((coming.r_rdy & wrong) | (held & (row >= depth))),
            self.write_x.eq(held & ~load.w), self.write_values.eq(held & load.w & ~load.index),
            self.write_index.eq(held & load.w & load.index), self.write_row.eq(row),
        ]
        with m.Switch(load.w + (load.w & load.index)):
            for case, bits in enumerate((p.axi_bits, 16 * p.columns, SLOT_BITS * p.columns)):
                with m.Case(case):
                    m.d.sync += self.write_data.eq(beat.word_select(step, bits) if bits < p.axi_bits else beat)
        with m.If(held):
            m.d.sync += [step.eq(Mux(steps_end, 0, step + 1)), row.eq(row + 1)]
        with m.If(word_ends):
            m.d.sync += [held.eq(0), words_left.eq(words_left - 1)]
            m.d.comb += self.beats.ready.eq(~all_ends)
        with m.If(run_ends):
            m.d.sync += [words_left.eq(load.words), runs_left.eq(runs_left - 1)]
        with m.If(self.beats.valid & self.beats.ready):
            m.d.sync += [held.eq(1), beat.eq(self.beats.payload)]
        with m.If(all_ends):
            m.d.sync += begun.eq(0)
        with m.Elif(coming.r_rdy & ~begun & ~wrong):
            m.d.sync += [begun.eq(1), row.eq(load.to), step.eq(0), words_left.eq(load.words), runs_left.eq(load.runs)]
