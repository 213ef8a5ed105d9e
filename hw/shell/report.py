"""What a host without access to registers learns of a run."""

from amaranth.hdl import Array, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.fabric.axi import ADDRESS_BITS, AxiWriter, axi_write

from .core import REPORT_BITS

__all__ = ["Report"]


class Report(wiring.Component):
    """Writes words to memory when a run is over, and says done when they are there.

    2 cycles a word and the memory's latency; no cycle if not enabled.

    Args:
        words: how many. patience_log2: gives up after 2**patience_log2 cycles.

    Attributes:
        enabled, base: whether, and where to. words: still while they are written.
        ended: strobe: the run is over. done: strobe: so is this.
        write: to memory; what it answers does not matter, as a host sees whether the words have come.
    """

    def __init__(self, words: int, *, patience_log2: int = 17):
        self.count, self.patience_log2 = words, patience_log2
        super().__init__({
            "enabled": In(1), "base": In(ADDRESS_BITS), "words": In(REPORT_BITS).array(words),
            "ended": In(1), "done": Out(1), "write": Out(axi_write(REPORT_BITS)),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.writer = writer = AxiWriter(REPORT_BITS)
        wiring.connect(m, writer.axi, wiring.flipped(self.write))
        active, number = Signal(), Signal(range(self.count + 1))
        waited = Signal(self.patience_log2 + 1)
        left = number != self.count
        word = writer.i.payload
        m.d.comb += [
            writer.i.valid.eq(active & left),
            word.address.eq(self.base + (number << 2)), word.data.eq(Array(self.words)[number]), word.strobe.eq(~0),
        ]
        m.d.sync += waited.eq(waited + 1)
        with m.If(writer.i.valid & writer.i.ready):
            m.d.sync += number.eq(number + 1)
        with m.If(self.ended):
            m.d.comb += self.done.eq(~self.enabled)
            m.d.sync += [active.eq(self.enabled), number.eq(0), waited.eq(0)]
        with m.Elif(active & ((~left & ~writer.busy) | waited[-1])):
            m.d.comb += self.done.eq(1)
            m.d.sync += active.eq(0)
        return m
