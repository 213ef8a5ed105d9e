"""Several AXI4 read masters on one port."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .axi import axi_read
from .round_robin import RoundRobin
from .sure_fifo import SureFIFO

__all__ = ["ReadJoin"]


class ReadJoin(wiring.Component):
    """Requests take turns among the masters that have one; beats go back in the order of the requests.

    A request leaves a cycle after it was taken, one a cycle; beats and their back-pressure pass in the same cycle.

    Args:
        masters: how many. depth: requests that may be taken and not complete, a power of two.

    Attributes:
        masters: the joined ones. port: where they read.
    """

    def __init__(self, data_bits: int, *, masters: int, depth: int):
        self.count, self.depth = masters, depth
        super().__init__({"masters": In(axi_read(data_bits)).array(masters), "port": Out(axi_read(data_bits))})

    def elaborate(self, platform):
        m = Module()
        m.submodules.owners = owners = SureFIFO(width=max(1, (self.count - 1).bit_length()), depth=self.depth, margin=2)
        self._requests(m, owners)
        self._beats(m, owners)
        return m

    def _requests(self, m, owners):
        port, free = self.port, Signal()
        m.submodules.turns = turns = RoundRobin(self.count)
        m.d.comb += [
            turns.requests.eq(Cat(master.arvalid for master in self.masters)), turns.take.eq(free),
            free.eq((~port.arvalid | port.arready) & owners.room), owners.w_en.eq(free & turns.requests.any()),
        ]  # fmt: skip
        with m.If(port.arready):
            m.d.sync += port.arvalid.eq(0)
        for number, master in enumerate(self.masters):
            m.d.comb += master.arready.eq(free & turns.grant[number])
            with m.If(turns.grant[number]):
                m.d.comb += owners.w_data.eq(number)
                with m.If(free):
                    m.d.sync += [port.arvalid.eq(1), port.araddr.eq(master.araddr), port.arlen.eq(master.arlen)]

    def _beats(self, m, owners):
        port = self.port
        for number, master in enumerate(self.masters):
            mine = owners.r_rdy & (owners.r_data == number)
            m.d.comb += [
                master.rdata.eq(port.rdata), master.rresp.eq(port.rresp), master.rlast.eq(port.rlast),
                master.rvalid.eq(port.rvalid & mine),
            ]  # fmt: skip
            with m.If(mine):
                m.d.comb += port.rready.eq(master.rready)
        m.d.comb += owners.r_en.eq(port.rvalid & port.rready & port.rlast)
