"""Which weights the forward pass dropped: those that FF's indices do not name."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from golden.train.params import GROUP, TrainParams
from hw.fabric.sure_fifo import SureFIFO

from .layouts import PLACE_BITS, pattern_layout

__all__ = ["PIECE_BITS", "DroppedWeights"]

PIECE_BITS = PLACE_BITS * GROUP


class DroppedWeights(wiring.Component):
    """Pieces of indices become masks of blocks, a piece a cycle. A line, a tile's blocks of a group of inputs, has slot
    after slot one of each block; lines follow each other, from `index` on, which need not begin a word. So the words of
    a line are asked for less what the line before has left of its last one, perhaps none.

    Masks wait in a ring for those who have asked for `ahead` blocks, and perhaps for the line of a further one.

    Args:
        ahead: blocks that are asked for and not yet given, at most, when a line is.

    Attributes:
        start: strobe; index: place of the first piece, of 8 bytes; pattern: of FF; both stable.
        at, count: words of the next line, which is asked for: `asked`, a strobe, and `none`: it has no words;
            three cycles behind it or `start`.
        write, word: strobe: one of them comes.
        ready: the next block's mask is there. number: of weights of this block; pruned: those are. next: strobe: the
            block after this.
    """

    WORDS = 32
    """Not less than blocks under way have, `ahead` and a line: two words each."""

    def __init__(self, params: TrainParams, *, ahead: int):
        self.params, self.ahead = params, ahead
        super().__init__({
            "start": In(1), "index": In(32), "pattern": In(pattern_layout()),
            "at": Out(32), "count": Out(6), "none": Out(1), "asked": In(1), "write": In(1), "word": In(params.axi_bits),
            "ready": Out(1), "number": In(range(GROUP * GROUP // params.update_lanes)),
            "pruned": Out(params.update_lanes), "next": In(1),
        })

    def elaborate(self, platform):
        m = Module()
        self.per_tile = self.params.tile_columns // GROUP
        self.of_word = (self.params.axi_bits // PIECE_BITS).bit_length() - 1  # log2 of the pieces of a word
        rows = 2 * max(self.ahead, self.per_tile)
        m.submodules.kept = kept = Memory(shape=GROUP * GROUP, depth=rows, init=[], attrs={"ram_style": "distributed"})
        slots_log2, of_line = Signal(3), Signal(range(GROUP // 2 * self.per_tile + 1))
        m.d.comb += slots_log2.eq(PLACE_BITS + self.pattern.n - self.pattern.m)
        m.d.sync += of_line.eq(Const(self.per_tile) << slots_log2)
        self._ask(m, of_line)
        whole = self._gather(m, kept, slots_log2, of_line)

        row, waiting, mask = Signal(range(rows)), Signal(range(rows + 1)), kept.read_port(domain="comb")
        m.d.sync += [row.eq(row + self.next), waiting.eq(waiting + whole - self.next)]
        with m.If(self.start):
            m.d.sync += [row.eq(0), waiting.eq(0)]
        m.d.comb += [
            mask.addr.eq(row), self.ready.eq(waiting != 0),
            self.pruned.eq(~mask.data.word_select(self.number, len(self.pruned))),
        ]
        return m

    def _ask(self, m, of_line):
        """`used`: pieces of the word before `at` that are others', or of the first one."""
        at, used, first = Signal(32, reset_less=True), Signal(self.of_word), Signal()
        end = Signal(range(GROUP // 2 * self.per_tile + 2 * (1 << self.of_word)))
        m.d.comb += [end.eq(used + of_line), self.at.eq(at)]
        m.d.sync += [
            self.count.eq(((end + (1 << self.of_word) - 1) >> self.of_word) - (~first & (used != 0))),
            self.none.eq(self.count == 0),
        ]
        with m.If(self.asked):
            m.d.sync += [at.eq(at + self.count), used.eq(end), first.eq(0)]
        with m.If(self.start):
            m.d.sync += [Cat(used, at).eq(self.index), first.eq(1)]

    def _gather(self, m, kept, slots_log2, of_line):
        """Strobe: a further block's mask is whole."""
        m.submodules.index_words = words = SureFIFO(width=self.params.axi_bits, depth=self.WORDS)
        write, read = kept.write_port(), kept.read_port(domain="comb")
        place, to_come, goes = Signal(self.of_word), Signal(12), Signal()
        column, slot, line = Signal(range(max(2, self.per_tile))), Signal(PLACE_BITS), Signal.like(write.addr)
        last_slot, column_ends, whole = Signal(PLACE_BITS), Signal(), Signal()
        m.d.sync += [last_slot.eq((1 << slots_log2) - 1), to_come.eq(to_come + Mux(self.asked, of_line, 0) - goes)]
        m.d.comb += [
            words.w_en.eq(self.write), words.w_data.eq(self.word), goes.eq(words.r_rdy & (to_come != 0)),
            words.r_en.eq((goes & place.all()) | self.start),  # what the last line has left of a word
            column_ends.eq(column == self.per_tile - 1), whole.eq(goes & (slot == last_slot)),
            read.addr.eq(line + column), write.addr.eq(line + column), write.en.eq(goes),
        ]
        piece, before = words.r_data.word_select(place, PIECE_BITS), Mux(slot == 0, 0, read.data)
        for k in range(GROUP):
            for lane in range(GROUP):
                bit = GROUP * k + lane
                m.d.comb += write.data[bit].eq(before[bit] | (piece.word_select(lane, PLACE_BITS) == k))
        with m.If(goes):
            m.d.sync += [place.eq(place + 1), column.eq(Mux(column_ends, 0, column + 1))]
            with m.If(column_ends):
                m.d.sync += slot.eq(slot + 1)
            with m.If(column_ends & whole):
                m.d.sync += [slot.eq(0), line.eq(line + self.per_tile)]
        with m.If(self.start):
            m.d.sync += [place.eq(self.index), column.eq(0), slot.eq(0), line.eq(0), to_come.eq(0)]
        return whole
