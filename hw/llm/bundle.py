"""Assembles bundles from bit planes or raw bytes: the dequantiser's datapath."""

from itertools import product

from amaranth.hdl import Cat, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from golden.llm.stream import WIDTHS
from golden.params import BLOCK, LlmParams

__all__ = ["INDEX_PLANES", "BundleAssembler", "assembler_ports"]

INDEX_PLANES = 4


def assembler_ports(params: LlmParams) -> dict[str, wiring.Member]:
    """Of BundleAssembler and of PlaneWindow, which takes its place where a beat has four planes."""
    return {
        "beat": In(params.lane_bits),
        "take": In(1),
        "begin": In(1),
        "width": In(4),
        "signed_values": In(1),
        "indexed": In(1),
        "raw": In(1),
        "ends": Out(1),
        "whole": Out(1),
        "weights": Out(data.ArrayLayout(signed(8), BLOCK)),
        "index": Out(data.ArrayLayout(unsigned(4), BLOCK)),
        "high": Out(1),
    }


class BundleAssembler(wiring.Component):
    """Shifts the planes of a beat into 16 slots, `planes` a cycle; a beat a cycle, LATENCY 1.

    A beat may end one bundle and begin the next (odd widths); it never ends two. The plane that then belongs to the
    next bundle is shifted in with the others: the bundle lies one bit too high, and the next one's planes come late.

    Attributes:
        beat, take: the lane's beat and the strobe that consumes it.
        begin: strobe: the next beat starts a bundle (no planes are held).
        width: bits of a value; signed_values; indexed: four index planes come first; raw: bytes instead of planes, as
            many as planes of width 8.
        ends: the next beat completes a bundle. whole: low, every bundle needs a beat of its own.
        weights, index: the bundle, in the cycle behind its last beat and until `take`; `high`: `weights` one bit up.
    """

    LATENCY = 1

    def __init__(self, params: LlmParams):
        self.params = params
        super().__init__(assembler_ports(params))

    def elaborate(self, platform):
        m = Module()
        planes = self.params.planes
        beats_left, first_left = Signal(4), Signal(4)  # behind the next beat; at the start of a bundle
        number = Signal(INDEX_PLANES // planes + 1, init=1)  # of the next beat in its bundle, one-hot; then 0
        late, shared = Signal(), Signal()  # a plane of this bundle came with the one before; the last beat has one
        in_index, first = Signal(), Signal()
        m.d.comb += [
            in_index.eq(self.indexed & number[:-1].any()),
            first.eq(Mux(self.indexed, number[-1], number[0])),
            shared.eq(self.width[0] & ~late if planes == 2 else 0),
        ]
        with m.Switch(Cat(self.width, self.indexed, shared & ~self.begin)):
            for width, indexed, came in product(WIDTHS, (0, 1), (0, 1)):
                with m.Case(width | indexed << 4 | came << 5):
                    m.d.comb += first_left.eq((width + INDEX_PLANES * indexed - came - 1) // planes)
        with m.If(self.take):
            m.d.sync += [beats_left.eq(beats_left - 1), self.ends.eq(beats_left == 1), number.eq(number << 1)]
            with m.If(self.ends):
                m.d.sync += [late.eq(shared), self.high.eq(shared)]
        with m.If(self.begin):
            m.d.sync += late.eq(0)
        with m.If(self.begin | (self.take & self.ends)):
            m.d.sync += [beats_left.eq(first_left), self.ends.eq(first_left == 0), number.eq(1)]

        weights = Signal(BLOCK * 8, reset_less=True)
        index = Signal(BLOCK * INDEX_PLANES, reset_less=True)
        shifted, next_index = [], []
        for slot in range(BLOCK):
            new = Cat(*(self.beat[BLOCK * plane + slot] for plane in reversed(range(planes))))
            old, old_index = weights.word_select(slot, 8), index.word_select(slot, INDEX_PLANES)
            top = Signal(name=f"top_{slot}")  # the most significant plane, if `first`
            m.d.comb += top.eq(Mux(late, old[0], new[-1]))
            sign = (top & self.signed_values).replicate(7 - planes)
            opened = Cat(new, Mux(late, top, sign[0]), sign)
            shifted.append(Mux(first, opened, Cat(new, old[: 8 - planes])))
            next_index.append(Cat(Mux(late, Cat(new, old[0])[1:], new), old_index[: INDEX_PLANES - planes]))
        with m.If(self.take):
            m.d.sync += weights.eq(Mux(self.raw, Cat(weights, self.beat)[self.params.lane_bits :], Cat(*shifted)))
            with m.If(in_index):
                m.d.sync += index.eq(Cat(*next_index))
        m.d.comb += [self.weights.as_value().eq(weights), self.index.as_value().eq(index)]
        return m
