"""Pre-generation: both kinds of compact weights of the weights that an update has just made."""

from amaranth.hdl import Module
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from .layouts import pattern_layout, piece_layout, row_layout
from .sore import Sore
from .transpose import Transposer

__all__ = ["Pregenerate", "weight_row_layout"]


def weight_row_layout() -> data.StructLayout:
    """A row, and N:M for FF and for BP of the block that it opens; in further rows they have no meaning."""
    return data.StructLayout({"numbers": row_layout(), "ff": pattern_layout(), "bp": pattern_layout()})


class Pregenerate(wiring.Component):
    """`golden.train.prune.compact_block`: rows of blocks in, k after k, 16 columns each; pieces for FF out, whose lanes
    are columns, and for BP, whose lanes are k's and which come through a transposer.

    A row a cycle with takers that are always ready. One taker for both, of a piece a cycle and FF's first, costs up to
    N - 1 cycles a block: groups end at the same time, and the transposer's banks leave no time to wait.
    FF_LATENCY cycles from a group's last row to its first piece for FF, BP_LATENCY from a block's last row, and M - 1
    further rows, to the first piece for BP.

    Either taker may wait, and then rows do. While pieces for BP are not taken, those for FF of two blocks come, whole
    (of three if BP's M is 16). Pieces for BP of a block come after all of its rows, so a taker must not wait for them
    before it has taken the block's pieces for FF but the last N, nor, for the same reason, with a block half sent.

    Attributes:
        i: rows. ff, bp: pieces.
    """

    FF_LATENCY = Sore.LATENCY
    BP_LATENCY = Transposer.LATENCY + Sore.LATENCY

    def __init__(self):
        super().__init__({
            "i": In(stream.Signature(weight_row_layout())),
            "ff": Out(stream.Signature(piece_layout())), "bp": Out(stream.Signature(piece_layout())),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        m.submodules.ff = ff = Sore()
        m.submodules.bp = bp = Sore()
        m.submodules.transposer = transposer = Transposer(pattern_layout().size)
        row, turned = self.i.payload, transposer.o
        m.d.comb += [
            self.i.ready.eq(ff.i.ready & transposer.i.ready),
            ff.i.valid.eq(self.i.valid & transposer.i.ready), transposer.i.valid.eq(self.i.valid & ff.i.ready),
            ff.i.payload.numbers.eq(row.numbers), ff.i.payload.pattern.eq(row.ff),
            transposer.i.payload.numbers.eq(row.numbers), transposer.i.payload.tag.eq(row.bp),
            bp.i.valid.eq(turned.valid), turned.ready.eq(bp.i.ready),
            bp.i.payload.numbers.eq(turned.payload.numbers), bp.i.payload.pattern.eq(turned.payload.tag),
        ]  # fmt: skip
        connect(m, ff.o, flipped(self.ff))
        connect(m, bp.o, flipped(self.bp))
        return m
