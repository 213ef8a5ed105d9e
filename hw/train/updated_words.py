"""Updated weights become memory words, and rounded ones rows of blocks."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from golden.train.params import GROUP, TrainParams
from hw.fabric.sure_fifo import SureFIFO

from .block_walk import BlockWalk
from .layouts import masked_layout, row_layout
from .turns import in_turns
from .wuve import updated_layout

__all__ = ["UpdatedWords"]


class UpdatedWords(wiring.Component):
    """Gathers what a Wuve makes. Words of all masters leave one after the other, a row when all of its
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
        m.submodules.pairs = pairs = SureFIFO(width=len(p.masters) * p.axi_bits, depth=self.DEPTH, margin=self.MARGIN)
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
        names = (*((f"{name}_word", p.axi_bits) for name in p.masters), ("row", row_layout().size))
        *masters, row = (Signal(bits, name=name, reset_less=True) for name, bits in names)
        takes = self.i.valid & self.i.ready
        word_ends = takes & (step == steps - 1)
        row_ends = word_ends & (word == words - 1)
        with m.If(takes):
            m.d.sync += [
                step.eq(Mux(word_ends, 0, step + 1)),
                *(held.eq(Cat(held, made[name])[-len(held):]) for held, name in
                  zip((*masters, row), (*p.masters, "half"), strict=True))]
        with m.If(word_ends):
            m.d.sync += word.eq(Mux(row_ends, 0, word + 1))
        m.d.sync += [pairs.w_en.eq(word_ends), rows.w_en.eq(row_ends)]
        m.d.comb += [pairs.w_data.eq(Cat(masters)), rows.w_data.eq(row)]

    def _leave(self, m, pairs):
        p = self.params
        m.submodules.walk = walk = BlockWalk(p)
        at = Signal(32, reset_less=True)
        word, ended = Signal(range(p.block_words)), Signal(init=1)
        taken = self.words.valid & self.words.ready
        turns = in_turns(m, len(p.masters), taken)
        data, last = pairs.r_data[:p.axi_bits], turns[-1]
        for number, turn in enumerate(turns[1:], 1):
            data = Mux(turn, pairs.r_data[number * p.axi_bits : (number + 1) * p.axi_bits], data)
        m.d.comb += [
            walk.start.eq(self.start), walk.taps.eq(self.taps), walk.groups.eq(self.groups),
            pairs.r_en.eq(self.words.ready & last),
            self.words.valid.eq(pairs.r_rdy), self.words.payload.strobe.eq(~0),
            self.words.payload.address.eq(at),
            self.words.payload.data.eq(data),
            self.done.eq(ended),
        ]
        m.d.sync += walk.next.eq(taken & last & word.all())
        with m.If(taken):
            m.d.sync += [at.eq(at + 1), word.eq(word + last)]
        with m.If(walk.next):
            m.d.sync += ended.eq(walk.last)
        with m.If(self.start):
            m.d.sync += [at.eq(self.masters), ended.eq(0)]
