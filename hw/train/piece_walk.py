"""Pieces of compact weights on their way to memory."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from golden.train.params import GROUP, TrainParams

from .block_walk import BlockWalk
from .layouts import PLACE_BITS, masked_layout, pattern_layout, piece_layout

__all__ = ["PieceWalk"]


class PieceWalk(wiring.Component):
    """Where the pieces of an UPD's blocks lie: a piece takes three cycles, a dense one, which has no indices, two.

    Piece 0 of a block is `first`; its further ones lie as many pieces apart as a tile has blocks in a row. The next
    block's `first` is the sum of a base and a step, and becomes the base of all that begins with the block:

        what ends        FF: lines are groups of inputs        BP: lines are groups of a tile's outputs
        block            first + 1                             first + pieces of a line
        line             line + pieces of a line               line + 1
        tile of inputs                                         tile + tile_step
        tap                                                    tap + tap_step

    The walk moves on a cycle after a block's last piece, and the sum is there two cycles later: in time, as a block has
    two pieces or more.

    Args:
        turned: pieces are those for BP.

    Attributes:
        start: strobe; further fields are the instruction's, stable: taps, groups, pattern, write: whether anything is
            written at all; values, index: place of piece 0, of 32 and of 8 bytes; tap_step, tile_step: pieces.
        pieces: of a Pregenerate. words: to memory. done: all pieces are there, and their words have been taken.
    """

    def __init__(self, params: TrainParams, *, turned: bool):
        self.params, self.turned = params, turned
        super().__init__({
            "start": In(1), "taps": In(8), "groups": In(12), "pattern": In(pattern_layout()), "write": In(1),
            "values": In(32), "index": In(32), **({"tap_step": In(24), "tile_step": In(32)} if turned else {}),
            "pieces": In(stream.Signature(piece_layout())), "words": Out(stream.Signature(masked_layout(params))),
            "done": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        slots_log2, dense = Signal(3), Signal()
        m.d.sync += [slots_log2.eq(PLACE_BITS + self.pattern.n - self.pattern.m), dense.eq(self.pattern.m == 0)]
        held, valid, offered, second = Signal(piece_layout(), reset_less=True), Signal(), Signal(), Signal()
        at = Signal(data.StructLayout({"values": 32, "index": 32}), reset_less=True)
        number, ended = self._numbers(m, slots_log2)
        m.d.comb += [self.pieces.ready.eq(~valid), self.done.eq(ended & ~valid)]
        with m.If(self.pieces.valid & self.pieces.ready):
            m.d.sync += [valid.eq(1), offered.eq(self.write), held.eq(self.pieces.payload),
                         at.values.eq(self.values + number), at.index.eq(self.index + number)]  # fmt: skip
        m.d.comb += self.words.valid.eq(offered)
        with m.If(valid & (self.words.ready | ~offered)):
            m.d.sync += second.eq(~second)
            with m.If(second | dense | ~offered):
                m.d.sync += [second.eq(0), valid.eq(0), offered.eq(0)]
        self._word(m, held, at, second)
        return m

    def _numbers(self, m, slots_log2):
        """Number of the piece that comes; whether all have come."""
        per_tile = self.params.tile_columns // GROUP
        m.submodules.walk = walk = BlockWalk(self.params)
        number, first, line, tile, tap = (
            Signal(32, name=name, reset_less=True) for name in ("number", "first", "line", "tile", "tap")
        )  # fmt: skip
        following, slot, ended = Signal(32, reset_less=True), Signal(PLACE_BITS), Signal(init=1)
        of_line, slot_last = Signal(range(GROUP * per_tile + 1)), Signal(PLACE_BITS)
        m.d.sync += [of_line.eq(Const(per_tile) << slots_log2), slot_last.eq((1 << slots_log2) - 1)]
        base, step = Signal(32), Signal(32)
        if self.turned:
            m.d.comb += [base.eq(first), step.eq(of_line)]
            for ends, start, width in ((walk.line_ends, line, 1), (walk.tile_ends, tile, self.tile_step),
                                       (walk.tap_ends, tap, self.tap_step)):
                with m.If(ends):
                    m.d.comb += [base.eq(start), step.eq(width)]
        else:
            m.d.comb += [base.eq(Mux(walk.line_ends, line, first)), step.eq(Mux(walk.line_ends, of_line, 1))]
        takes = self.pieces.valid & self.pieces.ready
        ends_block = takes & (slot == slot_last)
        m.d.comb += [walk.start.eq(self.start), walk.taps.eq(self.taps), walk.groups.eq(self.groups)]
        m.d.sync += [walk.next.eq(ends_block), following.eq(base + step)]
        with m.If(takes):
            m.d.sync += [slot.eq(slot + 1), number.eq(number + per_tile)]
        with m.If(ends_block):
            m.d.sync += [slot.eq(0), number.eq(following), first.eq(following), ended.eq(walk.last)]
            for ends, start in ((walk.line_ends, line), (walk.tile_ends, tile), (walk.tap_ends, tap)):
                with m.If(ends):
                    m.d.sync += start.eq(following)
        with m.If(self.start):
            m.d.sync += [slot.eq(0), ended.eq(0), *(begin.eq(0) for begin in (number, first, line, tile, tap))]
        return number, ended

    def _word(self, m, held, at, second):
        """Values or indices, at all places of the word where they may lie."""
        size, word = self.params.axi_bits // 8, self.words.payload
        kinds = []
        for numbers, place, width in ((held.values, at.values, 2 * GROUP), (held.index, at.index, GROUP // 2)):
            count = size // width
            bits = count.bit_length() - 1
            chosen = [place[:bits] == part for part in range(count)] if bits else [Const(1)]
            strobe = Cat(*(bit.replicate(width) for bit in chosen))
            kinds.append((numbers.as_value().replicate(count), strobe, place[bits:]))
        for field, values, index in zip((word.data, word.strobe, word.address), *kinds, strict=True):
            m.d.comb += field.eq(Mux(second, index, values))
