"""Packs numbers that come in their lanes into whole words."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out, connect, flipped

__all__ = ["Packer"]


class Packer(wiring.Component):
    """Words of `lanes` numbers, full ones only; a number comes in the lane that it has in its word.

    Numbers of a cycle take the next free lanes, around the word's end. Up to a word a cycle; no back-pressure but
    `room`.

    Attributes:
        mask, data: numbers and their lanes.
        flush: strobe: a word that has begun leaves, with zeros in the free lanes. No numbers in this cycle.
        words: the words, from a queue. busy: one of them has not been taken.
        room: a cycle ago, MARGIN words more fitted into the queue.
    """

    MARGIN = 16
    DEPTH = 32
    LATENCY = 2
    """From a word's last number to the queue."""

    def __init__(self, lanes: int, width: int):
        self.lanes, self.width = lanes, width
        super().__init__({
            "mask": In(lanes),
            "data": In(data.ArrayLayout(width, lanes)),
            "flush": In(1),
            "words": Out(stream.Signature(lanes * width)),
            "room": Out(1),
            "busy": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.queue = queue = SyncFIFO(width=self.lanes * self.width, depth=self.DEPTH)
        filled, full, leaves = Signal(self.lanes), Signal(), Signal()
        m.d.comb += full.eq((filled | self.mask).all())
        m.d.sync += [
            leaves.eq(full | (self.flush & filled.any())), self.room.eq(queue.level < self.DEPTH - self.MARGIN),
            filled.eq(Mux(full, filled & self.mask, (filled | self.mask) & ~self.flush.replicate(self.lanes))),
        ]  # fmt: skip
        for lane in range(self.lanes):
            number = Signal(self.width, name=f"number_{lane}", reset_less=True)
            out = Signal(self.width, name=f"out_{lane}", reset_less=True)
            m.d.sync += out.eq(Mux(filled[lane], number, Mux(self.mask[lane], self.data[lane], 0)))
            with m.If(self.mask[lane]):
                m.d.sync += number.eq(self.data[lane])
            m.d.comb += queue.w_data.word_select(lane, self.width).eq(out)
        m.d.comb += [queue.w_en.eq(leaves), self.busy.eq(leaves | queue.r_rdy)]
        connect(m, queue.r_stream, flipped(self.words))
        return m
