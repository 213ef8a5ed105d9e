"""AXI4-Lite slave with the `ap_ctrl_hs` map."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .registers import register_map

__all__ = ["Control", "axi_lite"]

ADDRESS_BITS = 12


def axi_lite() -> wiring.Signature:
    """AXI4-Lite as the master sees it, 32 bits."""
    return wiring.Signature({
        "awaddr": Out(ADDRESS_BITS), "awvalid": Out(1), "awready": In(1),
        "wdata": Out(32), "wstrb": Out(4), "wvalid": Out(1), "wready": In(1),
        "bresp": In(2), "bvalid": In(1), "bready": Out(1),
        "araddr": Out(ADDRESS_BITS), "arvalid": Out(1), "arready": In(1),
        "rdata": In(32), "rresp": In(2), "rvalid": In(1), "rready": Out(1),
    })


class Control(wiring.Component):
    """One access at a time; an unknown address answers SLVERR. Writes ignore strobes (words only).

    Attributes:
        start: strobe. done: strobe: the run is over. done_level: from done until the next start.
    """

    def __init__(self, *, bases: int, arguments: int, results: int, counters: tuple[str, ...]):
        self.map = register_map(bases, arguments, results, counters)
        self.by_name = {r.name: r for r in self.map}
        super().__init__({
            "axi": In(axi_lite()),
            "start": Out(1),
            "done": In(1),
            "done_level": Out(1),
            "interrupt": Out(1),
            "program_words": Out(32),
            "program_address": Out(32),
            "report_enable": Out(1),
            "report_base": Out(64),
            "bases": Out(64).array(bases),
            "arguments": Out(32).array(arguments),
            "status": In(32),
            "pc": In(32),
            "results": In(32).array(results),
            "counters": In(32).array(len(counters)),
        })

    def elaborate(self, platform):
        m = Module()
        axi = self.axi
        running, done, gie, ier, isr = (Signal(name=n) for n in ("running", "done_sticky", "gie", "ier", "isr"))
        storage = {
            "gie": gie, "ier": ier, "program_words": self.program_words, "program_address": self.program_address,
            "report_enable": self.report_enable, "report_low": self.report_base[:32],
            "report_high": self.report_base[32:],
        }
        for i, base in enumerate(self.bases):
            storage[f"base_{i}_low"], storage[f"base_{i}_high"] = base[:32], base[32:]
        for i, argument in enumerate(self.arguments):
            storage[f"argument_{i}"] = argument
        values = {
            **storage,
            "ap_ctrl": Cat(running, done, ~running, done),
            "isr": isr,
            "status": self.status,
            "pc": self.pc,
            **{f"result_{i}": value for i, value in enumerate(self.results)},
        }
        counters = [r for r in self.map if r.name.startswith("count_")]
        values |= {r.name: self.counters[i] for i, r in enumerate(counters)}

        m.d.comb += [self.interrupt.eq(gie & ier & isr), self.done_level.eq(done_level := Signal(name="level"))]
        with m.If(self.done):
            m.d.sync += [running.eq(0), done.eq(1), isr.eq(isr | ier), done_level.eq(1)]

        have_address, have_data = Signal(), Signal()
        address, word = Signal(ADDRESS_BITS, reset_less=True), Signal(32, reset_less=True)
        m.d.comb += [axi.awready.eq(~have_address), axi.wready.eq(~have_data)]
        with m.If(axi.awvalid & axi.awready):
            m.d.sync += [address.eq(axi.awaddr), have_address.eq(1)]
        with m.If(axi.wvalid & axi.wready):
            m.d.sync += [word.eq(axi.wdata), have_data.eq(1)]
        with m.If(axi.bvalid & axi.bready):
            m.d.sync += axi.bvalid.eq(0)
        with m.If(have_address & have_data & ~axi.bvalid):
            m.d.sync += [have_address.eq(0), have_data.eq(0), axi.bvalid.eq(1), axi.bresp.eq(0)]
            with m.Switch(address[2:]):
                for reg in self.map:
                    with m.Case(reg.offset >> 2):
                        if reg.name in storage:
                            m.d.sync += storage[reg.name].eq(word)
                        elif reg.name == "ap_ctrl":
                            with m.If(word[0] & ~running):
                                m.d.sync += [running.eq(1), done_level.eq(0)]
                                m.d.comb += self.start.eq(1)
                        elif reg.name == "isr":
                            m.d.sync += isr.eq(isr & ~word[0])
                        else:
                            m.d.sync += axi.bresp.eq(2)
                with m.Default():
                    m.d.sync += axi.bresp.eq(2)

        m.d.comb += axi.arready.eq(~axi.rvalid)
        with m.If(axi.rvalid & axi.rready):
            m.d.sync += axi.rvalid.eq(0)
        with m.If(axi.arvalid & axi.arready):
            m.d.sync += [axi.rvalid.eq(1), axi.rresp.eq(0)]
            with m.Switch(axi.araddr[2:]):
                for reg in self.map:
                    with m.Case(reg.offset >> 2):
                        m.d.sync += axi.rdata.eq(values[reg.name])
                        if reg.name == "ap_ctrl":
                            m.d.sync += done.eq(self.done)
                with m.Default():
                    m.d.sync += [axi.rdata.eq(0), axi.rresp.eq(2)]
        return m
