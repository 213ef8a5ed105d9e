"""POOL: largest numbers of windows of a tensor in memory, and their gradients."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from golden.isa.train import ISA
from golden.train.params import TrainParams
from hw.fabric.isa_layout import instruction_layout
from hw.fabric.pipeline import strobes
from hw.fabric.sure_fifo import SureFIFO

from .layouts import addressed_layout
from .pool_gradient import PoolGradient
from .pool_lanes import TAP_BITS, PoolLanes
from .vector_layouts import request_layout
from .window_walk import WindowWalk, windows_layout

__all__ = ["Pool"]


class Pool(wiring.Component):
    """`golden.train.pool_unit`, an instruction at a time:

        requests: a line of a window each, with `back` then dY's words of it
        beats --FIFO--> PoolLanes --y-------------------------------> FIFO --> words
                            `--taps, dY--> PoolGradient --dX----------'

    A beat is taken every cycle, so that windows of k lines and w words take k k w cycles, with `back` (k k + 1) w; an
    instruction START cycles more, LATENCY from its last beat to its word, and with `back` the last window's words. Of
    requests as many are ahead as their taker takes; beats wait while WORDS of them do.

    Attributes:
        instruction: the word, stable while it runs. start: strobe. done: strobe: the last word has been given. wrong:
            strobe: there are no windows or more words than `channel_words`, or it wants gradients of windows that
            overlap.
        requests, beats: words out of memory. words: to memory.
    """

    WORDS = 32
    RESULTS = 16
    START = 3
    """Cycles from `start` to the first request."""
    LATENCY = 2 + PoolLanes.LATENCY
    """Of y, from beat to word; dX's: 1 + PoolGradient.LATENCY more."""

    def __init__(self, params: TrainParams):
        self.params = params
        super().__init__({
            "instruction": In(ISA.bits), "start": In(1), "done": Out(1), "wrong": Out(1),
            "requests": Out(stream.Signature(request_layout())), "beats": In(stream.Signature(params.axi_bits)),
            "words": Out(stream.Signature(addressed_layout(params))),
        })

    def elaborate(self, platform):
        m = Module()
        p = self.params
        self.v = v = data.View(instruction_layout(ISA, "POOL"), self.instruction)
        m.submodules.lanes = lanes = PoolLanes(p)
        m.submodules.gradient = gradient = PoolGradient(p)
        m.submodules.results = results = SureFIFO(width=p.axi_bits, depth=self.RESULTS,
                                                  margin=2 + PoolLanes.LATENCY)
        windows, line_words = Signal(windows_layout(), reset_less=True), Signal(12, reset_less=True)
        self.last_word, self.last_tap = (Signal(shape, name=f"last_{name}", reset_less=True) for name, shape in (
            ("word", range(p.channel_words)), ("tap", TAP_BITS)))
        m.d.sync += [
            *(windows[name].eq(v[name]) for name in ("kernel", "line", "nx", "ny", "images", "image")),
            windows.window.eq(v.step * v.words), windows.row.eq(v.step * v.line), line_words.eq(v.kernel * v.words),
            self.last_word.eq(v.words - 1), self.last_tap.eq(v.kernel * v.kernel - 1),
        ]
        m.d.comb += [
            self.wrong.eq(self.start & self._bad()), lanes.back.eq(v.back),
            gradient.last_word.eq(self.last_word), gradient.last_tap.eq(self.last_tap),
            *(getattr(gradient, name).eq(getattr(lanes, of_lanes)) for name, of_lanes in (
                ("i", "o"), ("word", "word"), ("largest", "largest"), ("gradient", "gradient"))),
            gradient.may.eq(results.room),
            results.w_en.eq(Mux(v.back, gradient.valid, lanes.largest)),
            results.w_data.eq(Mux(v.back, gradient.o.as_value(), lanes.o.as_value())),
        ]
        begins = strobes(m, self.start & ~self.wrong, 2, "begins")[-1]
        m.d.comb += gradient.start.eq(begins)
        self._ask(m, begins, windows, line_words)
        self._take(m, begins, lanes, gradient, results)
        self._leave(m, begins, windows, line_words, results)
        return m

    def _bad(self):
        v = self.v
        return Cat(
            *(v[name] == 0 for name in ("kernel", "step", "nx", "ny", "images", "words")),
            v.words > self.params.channel_words, v.back & (v.step < v.kernel),
        ).any()

    def _ask(self, m, begins, windows, line_words):
        m.submodules.reads = walk = WindowWalk()
        v, asking, of_dy, all_x = self.v, Signal(), Signal(), Signal()
        dy, taken = Signal(32, reset_less=True), self.requests.valid & self.requests.ready
        m.d.comb += [
            walk.start.eq(begins), walk.first.eq(v.x), walk.windows.eq(windows), walk.next.eq(taken & ~of_dy),
            self.requests.valid.eq(asking), self.requests.payload.address.eq(Mux(of_dy, dy, walk.at)),
            self.requests.payload.words.eq(Mux(of_dy, v.words, line_words)),
        ]
        with m.If(taken):
            m.d.sync += of_dy.eq(v.back & walk.window_ends & ~of_dy)
            with m.If(of_dy):
                m.d.sync += [dy.eq(dy + v.words), asking.eq(~all_x)]
            with m.Else():
                m.d.sync += [all_x.eq(walk.last), asking.eq(v.back | ~walk.last)]
        with m.If(begins):
            m.d.sync += [asking.eq(1), of_dy.eq(0), dy.eq(v.dy)]

    def _take(self, m, begins, lanes, gradient, results):
        """Beats are taps of windows, with `back` dY behind them."""
        m.submodules.beats = fifo = SureFIFO(width=self.params.axi_bits, depth=self.WORDS, margin=2)
        v, i = self.v, lanes.i
        takes, word_ends, ends, single = Signal(), Signal(), Signal(), self.last_tap == 0
        word, tap = Signal.like(self.last_word, reset_less=False), Signal.like(self.last_tap)
        first, last, of_dy = Signal(), Signal(), Signal()
        m.d.comb += [
            self.beats.ready.eq(fifo.room), fifo.w_en.eq(self.beats.valid & fifo.room),
            fifo.w_data.eq(self.beats.payload), fifo.r_en.eq(takes), lanes.valid.eq(takes),
            takes.eq(fifo.r_rdy & (Mux(v.back, gradient.room, results.room) | (~last & ~of_dy))), ends.eq(last | of_dy),
            word_ends.eq(takes & (word == self.last_word)), gradient.taken.eq(word_ends & of_dy),
            i.numbers.as_value().eq(fifo.r_data), i.word.eq(word), i.tap.eq(tap), i.first.eq(first), i.last.eq(last),
            i.dy.eq(of_dy),
        ]
        with m.If(takes):
            m.d.sync += word.eq(Mux(word_ends, 0, word + 1))
        with m.If(word_ends):
            m.d.sync += [tap.eq(Mux(ends, self.last_tap, tap - 1)), first.eq(ends),
                         last.eq(Mux(ends, single, tap == 1)), of_dy.eq(v.back & last & ~of_dy)]
        with m.If(begins):
            m.d.sync += [tap.eq(self.last_tap), first.eq(1), last.eq(single)]

    def _leave(self, m, begins, windows, line_words, results):
        """y's words follow each other, those of dX line by line."""
        m.submodules.writes = walk = WindowWalk()
        v, at, ends, sent = self.v, Signal(32, reset_less=True), Signal(), self.words.valid & self.words.ready
        left, of_line = Signal(12, reset_less=True), Signal(12, reset_less=True)
        m.d.sync += [of_line.eq(Mux(v.back, line_words, v.words)), self.done.eq(sent & ends & walk.last)]
        m.d.comb += [
            walk.start.eq(begins), walk.first.eq(v.out), walk.windows.eq(windows), walk.next.eq(sent & ends),
            self.words.valid.eq(results.r_rdy), results.r_en.eq(self.words.ready),
            self.words.payload.address.eq(at), self.words.payload.data.eq(results.r_data),
        ]
        with m.If(~v.back):
            m.d.comb += walk.windows.kernel.eq(1)
        with m.If(sent):
            m.d.sync += [left.eq(Mux(ends, of_line, left - 1)), ends.eq(Mux(ends, of_line == 1, left == 2)),
                         at.eq(Mux(ends & v.back, walk.following, at + 1))]
        with m.If(begins):
            m.d.sync += [left.eq(of_line), ends.eq(of_line == 1), at.eq(v.out)]
