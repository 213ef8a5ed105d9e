"""VEC: a vector pass over tensors in memory, with constants out of the channel file and sums into it."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

from golden.isa.train import ISA
from golden.train.params import TrainParams
from golden.train.vector import CONSTANTS
from hw.fabric.isa_layout import instruction_layout
from hw.fabric.pipeline import strobes

from .layouts import addressed_layout
from .vector_layouts import request_layout, start_layout
from .vector_pass import VectorPass

__all__ = ["TensorPass"]

CHUNK = 16
"""Words of a tensor that are asked for at a time, if two are read."""


class TensorPass(wiring.Component):
    """One pass at a time: a cycle for each constant, then words as `VectorPass` takes them. Two tensors come in turns,
    CHUNK words of each, so that neither can stop the other.

    Attributes:
        instruction: the word, stable while it runs. start: strobe. done: strobe: the last word is given, the last sum
            written. wrong: strobe: it is none that there is, or its pixels are no whole segments.
        requests, beats: words out of memory. words: to memory.
        read_row, read_data: the channel file, a cycle later. write, write_row, write_data: likewise.
    """

    def __init__(self, params: TrainParams):
        self.params = params
        row, numbers = range(params.channel_rows), 32 * params.word
        super().__init__({
            "instruction": In(ISA.bits), "start": In(1), "done": Out(1), "wrong": Out(1),
            "requests": Out(stream.Signature(request_layout())), "beats": In(stream.Signature(params.axi_bits)),
            "words": Out(stream.Signature(addressed_layout(params))),
            "read_row": Out(row), "read_data": In(numbers),
            "write": Out(1), "write_row": Out(row), "write_data": Out(numbers),
        })

    def elaborate(self, platform):
        m = Module()
        p = self.params
        self.v = v = data.View(instruction_layout(ISA, "VEC"), self.instruction)
        m.submodules.unit = unit = VectorPass(p)
        self.total = Signal(32, reset_less=True)  # words of a tensor
        self.reads_b, asked = Signal(), Signal()
        m.d.sync += [self.total.eq(v.pixels * v.words), self.reads_b.eq(~(v.b_is_a | v.b_none))]
        begins, ends = Signal(), Signal()
        word, constant = Signal(range(p.channel_words)), Signal(range(CONSTANTS))
        start = unit.start.payload
        m.d.comb += [
            *(start[name].eq(v[name]) for name in start_layout(p).members), unit.constants.payload.numbers.eq(
                self.read_data),
        ]
        first = Signal(12)
        with m.Switch(constant):
            for n in range(CONSTANTS):
                with m.Case(n):
                    m.d.comb += first.eq(v[f"c{n}"])
        copies, (torn, sums_come) = Signal(), self._segments(m, unit, begins)
        m.d.comb += self.read_row.eq((first + word)[:len(self.read_row)])
        m.d.sync += [unit.constants.payload.constant.eq(constant), unit.constants.payload.word.eq(word)]
        m.d.comb += unit.constants.valid.eq(strobes(m, copies, 1, "copies")[-1])
        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [word.eq(0), constant.eq(0)]
                with m.If(self.start):
                    m.next = "COPY"
                    with m.If(self._wrong()):
                        m.d.comb += self.wrong.eq(1)
                        m.next = "IDLE"
            with m.State("COPY"):
                m.d.comb += copies.eq(1)
                m.d.sync += word.eq(word + 1)
                with m.If(word == v.words - 1):
                    m.d.sync += [word.eq(0), constant.eq(constant + 1)]
                    with m.If(constant == CONSTANTS - 1):
                        m.next = "START"
            with m.State("START"):
                m.d.comb += [unit.start.valid.eq(~unit.constants.valid), begins.eq(unit.start.valid & unit.start.ready)]
                with m.If(begins):
                    m.next = "RUN"
            with m.State("RUN"):
                m.d.comb += ends.eq(unit.start.ready & ~unit.o.valid & ~sums_come & asked)
                with m.If(ends):
                    m.d.comb += self.wrong.eq(torn)
                    m.next = "END"
            with m.State("END"):  # a word that came as the pass ended, the last sum that is written
                with m.If(~unit.o.valid & ~self.write):
                    m.d.comb += self.done.eq(1)
                    m.next = "IDLE"
        self._ask(m, begins, asked)
        self._tensors(m, unit, begins)
        self._leave(m, unit, begins)
        return m

    def _wrong(self):
        v, depth = self.v, self.params.channel_rows
        return Cat(
            v.words == 0, v.words > self.params.channel_words, v.pixels == 0, v.segment == 0, ~(v.outputs | v.sums),
            v.b_is_a & v.b_none, *(v[f"c{n}"] + v.words > depth for n in range(CONSTANTS)),
        ).any()

    def _segments(self, m, unit, begins):
        """(pixels that were taken are no whole segments, sums are still to come)."""
        v, word, pixel, to_come = self.v, Signal(8), Signal(24), Signal(24)
        ends, sums_leave = Signal(), Signal()  # a segment's last word is taken
        m.d.comb += sums_leave.eq(unit.sums.valid & unit.sums.ready)
        with m.If(unit.a.valid & unit.a.ready):
            m.d.sync += word.eq(word + 1)
            with m.If(word == v.words - 1):
                m.d.comb += ends.eq(pixel == v.segment - 1)
                m.d.sync += [word.eq(0), pixel.eq(Mux(ends, 0, pixel + 1))]
        m.d.sync += to_come.eq(to_come + Mux(ends & v.sums, v.words, 0) - sums_leave)
        with m.If(begins):
            m.d.sync += [word.eq(0), pixel.eq(0), to_come.eq(0)]
        return pixel != 0, to_come != 0

    def _chunk(self, left):
        return Mux(self.reads_b & (left > CHUNK), CHUNK, left)

    def _ask(self, m, begins, asked):
        """Words of a, of b, and so on; all of a if b is not read."""
        left, offset, of_b, asking = Signal(32, reset_less=True), Signal(32, reset_less=True), Signal(), Signal()
        chunk = self._chunk(left)
        request = self.requests.payload
        m.d.comb += [
            self.requests.valid.eq(asking), request.words.eq(chunk),
            request.address.eq(Mux(of_b, self.v.b, self.v.a) + offset),
        ]
        with m.If(self.requests.valid & self.requests.ready):
            m.d.sync += of_b.eq(self.reads_b & ~of_b)
            with m.If(~self.reads_b | of_b):
                m.d.sync += [left.eq(left - chunk), offset.eq(offset + chunk)]
                with m.If(left == chunk):
                    m.d.sync += [asking.eq(0), asked.eq(1)]
        with m.If(begins):
            m.d.sync += [asking.eq(1), asked.eq(0), left.eq(self.total), offset.eq(0), of_b.eq(0)]

    def _tensors(self, m, unit, begins):
        """Beats become words of a and of b, in the turns in which they were asked for."""
        left, of_chunk, of_b = Signal(32, reset_less=True), Signal(range(CHUNK)), Signal()
        fifos = []
        for name, port in (("a", unit.a), ("b", unit.b)):
            m.submodules[f"words_{name}"] = fifo = SyncFIFO(width=self.params.axi_bits, depth=2 * CHUNK)
            m.d.comb += [
                fifo.w_data.eq(self.beats.payload), port.valid.eq(fifo.r_rdy), fifo.r_en.eq(port.ready),
                port.payload.as_value().eq(fifo.r_data),
            ]  # fmt: skip
            fifos.append(fifo)
        a, b = fifos
        m.d.comb += [
            self.beats.ready.eq(Mux(of_b, b.w_rdy, a.w_rdy)),
            a.w_en.eq(self.beats.valid & ~of_b), b.w_en.eq(self.beats.valid & of_b),
        ]
        chunk_ends = (of_chunk == CHUNK - 1) | (left == 1)
        with m.If(self.beats.valid & self.beats.ready & self.reads_b):
            m.d.sync += [of_chunk.eq(of_chunk + 1), left.eq(left - 1)]
            with m.If(chunk_ends):
                m.d.sync += [of_chunk.eq(0), of_b.eq(~of_b)]
                with m.If(~of_b):  # as many of b
                    m.d.sync += left.eq(left + of_chunk)
        with m.If(begins):
            m.d.sync += [left.eq(self.total), of_chunk.eq(0), of_b.eq(0)]

    def _leave(self, m, unit, begins):
        """Words with their addresses; s0 of a word's channels to its row, and s1 so many words behind it."""
        v, offset, at = self.v, Signal(32, reset_less=True), Signal(13, reset_less=True)
        word, second = Signal(8), Signal()
        m.d.comb += [
            self.words.valid.eq(unit.o.valid), unit.o.ready.eq(self.words.ready),
            self.words.payload.address.eq(v.out + offset), self.words.payload.data.eq(unit.o.payload),
            unit.sums.ready.eq(second),
        ]
        with m.If(self.words.valid & self.words.ready):
            m.d.sync += offset.eq(offset + 1)
        sums, depth = unit.sums.payload, self.params.channel_rows
        m.d.sync += [
            self.write.eq(unit.sums.valid), self.write_row.eq(at + Mux(second, v.words, 0)),
            self.write_data.eq(Mux(second, sums.s1.as_value(), sums.s0.as_value())),
        ]
        with m.If(unit.sums.valid):
            m.d.sync += second.eq(~second)
            with m.If(second):
                m.d.sync += [at.eq(at + 1), word.eq(word + 1)]
                with m.If(word == v.words - 1):
                    m.d.sync += [word.eq(0), at.eq(at + 1 + v.words)]
            with m.If(at + Mux(second, v.words, 0) >= depth):
                m.d.comb += self.wrong.eq(1)
        with m.If(begins):
            m.d.sync += [offset.eq(0), at.eq(v.s), word.eq(0), second.eq(0)]
