"""A FIFO without a look at whether it is full."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

__all__ = ["SureFIFO"]


class SureFIFO(wiring.Component):
    """SyncFIFO for a writer that never has more than `depth` words in it. `r_rdy` and `room` are registers, which
    shortens what follows from them. A word can be read in the cycle after its write; one a cycle.

    Args:
        width: bits of a word. depth: a power of two. margin: words for which `room` says that there is place; without,
            there is no `room`.

    Attributes:
        w_data, w_en: a word to write. r_data, r_rdy: the first word, if there is one. r_en: take it.
        room: a cycle ago `margin` more words fitted, so with margin 2 one can be written now.

    Raises:
        ValueError: a depth that is not a power of two, or a margin that it does not hold.
    """

    def __init__(self, *, width: int, depth: int, margin: int | None = None):
        if depth < 2 or depth & (depth - 1):
            raise ValueError(f"depth = {depth!r}: must be a power of two")
        if margin is not None and not 1 <= margin <= depth:
            raise ValueError(f"margin = {margin!r}: must be 1 to depth = {depth}")
        self.width, self.depth, self.margin = width, depth, margin
        super().__init__({
            "w_data": In(width), "w_en": In(1), "r_data": Out(width), "r_rdy": Out(1), "r_en": In(1),
            **({} if margin is None else {"room": Out(1)}),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.words = words = Memory(
            shape=self.width, depth=self.depth, init=[], attrs={"ram_style": "distributed"}
        )
        write, read = words.write_port(), words.read_port(domain="comb")
        first, end, more = Signal(range(self.depth)), Signal(range(self.depth)), Signal(range(self.depth))
        taken = self.r_rdy & self.r_en
        m.d.comb += [
            write.addr.eq(end), write.data.eq(self.w_data), write.en.eq(self.w_en),
            read.addr.eq(first), self.r_data.eq(read.data),
        ]  # fmt: skip
        with m.If(self.w_en):
            m.d.sync += end.eq(end + 1)
        with m.If(taken):
            m.d.sync += first.eq(first + 1)
        # `more` words than the first one: counted only while there is one
        if self.margin is not None:
            m.d.sync += self.room.eq(more < self.depth - self.margin if self.margin < self.depth else ~self.r_rdy)
        with m.If(self.w_en & ~taken):
            m.d.sync += [self.r_rdy.eq(1), more.eq(more + self.r_rdy)]
        with m.If(taken & ~self.w_en):
            m.d.sync += [self.r_rdy.eq(more != 0), more.eq(Mux(more == 0, 0, more - 1))]
        return m
