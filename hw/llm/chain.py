"""CSD-chain: cascades of eight DSP48E2 with a sparse MUX each, a reduction node behind each cascade (FlightLLM,
section 4; docs/units/mpe.md)."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from golden.params import BLOCK
from hw.fabric.dsp import Z_PCIN, Z_ZERO, M, dsp48e2
from hw.fabric.pipeline import delay, strobes

from .layouts import PAIR, WAYS, fill_layout, pass_layout, product_layout

__all__ = ["CsdChain", "ReductionNode"]

SEGMENT = 8
"""DSPs of a cascade: the most whose sum of two packed INT8 products stays in its 18-bit lane."""
LANE_BITS = 18
WAYS_LOG2 = (WAYS - 1).bit_length()
DSP_LATENCY = 4


class ReductionNode(wiring.Component):
    """The two sums in a cascade's P, p = (s1 << 18) + s0: the low lane's borrow is given back.

    s0 = 18 bits, signed, but -2**17 stands for 8 * (-128 * -128) = 2**17. LATENCY 1, one a cycle, no back-pressure.
    """

    LATENCY = 1

    def __init__(self):
        super().__init__({"p": In(48), "sums": Out(data.ArrayLayout(signed(19), PAIR))})

    def elaborate(self, platform):
        m = Module()
        low = self.p[:LANE_BITS]
        negative = Signal()
        m.d.comb += negative.eq(low[-1] & low[:-1].any())
        sums = Signal(self.sums.shape(), reset_less=True)
        m.d.sync += [
            sums[0].eq(Cat(low, negative).as_signed()),
            sums[1].eq(self.p[LANE_BITS : LANE_BITS + 19].as_signed() + negative),
        ]
        m.d.comb += self.sums.eq(sums)
        return m


class CsdChain(wiring.Component):
    """Of both vectors: the sum of weights[s] * inputs[half][index[s]] over the slots s < 8 and over those >= 8, or over
    all (`tags.whole`), exact.

    LATENCY 13; one pass a cycle, no back-pressure. The sparse MUX is a LUT RAM of 2 x 16 inputs, of both vectors, read
    by the index: one half is filled while the other is used. No reset on data; `tags.valid` is reset.
    """

    LATENCY = SEGMENT - 1 + DSP_LATENCY + ReductionNode.LATENCY + 1

    def __init__(self):
        super().__init__({
            "passes": In(pass_layout()),
            "fill": In(fill_layout()),
            "product": Out(product_layout()),
        })

    def elaborate(self, platform):
        m = Module()
        fill = Signal(fill_layout(), reset_less=True)
        low = Signal(data.ArrayLayout(WAYS_LOG2, WAYS), reset_less=True)
        m.d.sync += fill.eq(self.fill)
        for way in range(WAYS):
            m.d.sync += low[way].eq(Mux(self.fill.spread, way, self.fill.slot[:WAYS_LOG2]))
        nodes = [self._segment(m, fill, low, segment) for segment in range(BLOCK // SEGMENT)]

        tags = self.passes.tags
        late = delay(m, Cat(tags.as_value()[1:]), self.LATENCY - 1, "tags")
        whole = Signal(self.product.tags.shape())
        m.d.comb += whole.eq(Cat(Const(0, 1), late))
        product = Signal(product_layout(), reset_less=True)
        for vector in range(PAIR):
            other = Mux(whole.whole, nodes[1].sums[vector], 0)
            m.d.sync += [
                product.first[vector].eq(nodes[0].sums[vector] + other),
                product.second[vector].eq(nodes[1].sums[vector]),
            ]
        valid = strobes(m, tags.valid, self.LATENCY, "valid")[-1]
        m.d.sync += product.tags.eq(whole)
        m.d.comb += [self.product.eq(product), self.product.tags.valid.eq(valid)]
        return m

    def _segment(self, m, fill, low, segment) -> ReductionNode:
        """A cascade and its node; slot s of it works s cycles after the first. `low`: of a way's write address."""
        cascade = None
        for s in range(SEGMENT):
            slot = segment * SEGMENT + s
            address = delay(m, Cat(self.passes.index[slot], self.passes.tags.half), s, f"address_{slot}")
            weight = delay(m, self.passes.weights[slot], s, f"weight_{slot}")
            ram = Memory(shape=unsigned(8 * PAIR), depth=2 * BLOCK, init=[], attrs={"ram_style": "distributed"})
            m.submodules[f"mux_{slot}"] = ram
            write, read = ram.write_port(), ram.read_port(domain="comb")
            way = slot % WAYS
            inputs = data.View(fill.value[way].shape(), read.data)
            m.d.comb += [
                write.en.eq(fill.valid),
                write.addr.eq(Cat(low[way], fill.slot[WAYS_LOG2:], fill.half)),
                write.data.eq(fill.value[way]),
                read.addr.eq(address),
            ]
            out, last = Signal(48, name=f"p_{slot}"), s == SEGMENT - 1
            m.submodules[f"dsp_{slot}"] = dsp48e2(
                a=Cat(Const(0, LANE_BITS), inputs[1]).as_signed(),
                d=inputs[0],
                b=weight.as_signed(),
                opmode=Const(M | (Z_PCIN if s else Z_ZERO), 9),
                pcin=cascade,
                p=out if last else None,
                pcout=None if last else out,
            )
            cascade = out
        m.submodules[f"node_{segment}"] = node = ReductionNode()
        m.d.comb += node.p.eq(cascade)
        return node
