"""Global buffer: rows of binary32 that never leave the chip in a decode step."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from golden.params import LlmParams
from hw.fabric.ram import Ram

__all__ = ["GlobalBuffer"]


class GlobalBuffer(wiring.Component):
    """Two read ports (two copies of the memory), one write port; a read takes one cycle and holds while not enabled.

    Reading a row in the cycle that writes it gives the old row. `write_elements`: a bit for each element to write.
    """

    def __init__(self, params: LlmParams):
        self.params = params
        row, width = range(params.vmem_rows), params.sfu_lanes * 32
        super().__init__(
            {
                "write_elements": In(params.sfu_lanes),
                "write_row": In(row),
                "write_data": In(width),
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
        for port in ("a", "b"):
            m.submodules[port] = ram = Ram(
                width=self.params.sfu_lanes * 32, depth=self.params.vmem_rows, parts=self.params.sfu_lanes
            )
            m.d.comb += [
                ram.write_enable.eq(self.write_elements),
                ram.write_address.eq(self.write_row),
                ram.write_data.eq(self.write_data),
                ram.read_enable.eq(getattr(self, f"{port}_read")),
                ram.read_address.eq(getattr(self, f"{port}_row")),
                getattr(self, f"{port}_data").eq(ram.read_data),
            ]
        return m
