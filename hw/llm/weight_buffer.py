"""A buffer: memory words of a weight channel, kept ahead of the lanes (FlightLLM's A buffer)."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from golden.params import LlmParams
from hw.fabric.pipeline import delay, strobes
from hw.fabric.ram import Ram

__all__ = ["WeightBuffer"]


class WeightBuffer(wiring.Component):
    """FIFO of `buffer_words` memory words in block or ultra RAM: loads go on while the array waits for activations.

    A memory word a cycle in, a lane word a cycle out. A word leaves LATENCY cycles after a cycle with `room`, so
    whoever takes it keeps room for as many.

    Attributes:
        i: memory words. room: one more lane word may leave.
        valid, word: a lane word leaves, no back-pressure.
    """

    LATENCY = 3

    def __init__(self, params: LlmParams):
        self.params = params
        super().__init__({
            "i": In(stream.Signature(params.axi_bits)),
            "room": In(1),
            "valid": Out(1),
            "word": Out(params.word_bytes * 8),
        })

    def elaborate(self, platform):
        m = Module()
        depth, together = self.params.buffer_words, self.params.lane_words
        first, end = Signal(range(depth // together)), Signal(range(depth))
        level = Signal(range(depth + 1))
        write, read = Signal(), Signal()
        part_bits, words = together.bit_length() - 1, []
        for part in range(together):
            m.submodules[f"ram_{part}"] = ram = Ram(width=self.params.axi_bits, depth=depth // together)
            m.d.comb += [
                ram.write_enable.eq(write & (end[:part_bits] == part)),
                ram.write_address.eq(end[part_bits:]),
                ram.write_data.eq(self.i.payload),
                ram.read_address.eq(first),
            ]
            words.append(ram.read_data)
        m.d.comb += [
            self.i.ready.eq(level != depth),
            write.eq(self.i.valid & self.i.ready),
            read.eq(self.room & (level >= together)),
            self.word.eq(delay(m, Cat(*words), self.LATENCY - 1, "word")),
        ]
        m.d.sync += [end.eq(end + write), first.eq(first + read), level.eq(level + write - (read << part_bits))]
        m.d.comb += self.valid.eq(strobes(m, read, self.LATENCY, "valid")[-1])
        return m
