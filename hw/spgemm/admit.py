"""Lines of B get to the rows of the banks."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from golden.spgemm.params import SpgemmParams
from hw.fabric.sure_fifo import SureFIFO

from .contexts import ValueHalves
from .layouts import CHUNK_ID_BITS, arrival_layout, line_layout, order_layout, row_layout

__all__ = ["Admit"]


class Admit(wiring.Component):
    """Rows begin to work in the banks: a line a cycle, LATENCY cycles.

    A first line waits until one half of its contexts' values is free. So lines are looked up further ahead than there
    are contexts. A chunk's first row takes one more cycle.

    Args:
        first_serial: see ValueHalves.

    Attributes:
        arrivals: in the order in which they were asked for. begun: chunks' ids, for the first rows that open one.
        lines: with their rows. order: chunks and rows as they begin; some wait here.
        release, released, sweep, sweep_address: see ValueHalves. busy: a line is here.
        begins: strobe: a row begins, with the half and context that `began` has. came: strobe: a line gets to the
            banks, its row has begun.
    """

    LATENCY = 2

    def __init__(self, params: SpgemmParams, *, first_serial: int = 1):
        self.params, self.first_serial = params, first_serial
        p = params
        super().__init__({
            "arrivals": In(stream.Signature(arrival_layout(p))), "begun": In(stream.Signature(CHUNK_ID_BITS)),
            "lines": Out(stream.Signature(line_layout(p))), "order": Out(stream.Signature(order_layout(p))),
            "release": In(1), "released": In(row_layout(p)),
            "sweep": Out(1), "sweep_address": Out(range(p.slots)), "busy": Out(1), "begins": Out(1),
            "began": Out(row_layout(p)), "came": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        p = self.params
        m.submodules.halves = halves = ValueHalves(p, first_serial=self.first_serial)
        m.submodules.orders = orders = SureFIFO(width=order_layout(p).size, depth=2 * p.contexts, margin=3)
        orders_come, next_order = Signal(), Signal(order_layout(p))
        m.d.sync += [orders.w_en.eq(orders_come), orders.w_data.eq(next_order)]
        m.submodules.rows = rows = Memory(
            shape=row_layout(p), depth=p.contexts, init=[], attrs={"ram_style": "distributed"}
        )
        write, read = rows.write_port(), rows.read_port(domain="comb")
        arrival, line = Signal(arrival_layout(p), reset_less=True), Signal(line_layout(p), reset_less=True)
        use, here, moves = arrival.use, Signal(), Signal()
        with m.If(self.arrivals.ready):
            m.d.sync += [arrival.eq(self.arrivals.payload), here.eq(self.arrivals.valid)]
        marked, first, marks, take = Signal(), Signal(), Signal(), Signal()
        advance = ~self.lines.valid | self.lines.ready
        m.d.comb += [
            halves.comes.eq(self.arrivals.ready), halves.next_context.eq(self.arrivals.payload.use.context),
            halves.next_regions.eq(self.arrivals.payload.use.regions),
            halves.context.eq(use.context), halves.regions.eq(use.regions),
            first.eq(here & use.first), marks.eq(first & use.opens & ~marked),
            self.begun.ready.eq(marks & orders.room),
            moves.eq(advance & (~use.first | (halves.free & ~marks & orders.room))),
            self.arrivals.ready.eq(~here | moves), take.eq(first & moves), halves.take.eq(take),
            next_order.chunk.eq(marks), next_order.id.eq(self.begun.payload), next_order.row.eq(halves.row),
            orders_come.eq(take | (marks & self.begun.valid & orders.room)), orders.r_en.eq(self.order.ready),
            self.order.payload.eq(orders.r_data), self.order.valid.eq(orders.r_rdy),
            write.en.eq(take), write.addr.eq(use.context), write.data.eq(halves.row), read.addr.eq(use.context),
            self.lines.payload.eq(line), self.busy.eq(self.lines.valid | here | self.arrivals.valid),
            self.begins.eq(take), self.began.eq(halves.row), self.came.eq(here & moves),
            halves.release.eq(self.release), halves.released.eq(self.released),
            self.sweep.eq(halves.sweep), self.sweep_address.eq(halves.sweep_address),
        ]
        with m.If(take):
            m.d.sync += marked.eq(0)
        with m.Elif(marks & self.begun.valid & orders.room):
            m.d.sync += marked.eq(1)
        with m.If(advance):
            m.d.sync += [
                self.lines.valid.eq(self.came),
                line.row.eq(Mux(use.first, halves.row, read.data)),
                *(line[name].eq(use[name]) for name in ("last", "mask", "value")),
                line.data.eq(arrival.data),
            ]
        return m
