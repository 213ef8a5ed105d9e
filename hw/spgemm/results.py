"""Where a row engine's results go: C's words, the rows' lengths and the record of the counters."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from golden.spgemm.params import SpgemmParams
from golden.spgemm.record import RECORD_BYTES, record_words
from hw.fabric.axi import ADDRESS_BITS, beat_layout

from .element_queue import ElementQueue
from .layouts import NUMBER_BITS, elements_port, numbers_port, stored_layout
from .number_words import NumberWords

__all__ = ["Results"]


class Results(wiring.Component):
    """Packs results into memory words and addresses these behind two cursors, lengths first; then the record.

    A word a cycle, in runs: memory loses time whenever it turns from reading to writing and back. A run begins when RUN
    words of elements wait or two of numbers, and ends when there is no word. While nothing is read words leave at once.
    A word is a beat 1 cycle after it has left its queue.

    Attributes:
        start: strobe: the cursors go to `c` and `n`, in memory words from byte `base`, which stays.
        elements, numbers: as in `elements_port` and `numbers_port`. beats: what the writer takes.
        alone: level: nothing is read, so there is no use in waiting for a run.
        record: strobe: what is left and then `counters` are written; nothing else comes then, and words of elements
            are whole. recorded: strobe: they are on their way.
    """

    RUN = 16

    def __init__(self, params: SpgemmParams):
        self.params = p = params
        super().__init__({
            "start": In(1), "base": In(ADDRESS_BITS), "c": In(32), "n": In(32),
            "elements": In(elements_port(p)), "numbers": In(numbers_port()),
            "alone": In(1), "record": In(1), "counters": In(RECORD_BYTES * 8), "recorded": Out(1),
            "beats": Out(stream.Signature(beat_layout(p.axi_bits))),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.elements = elements = ElementQueue(self.params)
        m.submodules.numbers = numbers = NumberWords(self.params)
        connect(m, flipped(self.elements), elements.elements)
        connect(m, flipped(self.numbers), numbers.numbers)
        width, words = self.params.axi_bits, record_words(self.params)
        running, ending, recording, back = Signal(), Signal(), Signal(), Signal()
        part, counted, taken = Signal(range(max(2, words))), Signal(), Signal()
        valid, beat = self.beats.valid, self.beats.payload
        word, free = Signal(width, reset_less=True), ~valid | self.beats.ready
        empty = ~elements.words.valid & ~numbers.words.valid
        m.d.sync += back.eq(ending & ~back & ~recording & ~elements.words.valid & ~numbers.busy & ~valid)
        m.d.comb += [
            beat.data.eq(word), beat.strobe.eq(-1),
            numbers.words.ready.eq(free & running), elements.words.ready.eq(free & running & ~numbers.words.valid),
            numbers.finish.eq(ending), taken.eq(valid & self.beats.ready),
            self.recorded.eq(recording & free & (part == words - 1)),
        ]  # fmt: skip
        long = (elements.waiting >= self.RUN - 1) | (numbers.waiting >= width // NUMBER_BITS)
        with m.If(long | self.alone | ending):
            m.d.sync += running.eq(1)
        with m.Elif(empty):
            m.d.sync += running.eq(0)

        of_record = self.counters.word_select(part, width)
        stored = Signal(data.ArrayLayout(stored_layout(self.params), self.params.lanes))
        for to, element in zip(stored, elements.words.payload, strict=True):
            m.d.comb += [to.column.eq(element.column), to.value.eq(element.value)]
        with m.If(free):
            m.d.sync += [
                valid.eq((running & ~empty) | recording), counted.eq(numbers.words.valid | recording),
                word.eq(Mux(recording, of_record, Mux(numbers.words.valid, numbers.words.payload, stored))),
            ]  # fmt: skip
            m.d.sync += part.eq(part + recording)
        self._address(m, taken, counted, back)
        with m.If(self.record):
            m.d.sync += [ending.eq(1), part.eq(0)]
        with m.Elif(self.recorded):
            m.d.sync += [ending.eq(0), recording.eq(0)]
        with m.Elif(back):
            m.d.sync += recording.eq(1)
        return m

    def _address(self, m, taken, counted, back):
        """Cursors move when their beat has left, so that its address is a sum alone, without a register of its own.

        The numbers' cursor goes back for the record.
        """
        words, shift = record_words(self.params), self.params.beat_bytes.bit_length() - 1
        element_at, number_at = Signal(32, reset_less=True), Signal(32, reset_less=True)
        with m.If(self.start | (taken & ~counted)):
            m.d.sync += element_at.eq(Mux(self.start, self.c, element_at) + ~self.start)
        with m.If(self.start | back | (taken & counted)):
            step = Mux(self.start, words, ~back)
            m.d.sync += number_at.eq(Mux(self.start | back, self.n, number_at) + step)
        m.d.comb += self.beats.payload.address.eq(self.base + (Mux(counted, number_at, element_at) << shift))
