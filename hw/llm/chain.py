"""CSD-chain: 16 cascaded DSP48E2 in groups of two, each with a sparse MUX in front (FlightLLM, section 4)."""

from amaranth.hdl import Cat, Const, Module, Signal, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from golden.params import BLOCK
from hw.fabric.dsp import Z_PCIN, Z_ZERO, M, dsp48e2

from .layouts import pass_layout, product_layout

__all__ = ["CsdChain", "fill_layout"]


def fill_layout() -> data.StructLayout:
    """Input `slot` of the block in half `half` of every sparse MUX."""
    return data.StructLayout({
        "valid": unsigned(1),
        "half": unsigned(1),
        "slot": unsigned(4),
        "value": signed(8),
    })


class CsdChain(wiring.Component):
    """sum = sum over the slots s of weights[s] * inputs[half][index[s]], exact.

    LATENCY 18: a DSP group is two cycles behind the one before; one pass a cycle, no back-pressure. The sparse MUX
    is a LUT RAM of 2 x 16 inputs read by the index: one half is filled while the other is used. No reset on data;
    `tags.valid` is reset.
    """

    GROUP = 2
    LATENCY = 2 * (BLOCK // GROUP - 1) + 4

    def __init__(self):
        super().__init__({
            "passes": In(pass_layout()),
            "fill": In(fill_layout()),
            "product": Out(product_layout()),
        })

    def elaborate(self, platform):
        m = Module()
        fill = Signal(fill_layout(), reset_less=True)
        m.d.sync += fill.eq(self.fill)
        cascade = None
        weights = [Signal(signed(8), name=f"g0_w{s}") for s in range(BLOCK)]
        addresses = [Signal(5, name=f"g0_a{s}") for s in range(BLOCK)]
        for s in range(BLOCK):
            m.d.comb += [
                weights[s].eq(self.passes.weights[s]),
                addresses[s].eq(Cat(self.passes.index[s], self.passes.tags.half)),
            ]
        for s in range(BLOCK):
            group = s // self.GROUP
            if s % self.GROUP == 0 and group:
                for later in range(s, BLOCK):
                    weights[later] = self._delayed(m, weights[later], 2, f"g{group}_w{later}")
                    addresses[later] = self._delayed(m, addresses[later], 2, f"g{group}_a{later}")
            ram = Memory(shape=signed(8), depth=2 * BLOCK, init=[], attrs={"ram_style": "distributed"})
            m.submodules[f"mux_{s}"] = ram
            write, read = ram.write_port(), ram.read_port(domain="comb")
            m.d.comb += [
                write.en.eq(fill.valid),
                write.addr.eq(Cat(fill.slot, fill.half)),
                write.data.eq(fill.value),
                read.addr.eq(addresses[s]),
            ]
            last = s == BLOCK - 1
            out = Signal(48, name=f"p_{s}")
            m.submodules[f"dsp_{s}"] = dsp48e2(
                a=read.data,
                b=weights[s],
                opmode=Const(M | (Z_PCIN if s else Z_ZERO), 9),
                input_registers=1 + s % self.GROUP,
                pcin=cascade,
                p=out if last else None,
                pcout=None if last else out,
            )
            cascade = out
        m.d.comb += self.product.sum.eq(cascade[: len(self.product.sum)])
        tags = self.passes.tags
        for i in range(self.LATENCY):
            late = Signal(tags.shape(), name=f"tags_{i}", reset_less=True)
            valid = Signal(name=f"valid_{i}")
            m.d.sync += [late.eq(tags), valid.eq(tags.valid)]
            tags = late
            held = Signal(late.shape(), name=f"tags_{i}_valid")
            m.d.comb += [held.eq(late), held.valid.eq(valid)]
            tags = held
        m.d.comb += self.product.tags.eq(tags)
        return m

    @staticmethod
    def _delayed(m, value, cycles, name):
        for i in range(cycles):
            late = Signal(value.shape(), name=f"{name}_{i}", reset_less=True)
            m.d.sync += late.eq(value)
            value = late
        return value
