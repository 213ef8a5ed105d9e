"""AXI4 masters: a burst reader and a single-beat writer. Both obey the 4 KiB rule and report error responses."""

import functools

from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .answers import AnswerWatch

__all__ = ["ADDRESS_BITS", "AxiReader", "AxiWriter", "axi_read", "axi_write", "beat_layout", "command_layout"]

ADDRESS_BITS = 64


def axi_read(data_bits: int) -> wiring.Signature:
    """Read channels as the master sees them; one id, INCR, full width."""
    return wiring.Signature({
        "araddr": Out(ADDRESS_BITS), "arlen": Out(8), "arvalid": Out(1), "arready": In(1),
        "rdata": In(data_bits), "rresp": In(2), "rlast": In(1), "rvalid": In(1), "rready": Out(1),
    })


def axi_write(data_bits: int) -> wiring.Signature:
    """Write channels as the master sees them; one id, INCR, full width."""
    return wiring.Signature({
        "awaddr": Out(ADDRESS_BITS), "awlen": Out(8), "awvalid": Out(1), "awready": In(1),
        "wdata": Out(data_bits), "wstrb": Out(data_bits // 8), "wlast": Out(1), "wvalid": Out(1), "wready": In(1),
        "bresp": In(2), "bvalid": In(1), "bready": Out(1),
    })


@functools.cache
def command_layout() -> data.StructLayout:
    """Read `beats` beats from byte address `address`, a multiple of the beat."""
    return data.StructLayout({"address": unsigned(ADDRESS_BITS), "beats": unsigned(32)})


@functools.cache
def beat_layout(data_bits: int) -> data.StructLayout:
    return data.StructLayout({
        "address": unsigned(ADDRESS_BITS), "data": unsigned(data_bits), "strobe": unsigned(data_bits // 8),
    })


class AxiReader(wiring.Component):
    """Splits a command into bursts and passes the beats on in order; data is never buffered here.

    One beat a cycle. At most `outstanding` bursts are requested and not complete.

    Attributes:
        command: ready when idle or when the last burst of the command before has been requested.
        o: the beats; back-pressure goes to RREADY.
        busy: beats are still to come. error: sticky: a response that is not OKAY; `clear` resets it.
    """

    def __init__(self, data_bits: int, *, burst_beats: int, outstanding: int):
        self.data_bits, self.burst_beats, self.outstanding = data_bits, burst_beats, outstanding
        super().__init__({
            "command": In(stream.Signature(command_layout())),
            "o": Out(stream.Signature(data_bits)),
            "axi": Out(axi_read(data_bits)),
            "busy": Out(1),
            "error": Out(1),
            "clear": In(1),
        })

    def elaborate(self, platform):
        m = Module()
        shift = (self.data_bits // 8).bit_length() - 1
        address, left = Signal(ADDRESS_BITS), Signal(32)
        in_flight = Signal(range(self.outstanding + 1))
        page_left = Signal(12 - shift)  # beats to the end of the page; 0: a whole one
        burst, few = Signal(9), left < self.burst_beats
        some, cut, near = Signal(), Signal(), (page_left != 0) & (page_left < self.burst_beats)
        m.d.comb += cut.eq(near & (~few | (page_left < left[:9])))  # by the page; compared side by side with `few`
        with m.If(cut):
            m.d.comb += burst.eq(page_left)
        with m.Else():
            m.d.comb += burst.eq(Mux(few, left, self.burst_beats))

        valid = Signal()
        m.d.comb += [
            self.command.ready.eq(~some & ~valid),
            self.axi.arvalid.eq(valid),
            self.o.payload.eq(self.axi.rdata),
            self.o.valid.eq(self.axi.rvalid),
            self.axi.rready.eq(self.o.ready),
            self.busy.eq(some | valid | (in_flight != 0)),
        ]
        with m.If(self.command.ready & self.command.valid):
            first, beats = self.command.payload.address, self.command.payload.beats
            m.d.sync += [address.eq(first), page_left.eq(-first[shift:12]), left.eq(beats), some.eq(beats != 0)]
        with m.If((~valid | self.axi.arready) & some & (in_flight + valid < self.outstanding)):
            m.d.sync += [
                valid.eq(1),
                self.axi.araddr.eq(address),
                self.axi.arlen.eq(burst - 1),
                address.eq(address + (burst << shift)),
                page_left.eq(page_left - burst),
                left.eq(left - burst),
                some.eq(cut | (~few & (left != self.burst_beats))),
            ]
        with m.Elif(self.axi.arready):
            m.d.sync += valid.eq(0)
        finished = self.axi.rvalid & self.axi.rready & self.axi.rlast
        requested = valid & self.axi.arready
        with m.If(requested != finished):
            m.d.sync += in_flight.eq(in_flight + Mux(finished, -1, 1))
        with m.If(self.axi.rvalid & self.axi.rready & (self.axi.rresp != 0)):
            m.d.sync += self.error.eq(1)
        with m.Elif(self.clear):
            m.d.sync += self.error.eq(0)
        return m


class AxiWriter(wiring.Component):
    """Writes single beats with strobes; address and data leave independently.

    Up to one beat every two cycles, with `every_cycle` one a cycle, for which `i.ready` depends on the port's readies;
    at most PENDING wait for their response.

    Attributes:
        i: the beats. busy: responses are still to come. answered: strobe: one comes. error, clear: as in AxiReader.
    """

    PENDING = AnswerWatch.OUTSTANDING

    def __init__(self, data_bits: int, *, every_cycle: bool = False):
        self.data_bits, self.every_cycle = data_bits, every_cycle
        super().__init__({
            "i": In(stream.Signature(beat_layout(data_bits))),
            "axi": Out(axi_write(data_bits)),
            "busy": Out(1),
            "answered": Out(1),
            "error": Out(1),
            "clear": In(1),
        })

    def elaborate(self, platform):
        m = Module()
        address_valid, data_valid = Signal(), Signal()
        pending = Signal(range(self.PENDING + 1))
        address_held, data_held = address_valid, data_valid
        if self.every_cycle:
            address_held, data_held = address_held & ~self.axi.awready, data_held & ~self.axi.wready
        m.d.comb += [
            self.i.ready.eq(~address_held & ~data_held & (pending != self.PENDING)),
            self.axi.awvalid.eq(address_valid),
            self.axi.wvalid.eq(data_valid),
            self.axi.wlast.eq(1),
            self.axi.bready.eq(1),
            self.answered.eq(self.axi.bvalid),
            self.busy.eq(Cat(address_valid, data_valid, pending).any()),
        ]
        accept = self.i.ready & self.i.valid
        with m.If(self.axi.awready):
            m.d.sync += address_valid.eq(0)
        with m.If(self.axi.wready):
            m.d.sync += data_valid.eq(0)
        with m.If(accept):
            m.d.sync += [
                self.axi.awaddr.eq(self.i.payload.address),
                self.axi.wdata.eq(self.i.payload.data),
                self.axi.wstrb.eq(self.i.payload.strobe),
                address_valid.eq(1),
                data_valid.eq(1),
            ]
        m.d.sync += pending.eq(pending + accept - self.axi.bvalid)
        with m.If(self.axi.bvalid & (self.axi.bresp != 0)):
            m.d.sync += self.error.eq(1)
        with m.Elif(self.clear):
            m.d.sync += self.error.eq(0)
        return m
