"""Where a row engine's results go: C's words, the rows' lengths and the record of the counters."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from golden.spgemm.params import SpgemmParams
from golden.spgemm.record import RECORD_BYTES, record_words
from hw.fabric.axi import ADDRESS_BITS, beat_layout

__all__ = ["Results"]


class Results(wiring.Component):
    """Addresses memory words behind two cursors, lengths first where both have one; then the record. A word a cycle.

    Attributes:
        start: strobe: the cursors go to `c` and `n`, in memory words from byte `base`.
        elements, numbers: memory words. beats: what the writer takes.
        record: strobe: `counters` are written; nothing else comes then. recorded: strobe: they are on their way.
    """

    def __init__(self, params: SpgemmParams):
        self.params = params
        super().__init__({
            "start": In(1), "base": In(ADDRESS_BITS), "c": In(32), "n": In(32),
            "elements": In(stream.Signature(params.axi_bits)),
            "numbers": In(stream.Signature(params.axi_bits)),
            "record": In(1), "counters": In(RECORD_BYTES * 8), "recorded": Out(1),
            "beats": Out(stream.Signature(beat_layout(params.axi_bits))),
        })

    def elaborate(self, platform):
        m = Module()
        shift, words = self.params.beat_bytes.bit_length() - 1, record_words(self.params)
        element_at, number_at = Signal(32, reset_less=True), Signal(32, reset_less=True)
        recording, number = Signal(), Signal(range(max(2, words)))
        address, data = Signal(ADDRESS_BITS, reset_less=True), Signal(self.params.axi_bits, reset_less=True)
        valid, beat = self.beats.valid, self.beats.payload
        free = ~valid | self.beats.ready
        m.d.comb += [
            beat.address.eq(address), beat.data.eq(data), beat.strobe.eq(-1),
            self.numbers.ready.eq(free & ~recording),
            self.elements.ready.eq(free & ~recording & ~self.numbers.valid),
            self.recorded.eq(recording & free & (number == words - 1)),
        ]

        def send(at, word):
            return [valid.eq(1), address.eq(self.base + (at << shift)), data.eq(word)]

        with m.If(free):
            m.d.sync += valid.eq(0)
            with m.If(recording):
                m.d.sync += send(self.n + number, self.counters.word_select(number, self.params.axi_bits))
                m.d.sync += number.eq(number + 1)
            with m.Elif(self.numbers.valid):
                m.d.sync += [*send(number_at, self.numbers.payload), number_at.eq(number_at + 1)]
            with m.Elif(self.elements.valid):
                m.d.sync += [*send(element_at, self.elements.payload), element_at.eq(element_at + 1)]
        with m.If(self.start):
            m.d.sync += [element_at.eq(self.c), number_at.eq(self.n + words)]
        with m.If(self.record):
            m.d.sync += [recording.eq(1), number.eq(0)]
        with m.Elif(self.recorded):
            m.d.sync += recording.eq(0)
        return m
