"""Assembles bundles from beats of four bit planes, which may end two of them."""

from itertools import product

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, wiring

from golden.llm.stream import WIDTHS
from golden.params import BLOCK, LlmParams

from .bundle import INDEX_PLANES, assembler_ports

__all__ = ["PlaneWindow"]

PLANES = 4
WINDOW = 8
SHIFTED = max(width for width in WIDTHS if width % PLANES)
"""Bits of the widest value that does not always end with a beat."""


class PlaneWindow(wiring.Component):
    """BundleAssembler for `planes` = 4: keeps the newest 8 planes, in which a bundle ends up to 3 planes deep.

    A step takes a beat, unless the bundle lies whole in the planes that the last beat has brought for it (widths 2 and
    3), and ends at most one bundle: LATENCY 1. The first bundle of a block of rows begins with a beat and the others
    have its width, so those of width 4 and 8 end with a beat, and 5 planes above 3 others still fit. Index planes and
    signs are caught as they come: the planes of this bundle that a beat already finds here say where they lie.

    Attributes: those of BundleAssembler, `high` always low, and
        take: strobe: a step.
        whole: the next step takes no beat and ends a bundle.
    """

    LATENCY = 1
    PLANES = PLANES
    """Of a beat: this one's alone."""

    def __init__(self, params: LlmParams):
        if params.planes != PLANES:
            raise ValueError(f"planes = {params.planes}: PlaneWindow takes {PLANES}")
        super().__init__(assembler_ports(params))

    def elaborate(self, platform):
        m = Module()
        here, next_here = Signal(range(PLANES)), Signal(range(PLANES))  # planes of this bundle, of the next one
        first, second, beats_left = Signal(), Signal(), Signal(2)  # step of the bundle is the next; steps behind it
        m.d.comb += next_here.eq(here - self.width)  # index planes are as many as a beat's
        behind = Mux(self.begin, self._behind(m, "begun", here & 0), self._behind(m, "next", next_here))
        with m.If(self.take):
            m.d.sync += [beats_left.eq(beats_left - 1), self.ends.eq(beats_left == 1), first.eq(0), second.eq(first)]
        with m.If(self.begin | (self.take & self.ends)):
            m.d.sync += [beats_left.eq(behind), self.ends.eq(behind <= 0), self.whole.eq(behind < 0)]
            m.d.sync += [here.eq(Mux(self.begin, 0, next_here)), first.eq(1), second.eq(0)]

        window = Signal(BLOCK * WINDOW, reset_less=True)  # newest plane first
        index = Signal(data.ArrayLayout(INDEX_PLANES, BLOCK), reset_less=True)
        signs = Signal(BLOCK, reset_less=True)
        known = Cat(*(self.beat.word_select(plane, BLOCK) for plane in reversed(range(PLANES))), window)
        oldest = [known[slot::BLOCK].bit_select(here, PLANES) for slot in range(BLOCK)]
        with m.If(self.take & ~self.whole):
            m.d.sync += window.eq(known)
        with m.If(self.take & first & self.indexed):
            m.d.sync += [index[slot].eq(planes) for slot, planes in enumerate(oldest)]
        at_once = first & self.ends  # indexed: 2 or 3 of its planes are here, the beat brings the rest
        with m.If(self.take & Mux(self.indexed, second | at_once, first)):
            for slot in range(BLOCK):
                top = Mux(self.indexed & at_once, known[slot::BLOCK][1:3].bit_select(here[0], 1), oldest[slot][-1])
                m.d.sync += signs[slot].eq(top & self.signed_values)
        m.d.comb += self.index.as_value().eq(index)
        self._weights(m, window, next_here, signs)
        return m

    def _behind(self, m, name, here):
        """Steps behind a bundle's first, of which `here` planes are there; -1: and that one takes no beat."""
        behind = Signal(signed(3), name=f"{name}_behind")
        with m.Switch(Cat(self.width, self.indexed, here)):
            for width, indexed, came in product(WIDTHS, (0, 1), range(PLANES)):
                with m.Case(width | indexed << 4 | came << 5):
                    m.d.comb += behind.eq((width + INDEX_PLANES * indexed - came - 1) // PLANES)
        return behind

    def _weights(self, m, window, depth, signs):
        """The bundle that has ended `depth` planes deep. Its block may be over before it leaves: all is kept."""
        shift, raw = Signal(range(PLANES), reset_less=True), Signal(reset_less=True)
        narrower = {width: Signal(name=f"narrower_{width}", reset_less=True) for width in WIDTHS}
        with m.If(self.take & self.ends):
            m.d.sync += [shift.eq(depth), raw.eq(self.raw)]
            m.d.sync += [signal.eq(self.width < width) for width, signal in narrower.items()]
        in_order = Cat(window.word_select(plane, BLOCK) for plane in reversed(range(WINDOW)))
        for slot in range(BLOCK):
            column = window[slot::BLOCK]
            for bit in range(WINDOW):
                value = column[bit : bit + PLANES].bit_select(shift, 1) if bit < SHIFTED else column[bit]
                if bit >= min(WIDTHS):
                    value = Mux(narrower[min(width for width in WIDTHS if width > bit)], signs[slot], value)
                m.d.comb += self.weights[slot][bit].eq(Mux(raw, in_order[8 * slot + bit], value))
