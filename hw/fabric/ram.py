"""Large memories: an instance of hw/fabric/ram.v."""

from pathlib import Path

from amaranth.hdl import ClockSignal, Instance, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["RAM", "Ram"]

RAM = Path(__file__).with_name("ram.v")
"""The module's Verilog, which belongs to every design that has a Ram."""


class Ram(wiring.Component):
    """`depth` rows of `width` bits, one write and one read port; read data one cycle later, held while not enabled.

    Reading a row in the cycle that writes it gives anything, as block and ultra RAM differ in it. Not for Amaranth's
    simulator, which knows no instances.

    Args:
        parts: equal parts of a row that `write_enable` enables one by one.

    Raises:
        ValueError: parts of unequal width, or a single row.
    """

    def __init__(self, *, width: int, depth: int, parts: int = 1):
        if width % parts:
            raise ValueError(f"parts = {parts!r}: must divide width = {width}")
        if depth < 2:
            raise ValueError(f"depth = {depth!r}: must be at least 2")
        self.width, self.depth, self.parts = width, depth, parts
        super().__init__({
            "write_enable": In(parts),
            "write_address": In(range(depth)),
            "write_data": In(width),
            "read_enable": In(1, init=1),
            "read_address": In(range(depth)),
            "read_data": Out(width),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.ram = Instance(
            "lacuna_ram",
            p_WIDTH=self.width, p_DEPTH=self.depth, p_PARTS=self.parts, p_ADDRESS_BITS=len(self.read_address),
            i_clk=ClockSignal(),
            i_write_enable=self.write_enable, i_write_address=self.write_address, i_write_data=self.write_data,
            i_read_enable=self.read_enable, i_read_address=self.read_address, o_read_data=self.read_data,
        )
        return m
