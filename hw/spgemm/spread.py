"""Bank select: each bank gets a mask of a line's products and takes them in order."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from golden.spgemm.params import SpgemmParams

from .layouts import bank_line_layout, products_layout

__all__ = ["Spread"]


class Spread(wiring.Component):
    """A line a cycle, LATENCY cycles; the banks must have room, which the sender sees to.

    Attributes:
        products: with `valid`. banks: a stream a bank; its ready is not waited for. lost: sticky: it was not there.
    """

    LATENCY = 1

    def __init__(self, params: SpgemmParams):
        self.params = params
        super().__init__({
            "products": In(products_layout(params)),
            "valid": In(1),
            "banks": Out(stream.Signature(bank_line_layout(params))).array(params.banks),
            "lost": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        lanes = range(self.params.lanes)
        products = Signal.like(self.products, reset_less=True)
        m.d.sync += products.eq(self.products)
        for number, bank in enumerate(self.banks):
            mine = Cat(self.products.mask[lane] & (self.products.bank[lane] == number) for lane in lanes)
            mask = Signal(len(lanes), name=f"mask_{number}", reset_less=True)
            m.d.sync += [mask.eq(mine), bank.valid.eq(self.valid & (mine.any() | self.products.last))]
            m.d.comb += [
                bank.payload.row.eq(products.row), bank.payload.last.eq(products.last), bank.payload.mask.eq(mask),
                bank.payload.products.eq(products.products),
            ]
        with m.If(Cat(bank.valid & ~bank.ready for bank in self.banks).any()):
            m.d.sync += self.lost.eq(1)
        return m
