"""Updated weights become memory words, and rounded ones rows of blocks."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from golden.train.params import GROUP, TrainParams
from hw.fabric.sure_fifo import SureFIFO

from .block_walk import BlockWalk
from .layouts import masked_layout, row_layout
from .wuve import updated_layout

__all__ = ["UpdatedWords"]


class UpdatedWords(wiring.Component):
    """Gathers what a Wuve makes. A master word and its velocities leave one after the other, a row when all of its
    numbers are there; neither waits for the other as long as the other's FIFO of DEPTH has place.

    Attributes:
        start: strobe; taps, groups, masters: the instruction's, stable.
        i: updated weights. rows: of blocks. words: to memory. done: the last word has been taken.
    """

    DEPTH = 8
    MARGIN = 4

    def __init__(self, params: TrainParams):
        self.params = params
        super().__init__({
            "start": In(1), "taps": In(8), "groups": In(12), "masters": In(32),
            "i": In(stream.Signature(updated_layout(params))), "rows": Out(stream.Signature(row_layout())),
            "words": Out(stream.Signature(masked_layout(params))), "done": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        p = self.params
        m.submodules.pairs = pairs = SureFIFO(width=2 * p.axi_bits, depth=self.DEPTH, margin=self.MARGIN)
        m.submodules.whole_rows = rows = SureFIFO(width=row_layout().size, depth=self.DEPTH, margin=self.MARGIN)
        self._gather(m, pairs, rows)
        m.d.comb += [
            self.i.ready.eq(pairs.room & rows.room),
            self.rows.valid.eq(rows.r_rdy), self.rows.payload.as_value().eq(rows.r_data), rows.r_en.eq(self.rows.ready),
        ]
        self._leave(m, pairs)
        return m

    def _gather(self, m, pairs, rows):
        p, made = self.params, self.i.payload
        steps, words = p.word // 2 // p.update_lanes, 2 * GROUP // p.word
        step, word = Signal(range(max(2, steps))), Signal(range(max(2, words)))
        w, v, row = (Signal(bits, name=name, reset_less=True)
                     for name, bits in (("w_word", p.axi_bits), ("v_word", p.axi_bits), ("row", row_layout().size)))
        takes = self.i.valid & self.i.ready
        word_ends = takes & (step == steps - 1)
        row_ends = word_ends & (word == words - 1)
        with m.If(takes):
            m.d.sync += [
                step.eq(Mux(word_ends, 0, step + 1)),
                *(held.eq(Cat(held, numbers)[-len(held):]) for held, numbers in
                  ((w, made.w), (v, made.v), (row, made.half)))]  # fmt: skip
        with m.If(word_ends):
            m.d.sync += word.eq(Mux(row_ends, 0, word + 1))
        m.d.sync += [pairs.w_en.eq(word_ends), rows.w_en.eq(row_ends)]
        m.d.comb += [pairs.w_data.eq(Cat(w, v)), rows.w_data.eq(row)]

    def _leave(self, m, pairs):
        p = self.params
        m.submodules.walk = walk = BlockWalk(p)
        at = Signal(32, reset_less=True)
        second, word, ended = Signal(), Signal(range(p.block_words)), Signal(init=1)
        taken = self.words.valid & self.words.ready
        m.d.comb += [
            walk.start.eq(self.start), walk.taps.eq(self.taps), walk.groups.eq(self.groups),
            pairs.r_en.eq(self.words.ready & second),
            self.words.valid.eq(pairs.r_rdy), self.words.payload.strobe.eq(~0),
            self.words.payload.address.eq(at),
            self.words.payload.data.eq(Mux(second, pairs.r_data[p.axi_bits:], pairs.r_data[:p.axi_bits])),
            self.done.eq(ended),
        ]
        m.d.sync += walk.next.eq(taken & second & word.all())
        with m.If(taken):
            m.d.sync += [second.eq(~second), at.eq(at + 1), word.eq(word + second)]
        with m.If(walk.next):
            m.d.sync += ended.eq(walk.last)
        with m.If(self.start):
            m.d.sync += [at.eq(self.masters), ended.eq(0)]
