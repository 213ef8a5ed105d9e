"""A buffer: memory words of a weight channel, kept ahead of the lanes (FlightLLM's A buffer)."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from golden.params import LlmParams
from hw.fabric.pipeline import delay, strobes
from hw.fabric.ram import Ram

__all__ = ["WeightBuffer"]


class WeightBuffer(wiring.Component):
    """FIFO of `buffer_words` words in block or ultra RAM: loads go on while the array waits for activations.

    A word a cycle. A word leaves LATENCY cycles after a cycle with `room`, so whoever takes it keeps room for as many.

    Attributes:
        i: words from memory. room: one more word may leave.
        valid, word: a word leaves, no back-pressure.
    """

    LATENCY = 3

    def __init__(self, params: LlmParams):
        self.params = params
        super().__init__({
            "i": In(stream.Signature(params.axi_bits)),
            "room": In(1),
            "valid": Out(1),
            "word": Out(params.axi_bits),
        })

    def elaborate(self, platform):
        m = Module()
        depth = self.params.buffer_words
        m.submodules.ram = ram = Ram(width=self.params.axi_bits, depth=depth)
        first, end, level = Signal(range(depth)), Signal(range(depth)), Signal(range(depth + 1))
        write, read = Signal(), Signal()
        m.d.comb += [
            self.i.ready.eq(level != depth),
            write.eq(self.i.valid & self.i.ready),
            read.eq(self.room & (level != 0)),
            ram.write_enable.eq(write),
            ram.write_address.eq(end),
            ram.write_data.eq(self.i.payload),
            ram.read_address.eq(first),
            self.word.eq(delay(m, ram.read_data, self.LATENCY - 1, "word")),
        ]
        m.d.sync += [end.eq(end + write), first.eq(first + read), level.eq(level + write - read)]
        m.d.comb += self.valid.eq(strobes(m, read, self.LATENCY, "valid")[-1])
        return m
