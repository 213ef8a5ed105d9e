"""Reads a program that an engine executes as it comes."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.fabric.axi import ADDRESS_BITS, AxiReader, AxiWriter, axi_read, axi_write

__all__ = ["ProgramReader"]


class ProgramReader(wiring.Component):
    """A start with 0 words runs the program of the one before. The port is whole, though nothing is written there.

    Args:
        bits: of an instruction.

    Attributes:
        start, words, address, base: see EngineCore. begins: strobe, the cycle behind `start`; length: of the program.
        o: its memory words. busy, error: see AxiReader.
    """

    def __init__(self, axi_bits: int, bits: int, *, burst_beats: int = 16, outstanding: int = 4):
        self.axi_bits, self.bits, self.burst_beats, self.outstanding = axi_bits, bits, burst_beats, outstanding
        super().__init__({
            "start": In(1), "words": In(32), "address": In(32), "base": In(ADDRESS_BITS),
            "begins": Out(1), "length": Out(32), "o": Out(stream.Signature(axi_bits)), "busy": Out(1), "error": Out(1),
            "read": Out(axi_read(axi_bits)), "write": Out(axi_write(axi_bits)),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.reader = reader = AxiReader(
            self.axi_bits, burst_beats=self.burst_beats, outstanding=self.outstanding)
        m.submodules.writer = writer = AxiWriter(self.axi_bits)
        wiring.connect(m, reader.axi, wiring.flipped(self.read))
        wiring.connect(m, writer.axi, wiring.flipped(self.write))
        wiring.connect(m, reader.o, wiring.flipped(self.o))
        address, asked, beat = Signal(32), Signal(init=1), self.axi_bits // 8
        m.d.comb += [
            reader.clear.eq(self.start), reader.command.valid.eq(~asked), self.busy.eq(reader.busy),
            self.error.eq(reader.error), reader.command.payload.address.eq(self.base + address),
            reader.command.payload.beats.eq(
                ((self.length << (self.bits.bit_length() - 4)) + beat - 1) >> (beat.bit_length() - 1)),
        ]
        m.d.sync += self.begins.eq(self.start)
        with m.If(self.start):
            m.d.sync += asked.eq(0)
            with m.If(self.words != 0):
                m.d.sync += [self.length.eq(self.words), address.eq(self.address)]
        with m.Elif(reader.command.ready):
            m.d.sync += asked.eq(1)
        return m
