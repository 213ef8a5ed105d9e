"""Bank select, second half: lines wait before the banks, which take their products one by one."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from golden.spgemm.params import SpgemmParams

from .layouts import bank_line_layout, element_layout

__all__ = ["LineQueue"]


class LineQueue(wiring.Component):
    """Lines in order for `queue_banks` banks; a bank gets its products of a line lowest lane first, and the next line
    comes when all of the banks have theirs. A product a cycle and bank, LATENCY cycles from a line to its first ones.

    Banks that share a queue share its memory, most of which is products of others: two lose nothing by it, as with
    twice as many banks as lanes even the busier of two has less than a product a line.

    Attributes:
        lines: as in `bank_line_layout`. room: MARGIN lines fit; who sends without looking at `ready` stops when it is
            low, with MARGIN - 1 lines on their way at most.
        elements: as in `element_layout`, a stream a bank. A row's end comes with its last product for the bank, or
            alone.
    """

    MARGIN = 16
    LATENCY = 3

    def __init__(self, params: SpgemmParams):
        self.params = p = params
        super().__init__({
            "lines": In(stream.Signature(bank_line_layout(p))), "room": Out(1),
            "elements": Out(stream.Signature(element_layout(p))).array(p.queue_banks),
        })

    def elaborate(self, platform):
        m = Module()
        advance, leaves = Signal(), Signal()
        head, some, products = self._memory(m, advance, leaves)
        with m.If(advance):
            m.d.sync += leaves.eq(some)
        line = Signal.like(head, reset_less=True)
        with m.If(advance):
            m.d.sync += line.eq(head)
        finished = [
            self._pick(m, bank, advance, head, some, line, products) for bank in range(self.params.queue_banks)
        ]
        m.d.comb += advance.eq(Cat(finished).all())
        return m

    def _memory(self, m, advance, leaves):
        """(head of the next line, whether there is one, products of the line that is taken apart)."""
        p, line = self.params, self.lines.payload
        head_layout = data.StructLayout({name: bank_line_layout(p)[name].shape for name in ("row", "last", "masks")})
        write, read, at = (Signal(range(p.bank_fifo), name=name) for name in ("write", "read", "at"))
        heads = self._ram(m, "heads", head_layout, write, Cat(line.row, line.last, line.masks), read)
        products = self._ram(m, "products", line["products"].shape(), write, line.products, at)

        waiting, level = Signal(range(p.bank_fifo + 1)), Signal(range(p.bank_fifo + 1))
        take, next_, left = Signal(), Signal(), Signal()
        m.d.comb += [
            self.lines.ready.eq(level != p.bank_fifo), take.eq(self.lines.valid & self.lines.ready),
            next_.eq(advance & waiting.any()),
        ]
        m.d.sync += [
            write.eq(write + take), waiting.eq(waiting + take - next_), left.eq(advance & leaves),
            level.eq(level + take - left), self.room.eq(level < p.bank_fifo - self.MARGIN),
        ]  # fmt: skip
        with m.If(next_):
            m.d.sync += [read.eq(read + 1), at.eq(read)]
        return heads, waiting.any(), products

    def _ram(self, m, name, layout, at, value, read_at):
        m.submodules[name] = memory = Memory(
            shape=layout, depth=self.params.bank_fifo, init=[], attrs={"ram_style": "distributed"}
        )
        write, read = memory.write_port(), memory.read_port(domain="comb")
        m.d.comb += [
            write.en.eq(self.lines.valid & self.lines.ready), write.addr.eq(at), write.data.eq(value),
            read.addr.eq(read_at),
        ]
        return read.data

    def _pick(self, m, bank, advance, head, some, line, products):
        """Whether the bank has, or gets now, the last that it takes of the line."""
        p, out = self.params, self.elements[bank]
        lane = Signal(range(p.lanes), name=f"lane_{bank}", reset_less=True)
        rest = Signal(p.lanes, name=f"rest_{bank}", reset_less=True)
        todo, product, more = (Signal(name=f"{name}_{bank}") for name in ("todo", "product", "more"))
        ready, finished = Signal(name=f"ready_{bank}"), Signal(name=f"finished_{bank}")
        lanes = Signal(p.lanes, name=f"lanes_{bank}")
        mask = head.masks[bank]
        m.d.comb += [
            ready.eq(~out.valid | out.ready), finished.eq(~todo | (ready & ~more)),
            lanes.eq(Mux(advance, mask, rest)),
        ]
        behind = lanes & (lanes - 1)
        with m.If(advance | ready):
            m.d.sync += [lane.eq(_lowest(lanes)), rest.eq(behind), more.eq(behind.any())]
        with m.If(advance):
            m.d.sync += [todo.eq(some & (mask.any() | head.last)), product.eq(mask.any())]
        with m.Elif(ready & ~more):
            m.d.sync += todo.eq(0)
        with m.If(ready):
            m.d.sync += [
                out.valid.eq(todo), out.payload.row.eq(line.row), out.payload.some.eq(product),
                out.payload.end.eq(line.last & ~more),
            ]  # fmt: skip
            with m.Switch(lane):
                for number in range(p.lanes):
                    with m.Case(number):
                        m.d.sync += out.payload.product.eq(products[number])
        return finished


def _lowest(mask):
    """Number of the lowest one."""
    bits = (len(mask) - 1).bit_length()
    first = [mask[lane] & ~mask[:lane].any() for lane in range(len(mask))]
    return Cat(Cat(first[lane] for lane in range(len(mask)) if lane >> bit & 1).any() for bit in range(bits))
