"""Global buffer: rows of binary32 that never leave the chip in a decode step."""

import functools

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from golden.params import LlmParams
from hw.fabric.ram import Ram

__all__ = ["GlobalBuffer", "write_layout"]


@functools.cache
def write_layout(params: LlmParams) -> data.StructLayout:
    """A write of the elements whose bit is set in `elements`; none: no write."""
    return data.StructLayout({
        "elements": params.sfu_lanes,
        "row": range(params.vmem_rows),
        "data": params.sfu_lanes * 32,
    })


class GlobalBuffer(wiring.Component):
    """Two read ports and `writers` write ports; a read takes one cycle and holds while not enabled.

    Even and odd rows lie in memories of their own, two copies of each, and each takes a row a cycle: two units that
    write rows in order wait for each other once at most. Reading a row in the cycle that writes it gives the old row.

    Attributes:
        write: the first one before the second. ready: a write is done: none of those before it has a row of its parity.
    """

    def __init__(self, params: LlmParams, writers: int):
        self.params, self.writers = params, writers
        row, width = range(params.vmem_rows), params.sfu_lanes * 32
        super().__init__(
            {
                "write": In(write_layout(params)).array(writers),
                "ready": Out(writers),
                "a_read": In(1),
                "a_row": In(row),
                "a_data": Out(width),
                "b_read": In(1),
                "b_row": In(row),
                "b_data": Out(width),
            }
        )

    def elaborate(self, platform):
        m = Module()
        p = self.params
        banks = [Signal(write_layout(p), name=f"write_{bank}") for bank in (0, 1)]
        for number in reversed(range(self.writers)):
            write, before = self.write[number], [self.write[i] for i in range(number)]
            m.d.comb += self.ready[number].eq(
                ~Cat(*(other.elements.any() & (other.row[0] == write.row[0]) for other in before)).any()
            )
            for bank, done in enumerate(banks):
                with m.If(write.elements.any() & (write.row[0] == bank)):
                    m.d.comb += done.eq(write)
        for port in ("a", "b"):
            read, row = getattr(self, f"{port}_read"), getattr(self, f"{port}_row")
            odd, words = Signal(name=f"{port}_odd", reset_less=True), []
            with m.If(read):
                m.d.sync += odd.eq(row[0])
            for bank, done in enumerate(banks):
                m.submodules[f"{port}_{bank}"] = ram = Ram(
                    width=p.sfu_lanes * 32, depth=p.vmem_rows // 2, parts=p.sfu_lanes
                )
                m.d.comb += [
                    ram.write_enable.eq(done.elements),
                    ram.write_address.eq(done.row[1:]),
                    ram.write_data.eq(done.data),
                    ram.read_enable.eq(read),
                    ram.read_address.eq(row[1:]),
                ]
                words.append(ram.read_data)
            m.d.comb += getattr(self, f"{port}_data").eq(Mux(odd, words[1], words[0]))
        return m
