"""LDX and LDW: memory words into the buffers of the matrix unit."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

from golden.isa.train import ISA
from golden.train.params import TrainParams
from hw.fabric.axi import ADDRESS_BITS, command_layout
from hw.fabric.isa_layout import instruction_layout
from hw.fabric.pipeline import delay, strobes

from .layouts import is_pattern, pattern_layout
from .word_prune import WordPrune

__all__ = ["LoadUnit", "load_layout"]


def load_layout() -> data.StructLayout:
    """LDX with its pattern, or LDW, whose pattern is dense: values or indices."""
    fields = instruction_layout(ISA, "LDX")
    return data.StructLayout({
        **{name: fields[name].shape for name in ("address", "words", "runs", "stride", "to")}, "w": 1, "index": 1,
        "pattern": pattern_layout(),
    })


class LoadUnit(wiring.Component):
    """Asks for an instruction's runs while the words of up to OVERLAP before it come. A word takes a cycle, and is
    written BEHIND cycles after it was taken, as all of them pass WordPrune.

    Attributes:
        load: instructions. finished: strobe: the oldest one's rows are written.
        base: of the port. commands, beats: of an AxiReader.
        write_x, write_values, write_index, write_row, write_data: see MatrixUnit.
        wrong: strobe: an instruction without words, rows of W that begin amid a memory word, or beyond the buffer, a
            pattern that is none.
    """

    OVERLAP = 4
    BEHIND = WordPrune.LATENCY

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
        row = Signal(17)  # in memory words
        words_left, runs_left, begun = Signal(16), Signal(16), Signal()
        taken, wrong = Signal(), Signal()
        run_ends = taken & (words_left == 1)
        all_ends = run_ends & (runs_left == 1)
        kind, rest, depth = load.w + (load.w & load.index), Signal(len(load.to)), Signal(17)
        first = Signal(len(load.to))
        of_word = [1, *(p.steps_of_word[name] for name in ("values", "index"))]
        with m.Switch(kind):
            for case, (steps, rows) in enumerate(zip(of_word, (p.x_words, p.w_steps, p.w_steps), strict=True)):
                shift = steps.bit_length() - 1
                with m.Case(case):
                    m.d.comb += [first.eq(load.to >> shift), rest.eq(load.to[:shift]), depth.eq(rows >> shift)]
        m.submodules.prune = prune = WordPrune(p)
        m.d.comb += [
            wrong.eq((load.runs == 0) | (load.words == 0) | (rest != 0) | ~is_pattern(load.pattern.n, load.pattern.m)),
            prune.word.eq(self.beats.payload), prune.pattern.eq(load.pattern), self.write_data.eq(prune.o),
            taken.eq(self.beats.valid & self.beats.ready), coming.r_en.eq(all_ends), self.beats.ready.eq(begun),
        ]
        m.d.sync += self.wrong.eq((coming.r_rdy & wrong) | (taken & (row >= depth)))
        m.d.comb += [
            self.write_row.eq(delay(m, row[:len(self.write_row)], self.BEHIND, "row")),
            *(port.eq(strobes(m, what, self.BEHIND, name)[-1]) for port, what, name in (
                (self.finished, all_ends, "finished"), (self.write_x, taken & ~load.w, "x"),
                (self.write_values, taken & load.w & ~load.index, "values"),
                (self.write_index, taken & load.w & load.index, "index"))),
        ]
        with m.If(taken):
            m.d.sync += [row.eq(row + 1), words_left.eq(words_left - 1)]
        with m.If(run_ends):
            m.d.sync += [words_left.eq(load.words), runs_left.eq(runs_left - 1)]
        with m.If(all_ends):
            m.d.sync += begun.eq(0)
        with m.Elif(coming.r_rdy & ~begun & ~wrong):
            m.d.sync += [begun.eq(1), row.eq(first), words_left.eq(load.words), runs_left.eq(load.runs)]
