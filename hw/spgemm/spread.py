"""Bank select: each bank gets a mask of a line's products."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from golden.spgemm.params import SpgemmParams

from .layouts import bank_line_layout, products_layout

__all__ = ["Spread"]


class Spread(wiring.Component):
    """A line a cycle, LATENCY cycles; the queues must have room, which the sender sees to.

    Attributes:
        products: with `valid`. queues: a stream for each `queue_banks` banks; its ready is not waited for. lost:
            sticky: it was not there.
    """

    LATENCY = 1

    def __init__(self, params: SpgemmParams):
        self.params = params
        super().__init__({
            "products": In(products_layout(params)),
            "valid": In(1),
            "queues": Out(stream.Signature(bank_line_layout(params))).array(params.banks // params.queue_banks),
            "lost": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        p = self.params
        products = Signal.like(self.products, reset_less=True)
        m.d.sync += products.eq(self.products)
        for number, queue in enumerate(self.queues):
            masks = Signal(p.queue_banks * p.lanes, name=f"masks_{number}", reset_less=True)
            mine = Cat(
                self.products.mask[lane] & (self.products.bank[lane] == number * p.queue_banks + bank)
                for bank in range(p.queue_banks) for lane in range(p.lanes)
            )  # fmt: skip
            m.d.sync += [masks.eq(mine), queue.valid.eq(self.valid & (mine.any() | self.products.last))]
            m.d.comb += [
                queue.payload.row.eq(products.row), queue.payload.last.eq(products.last),
                queue.payload.masks.eq(masks), queue.payload.products.eq(products.products),
            ]
        with m.If(Cat(queue.valid & ~queue.ready for queue in self.queues).any()):
            m.d.sync += self.lost.eq(1)
        return m
