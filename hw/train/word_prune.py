"""Numbers of memory words pruned on their way."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from golden.train.params import GROUP, TrainParams
from golden.train.prune import MAGNITUDE
from hw.fabric.pipeline import delay

from .layouts import NUMBER_BITS, PLACE_BITS, pattern_layout

__all__ = ["WordPrune"]

PARTS = 3
"""In which those who beat a number are counted."""


class WordPrune(wiring.Component):
    """Of each M numbers of a word the N that `golden.train.prune` keeps stay, others are +0. A word a cycle, LATENCY 4:
    each two of a group are compared, each number's betters counted in parts, then in all, the rest cleared.

    Data registers have no reset, and nothing stops.

    Attributes:
        word, pattern: 16-bit numbers, N:M as `pattern_logs` gives it; dense, 1:1, changes nothing.
        o: the word that came LATENCY cycles ago.
    """

    LATENCY = 4

    def __init__(self, params: TrainParams):
        self.params = params
        super().__init__({"word": In(params.axi_bits), "pattern": In(pattern_layout()), "o": Out(params.axi_bits)})

    def elaborate(self, platform):
        m = Module()
        patterns = [delay(m, self.pattern.as_value(), cycles, f"pattern_{cycles}") for cycles in (1, 2)]
        (_, log_m), (log_n, _) = ((value[:2], value[2:]) for value in patterns)
        together = Signal(PLACE_BITS)  # bit i: numbers whose places differ in bit i, and no higher one, are of a group
        m.d.comb += together.eq(Cat(log_m > bit for bit in range(PLACE_BITS)))
        kept = []
        for first in range(0, self.params.word, GROUP):
            numbers = [self.word.word_select(first + k, NUMBER_BITS) & MAGNITUDE for k in range(GROUP)]
            beats = {}  # (i, j), i < j: j is larger
            for j in range(GROUP):
                for i in range(j):
                    beats[i, j] = Signal(name=f"beats_{first + i}_{first + j}", reset_less=True)
                    m.d.sync += beats[i, j].eq(numbers[j] > numbers[i])
            for k in range(GROUP):
                better = [(beats[k, other] if k < other else ~beats[other, k])
                          & together[(k ^ other).bit_length() - 1] for other in range(GROUP) if other != k]
                kept.append(self._stays(m, better, log_n, f"{first + k}"))
        held = delay(m, self.word, self.LATENCY - 1, "word")
        for k, stays in enumerate(kept):
            m.d.sync += self.o.word_select(k, NUMBER_BITS).eq(
                held.word_select(k, NUMBER_BITS) & stays.replicate(NUMBER_BITS))
        return m

    def _stays(self, m, better, log_n, name):
        """Fewer than N of the bits are set: two cycles."""
        size, counts = len(better) // PARTS, []
        for part in range(PARTS):
            count = Signal(range(size + 1), name=f"betters_{name}_{part}", reset_less=True)
            m.d.sync += count.eq(sum(better[part * size : (part + 1) * size]))
            counts.append(count)
        stays = Signal(name=f"stays_{name}", reset_less=True)
        m.d.sync += stays.eq(sum(counts) < Mux(log_n[1], 4, Mux(log_n[0], 2, 1)))
        return stays
