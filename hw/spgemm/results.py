"""Where a row engine's results go: C's words, the rows' lengths and the record of the counters."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out, connect, flipped

from golden.spgemm.params import SpgemmParams
from golden.spgemm.record import RECORD_BYTES, record_words
from hw.fabric.axi import ADDRESS_BITS, beat_layout

__all__ = ["Results"]


class Results(wiring.Component):
    """Addresses memory words behind two cursors, lengths first where both have one; then the record.

    A word a cycle, in runs: memory loses time whenever it turns from reading to writing and back. A run begins when
    half of either queue is full, and ends when both are empty.

    Attributes:
        start: strobe: the cursors go to `c` and `n`, in memory words from byte `base`.
        elements, numbers: memory words; they wait in queues of ELEMENTS and NUMBERS. beats: what the writer takes.
        record: strobe: what is left and then `counters` are written; nothing else comes then. recorded: strobe: they
            are on their way.
    """

    ELEMENTS, NUMBERS = 32, 4

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
        width, words = self.params.axi_bits, record_words(self.params)
        m.submodules.elements = elements = SyncFIFO(width=width, depth=self.ELEMENTS)
        m.submodules.numbers = numbers = SyncFIFO(width=width, depth=self.NUMBERS)
        connect(m, flipped(self.elements), elements.w_stream)
        connect(m, flipped(self.numbers), numbers.w_stream)
        shift = self.params.beat_bytes.bit_length() - 1
        element_at, number_at = Signal(32, reset_less=True), Signal(32, reset_less=True)
        running, ending, number = Signal(), Signal(), Signal(range(max(2, words)))
        address, data = Signal(ADDRESS_BITS, reset_less=True), Signal(width, reset_less=True)
        valid, beat = self.beats.valid, self.beats.payload
        free, empty = ~valid | self.beats.ready, ~elements.r_rdy & ~numbers.r_rdy
        m.d.comb += [
            beat.address.eq(address), beat.data.eq(data), beat.strobe.eq(-1),
            numbers.r_en.eq(free & running), elements.r_en.eq(free & running & ~numbers.r_rdy),
            self.recorded.eq(ending & free & empty & (number == words - 1)),
        ]
        with m.If((elements.level >= self.ELEMENTS // 2) | (numbers.level >= self.NUMBERS // 2) | ending):
            m.d.sync += running.eq(1)
        with m.Elif(empty):
            m.d.sync += running.eq(0)

        def send(at, word):
            return [valid.eq(1), address.eq(self.base + (at << shift)), data.eq(word)]

        with m.If(free):
            m.d.sync += valid.eq(0)
            with m.If(numbers.r_en & numbers.r_rdy):
                m.d.sync += [*send(number_at, numbers.r_data), number_at.eq(number_at + 1)]
            with m.Elif(elements.r_en & elements.r_rdy):
                m.d.sync += [*send(element_at, elements.r_data), element_at.eq(element_at + 1)]
            with m.Elif(ending & empty):
                m.d.sync += send(self.n + number, self.counters.word_select(number, width))
                m.d.sync += number.eq(number + 1)
        with m.If(self.start):
            m.d.sync += [element_at.eq(self.c), number_at.eq(self.n + words)]
        with m.If(self.record):
            m.d.sync += [ending.eq(1), number.eq(0)]
        with m.Elif(self.recorded):
            m.d.sync += ending.eq(0)
        return m
