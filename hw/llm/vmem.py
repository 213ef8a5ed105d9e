"""Global buffer: rows of binary32 that never leave the chip in a decode step."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from golden.params import LlmParams
from hw.fabric.ram import Ram

__all__ = ["GlobalBuffer", "write_layout"]


def write_layout(params: LlmParams) -> data.StructLayout:
    """A write of the elements whose bit is set in `elements`; none: no write."""
    return data.StructLayout({
        "elements": params.sfu_lanes,
        "row": range(params.vmem_rows),
        "data": params.sfu_lanes * 32,
    })


class GlobalBuffer(wiring.Component):
    """Two read ports and two write ports; a read takes one cycle and holds while not enabled.

    Even and odd rows lie in memories of their own, two copies of each. Both ports write in the same cycle if one row is
    even and the other odd, so that two units that write rows in order wait for each other once at most.
    Reading a row in the cycle that writes it gives the old row.

    Attributes:
        write: always done. other: done if `other_ready`, which depends on its row alone.
    """

    def __init__(self, params: LlmParams):
        self.params = params
        row, width = range(params.vmem_rows), params.sfu_lanes * 32
        super().__init__(
            {
                "write": In(write_layout(params)),
                "other": In(write_layout(params)),
                "other_ready": Out(1),
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
        m.d.comb += self.other_ready.eq(~self.write.elements.any() | (self.write.row[0] != self.other.row[0]))
        banks = []
        for bank in (0, 1):
            done = Signal(write_layout(p), name=f"write_{bank}")
            with m.If(self.write.elements.any() & (self.write.row[0] == bank)):
                m.d.comb += done.eq(self.write)
            with m.Else():
                m.d.comb += done.eq(self.other)
                with m.If(self.other.row[0] != bank):
                    m.d.comb += done.elements.eq(0)
            banks.append(done)
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
