"""What every engine shows to its shell: control words and memory ports."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.fabric.axi import ADDRESS_BITS, axi_read, axi_write

from .registers import Register, register_map

__all__ = ["REPORT", "REPORT_BITS", "EngineCore"]

REPORT, REPORT_BITS = "report", 32
"""The shell's own memory port (`hw.shell.report`)."""


class EngineCore(wiring.Component):
    """Base of the engines; `hw.shell.top` puts control registers and flat ports around one.

    Attributes:
        ports, axi_bits: names of the memory ports and the width of them all.
        start, words, address, arguments, bases: from the control registers; a base for each port, in their order.
        done: strobe; status: 256 + code of the end, or an error code. pc, results, counters: for the registers.
        busy: a bit for each of UNITS, for traces.
        read, write: memory ports.
    """

    NAME: ClassVar[str]
    RESULTS: ClassVar[int]
    COUNTERS: ClassVar[tuple[str, ...]]
    """Cleared by start. `cycles` is one of them."""
    UNITS: ClassVar[tuple[str, ...]]
    BLOCKS: ClassVar[Mapping[str, type[wiring.Component]]] = {}
    """Modules that are instantiated by name and emitted once: name -> component made from the parameters."""
    TWINS: ClassVar[tuple[Path, ...]] = ()
    """Verilog of vendor primitives, for simulation."""

    def __init__(self, params: Any):
        self.params = params
        self.ports, self.axi_bits = ports, axi_bits = self.memory_ports(params)
        super().__init__({
            "start": In(1),
            "words": In(32),
            "address": In(32),
            "bases": In(ADDRESS_BITS).array(len(ports)),
            "arguments": In(32).array(self.argument_count(params)),
            "done": Out(1),
            "status": Out(32),
            "pc": Out(32),
            "results": Out(32).array(self.RESULTS),
            "counters": Out(32).array(len(self.COUNTERS)),
            "busy": Out(len(self.UNITS)),
            "read": Out(axi_read(axi_bits)).array(len(ports)),
            "write": Out(axi_write(axi_bits)).array(len(ports)),
        })

    @staticmethod
    def argument_count(params: Any) -> int:
        """Words handed over at start."""
        return 0

    @staticmethod
    def memory_ports(params: Any) -> tuple[tuple[str, ...], int]:
        """Names of the memory ports, and their width in bits."""
        raise NotImplementedError

    @classmethod
    def masters(cls, params: Any) -> dict[str, int]:
        """Bits of data of each AXI master by name: the memory ports and, last, the shell's."""
        ports, bits = cls.memory_ports(params)
        return {**dict.fromkeys(ports, bits), REPORT: REPORT_BITS}

    @classmethod
    def base_registers(cls, params: Any) -> dict[str, str]:
        """Of each master the pair of registers (`<name>_low`, `<name>_high`) with its base address."""
        return {**{port: f"base_{number}" for number, port in enumerate(cls.memory_ports(params)[0])}, REPORT: REPORT}

    @staticmethod
    def cycles_to_clear(params: Any) -> int:
        """Cycles after a reset in which tables are cleared; a run that starts before waits for them."""
        return 0

    @classmethod
    def registers(cls, params: Any) -> tuple[Register, ...]:
        return register_map(len(cls.memory_ports(params)[0]), cls.argument_count(params), cls.RESULTS, cls.COUNTERS)
