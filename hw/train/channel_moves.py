"""Between memory and rows of the channel file: LDC, STC."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from golden.isa.train import ISA
from golden.train.params import TrainParams
from hw.fabric.float16 import Narrow, Widen
from hw.fabric.isa_layout import instruction_layout
from hw.fabric.pipeline import strobes

from .layouts import NUMBER_BITS, addressed_layout
from .vector_layouts import request_layout

__all__ = ["ChannelMoves"]


class ChannelMoves(wiring.Component):
    """One instruction at a time. A row of binary32 takes two cycles to load and three to store; a memory word of 16-bit
    numbers, which pass one by one, a cycle each and LOADED or STORED more.

    Attributes:
        instruction: the word, stable while it runs. load, store: strobes: it is an LDC, an STC.
        done: strobe: its rows are written, or its words given. wrong: strobe: it is none that there is.
        requests, beats: words out of memory. words: to memory.
        read_row, read_data: the channel file, a cycle later. write, write_row, write_data: to those lanes of a row that
            `write` has a bit for.
    """

    LOADED = 2 + Widen.LATENCY
    STORED = 4 + Narrow.LATENCY

    def __init__(self, params: TrainParams):
        self.params = params
        row, numbers = range(params.channel_rows), 32 * params.word
        super().__init__({
            "instruction": In(ISA.bits), "load": In(1), "store": In(1), "done": Out(1), "wrong": Out(1),
            "requests": Out(stream.Signature(request_layout())), "beats": In(stream.Signature(params.axi_bits)),
            "words": Out(stream.Signature(addressed_layout(params))),
            "read_row": Out(row), "read_data": In(numbers),
            "write": Out(params.word), "write_row": Out(row), "write_data": Out(numbers),
        })

    def elaborate(self, platform):
        m = Module()
        p = self.params
        self.v = v = data.View(instruction_layout(ISA, "LDC"), self.instruction)
        self.number, self.at, self.second = Signal(12), Signal(32, reset_less=True), Signal()
        self.word = Signal(p.axi_bits, reset_less=True)
        self.passed, self.arrived = Signal(range(p.word + 1)), Signal(range(p.word))
        self.goes = Signal()
        last = Signal()
        m.d.comb += [
            last.eq(self.number == v.rows - 1), self.goes.eq(0),
            self.words.payload.address.eq(self.at),
            self.words.payload.data.eq(Mux(v.half, self.word, self.read_data.word_select(self.second, p.axi_bits))),
        ]
        m.d.sync += self.passed.eq(self.passed + self.goes)
        passing = strobes(m, self.goes, 2 + Narrow.LATENCY, "passing")
        self.widened, self.narrowed = passing[1 + Widen.LATENCY], passing[2 + Narrow.LATENCY]
        self._ask(m)
        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [self.number.eq(0), self.at.eq(v.address), self.second.eq(0), self.passed.eq(0),
                             self.arrived.eq(0)]
                with m.If(self.load):
                    m.next = "LOAD"
                with m.If(self.store):
                    m.next = "READ"
                with m.If((self.load | self.store) & self._refused()):
                    m.d.comb += self.wrong.eq(1)
                    m.next = "IDLE"
            self._load(m, last)
            self._store(m, last)
        return m

    def _refused(self):
        v, p = self.v, self.params
        beyond = v.row + Mux(v.turn, p.word, v.rows) > p.channel_rows
        return beyond | (v.rows == 0) | (v.turn & (~v.half | (v.rows > p.word)))

    def _ask(self, m):
        """All words at once, or with `turn` one after the other."""
        v, asking, asked, at = self.v, Signal(), Signal(12), Signal(32, reset_less=True)
        m.d.comb += [
            self.requests.valid.eq(asking), self.requests.payload.address.eq(at),
            self.requests.payload.words.eq(Mux(v.turn, 1, Mux(v.half, v.rows, Cat(Const(0, 1), v.rows)))),
        ]
        with m.If(asking & self.requests.ready):
            m.d.sync += [asked.eq(asked + 1), at.eq(at + v.stride)]
            with m.If(~v.turn | (asked == v.rows - 1)):
                m.d.sync += asking.eq(0)
        with m.If(self.load | self.store):
            m.d.sync += [asking.eq(self.load & ~self.wrong), asked.eq(0), at.eq(v.address)]

    def _row(self, lane):
        """The row of lane `lane` of a memory word of 16-bit numbers."""
        return (self.v.row + Mux(self.v.turn, lane, self.number))[:len(self.read_row)]

    def _load(self, m, last):
        p, v = self.params, self.v
        m.submodules.widen = widen = Widen(p.half)
        m.d.sync += widen.i.eq(self.word.word_select(self.passed[:-1], NUMBER_BITS))
        m.d.comb += widen.ce.eq(1)
        with m.State("LOAD"):
            m.d.comb += [
                self.beats.ready.eq(1), self.write_row.eq((v.row + self.number)[:len(self.write_row)]),
                self.write_data.eq(Cat(self.word, self.beats.payload)),
                self.write.eq((self.beats.valid & self.second).replicate(p.word)),
            ]
            with m.If(self.beats.valid):
                m.d.sync += [self.word.eq(self.beats.payload), self.passed.eq(0)]
                with m.If(v.half):
                    m.next = "SPREAD"
                with m.Else():
                    m.d.sync += [self.second.eq(~self.second), self.number.eq(self.number + self.second)]
                    with m.If(self.second & last):
                        m.d.comb += self.done.eq(1)
                        m.next = "IDLE"
        with m.State("SPREAD"):
            lane = Mux(v.turn, self.number, self.arrived)
            m.d.comb += [
                self.goes.eq(self.passed != p.word), self.write_row.eq(self._row(self.arrived)),
                self.write_data.eq(widen.o.replicate(p.word)),
                self.write.eq(self.widened.replicate(p.word) & (1 << lane[:len(self.arrived)])),
            ]
            with m.If(self.widened):
                m.d.sync += self.arrived.eq(self.arrived + 1)
                with m.If(self.arrived == p.word - 1):
                    m.d.sync += self.number.eq(self.number + 1)
                    m.next = "LOAD"
                    with m.If(last):
                        m.d.comb += self.done.eq(1)
                        m.next = "IDLE"

    def _store(self, m, last):
        p, v = self.params, self.v
        m.submodules.narrow = narrow = Narrow(p.half)
        lane = Signal(range(p.word), reset_less=True)
        m.d.sync += [lane.eq(Mux(v.turn, self.number, self.passed)), narrow.i.eq(self.read_data.word_select(lane, 32))]
        m.d.comb += narrow.ce.eq(1)
        with m.State("READ"):
            m.d.comb += self.read_row.eq(self._row(0))
            m.d.sync += self.passed.eq(0)
            m.next = "GIVE"
            with m.If(v.half):
                m.next = "GATHER"
        with m.State("GATHER"):
            m.d.comb += [self.goes.eq(self.passed != p.word), self.read_row.eq(self._row(self.passed))]
            with m.If(self.narrowed):
                m.d.sync += [self.word.eq(Cat(self.word[NUMBER_BITS:], narrow.o)), self.arrived.eq(self.arrived + 1)]
                with m.If(self.arrived == p.word - 1):
                    m.next = "GIVE"
        with m.State("GIVE"):
            m.d.comb += [self.words.valid.eq(1), self.read_row.eq((v.row + self.number)[:len(self.read_row)])]
            with m.If(self.words.ready):
                m.d.sync += [self.second.eq(~self.second & ~v.half), self.at.eq(self.at + Mux(v.turn, v.stride, 1))]
                with m.If(self.second | v.half):
                    m.d.sync += self.number.eq(self.number + 1)
                    m.next = "READ"
                    with m.If(last):
                        m.d.comb += self.done.eq(1)
                        m.next = "IDLE"
