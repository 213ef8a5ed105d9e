"""Numbers, one behind the other, as memory words."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from golden.spgemm.params import SpgemmParams

from .layouts import NUMBER_BITS, numbers_port

__all__ = ["NumberWords"]


class NumberWords(wiring.Component):
    """Numbers wait in a queue as wide as they are and fill a word one by one.

    A number a cycle while the words are taken; a word is offered LATENCY cycles after its last number came. No
    back-pressure but `room`.

    Attributes:
        numbers: as in `numbers_port`. room: knows of a number 3 cycles after it has come; MARGIN more fit.
        waiting: how many waited behind the word that fills or is offered, a cycle ago.
        finish: level: nothing comes any more; a word that has begun leaves, with zeros behind.
        words: the words. busy: a number has not left, even if its word is not full.
    """

    DEPTH = 64
    MARGIN = 16
    LATENCY = 2

    def __init__(self, params: SpgemmParams):
        self.params = p = params
        super().__init__({
            "numbers": In(numbers_port()),
            "finish": In(1),
            "words": Out(stream.Signature(p.axi_bits)),
            "waiting": Out(range(self.DEPTH)),
            "busy": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.queue = queue = Memory(shape=NUMBER_BITS, depth=self.DEPTH, init=[])
        write, read = queue.write_port(), queue.read_port(domain="comb")
        lanes = self.params.axi_bits // NUMBER_BITS
        lane, free, some, load, rest = Signal(lanes, init=1), Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            write.en.eq(self.numbers.valid), write.data.eq(self.numbers.number), some.eq(read.addr != write.addr),
            free.eq(~self.words.valid | self.words.ready), load.eq(free & some),
            rest.eq(self.finish & ~some & ~lane[0]), self.busy.eq(some | ~lane[0] | self.words.valid),
        ]  # fmt: skip
        m.d.sync += [
            write.addr.eq(write.addr + self.numbers.valid), self.waiting.eq(write.addr - read.addr),
            self.numbers.room.eq(self.waiting <= self.DEPTH - 1 - self.MARGIN),
        ]  # fmt: skip
        with m.If(load):
            m.d.sync += [read.addr.eq(read.addr + 1), lane.eq(lane.rotate_left(1))]
        with m.Elif(rest):
            m.d.sync += lane.eq(1)
        with m.If(free):
            m.d.sync += self.words.valid.eq((load & lane[-1]) | rest)
        for number in range(lanes):
            word = Signal(NUMBER_BITS, name=f"number_{number}", reset_less=True)
            with m.If(load & lane[0]):  # a new word is zeros behind its first number
                m.d.sync += word.eq(0)
            with m.If(load & lane[number]):
                m.d.sync += word.eq(read.data)
            m.d.comb += self.words.payload.word_select(number, NUMBER_BITS).eq(word)
        return m
