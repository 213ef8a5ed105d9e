"""What an engine is as files: Verilog, registers, AXI ports, instruction set. The same input gives the same bytes."""

import json
from dataclasses import asdict
from typing import Any

from golden.engines import ENGINES
from hw.shell.kernel import CONTROL, generate_kernel, port_bus
from hw.shell.registers import to_c_header, to_markdown
from hw.shell.top import generate

from .builds import Build

__all__ = ["axi_ports", "rtl_files", "synthesised"]


def _dumps(value: Any) -> str:
    return json.dumps(value, indent=2) + "\n"


def axi_ports(build: Build) -> list[dict[str, Any]]:
    """AXI interfaces of a kernel: name, mode, protocol, data and address bits, and the register with a port's base."""
    ports: list[dict[str, Any]] = [{"name": CONTROL, "mode": "slave", "protocol": "AXI4LITE", "data_bits": 32,
                                    "address_bits": 12}]
    bases = build.core.base_registers(build.params)
    return ports + [{"name": port_bus(name), "mode": "master", "protocol": "AXI4", "data_bits": bits,
                     "address_bits": 64, "base": f"{bases[name]}_low"}
                    for name, bits in build.core.masters(build.params).items()]


def rtl_files(build: Build) -> dict[str, str]:
    """File name -> text: sources, the simulation twins of vendor primitives, registers, ports, instruction set."""
    core, registers = build.core, build.core.registers(build.params)
    return {
        **generate(core, build.params),
        f"{build.kernel}.v": generate_kernel(core, build.params, build.slices),
        **{f"simulation_only/{twin.name}": twin.read_text(encoding="utf-8") for twin in core.TWINS},
        "registers.json": _dumps([asdict(register) for register in registers]),
        "registers.md": to_markdown(registers),
        f"{build.kernel}_registers.h": to_c_header(build.kernel, registers),
        "axi_ports.json": _dumps(axi_ports(build)),
        f"{build.engine}_isa.h": ENGINES[build.engine].isa.to_c_header(),
    }


def synthesised(files: dict[str, str]) -> list[str]:
    """Those of the files that synthesis reads."""
    return sorted(name for name in files if name.endswith(".v") and "/" not in name)
