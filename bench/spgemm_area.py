"""Area of the SpGEMM engine on a U280: `python -m bench.spgemm_area`, some minutes.

Yosys (see bench/area_unit.py) on each module that is emitted once, times how often it is there. LUTs with those of LUT
RAMs and shift registers. Large memories are counted by their sizes, in the better shape of a block RAM, or as ultra RAM
from 2,048 rows on.
"""

import re
from math import ceil

from amaranth.back import verilog

from bench.area_unit import BLOCKS, U280, deepest_path, resources, synthesise
from hw.spgemm.bank import Bank
from hw.spgemm.bank_group import BankGroup
from hw.spgemm.dispatcher import Dispatcher
from hw.spgemm.row_engine import RowEngine

__all__ = ["CARD", "main"]

CARD = {"LUT": 1_303_680, "FF": 2_607_360, "DSP48E2": 9_024, "BRAM36": 2_016, "URAM": 960}
"""XCU280."""
BRAM36 = ((72, 512), (36, 1024), (18, 2048), (9, 4096))
URAM_FROM = 2048
RAM = re.compile(r"lacuna_ram #\((.*?)\)\s*\S+ \(", re.DOTALL)
SIZE = re.compile(r"\.(\w+)\(32'd(\d+)\)")


def memories(component):
    """(BRAM36, URAM) of its `Ram`s; half a block RAM is one."""
    blocks, ultra = 0.0, 0
    for parameters in RAM.findall(verilog.convert(component, name="unit", emit_src=False)):
        sizes = dict(SIZE.findall(parameters))
        width, depth = int(sizes["WIDTH"]), int(sizes["DEPTH"])
        if depth >= URAM_FROM:
            ultra += ceil(width / 72) * ceil(depth / 4096)
        else:
            blocks += min(ceil(2 * width / wide) / 2 * ceil(depth / deep) for wide, deep in BRAM36)
    return blocks, ultra


def area(name, unit):
    """({resource: count}, levels of the deepest path, its ends)."""
    component = unit(U280)
    cells, names = synthesise(component, BLOCKS.get(f"spgemm:{name}", dict)())
    found = resources(cells)
    blocks, ultra = memories(unit(U280))
    levels, first, last = deepest_path(cells)
    luts = found["LUT"] + found.get("SRL", 0) + 8 * (found.get("RAM32M16", 0) + found.get("RAM64M8", 0))
    blocks += found.get("RAMB36E2", 0) + found.get("RAMB18E2", 0) / 2
    counts = {"LUT": luts, "FF": found["FF"], "DSP48E2": found.get("DSP48E2", 0), "BRAM36": blocks, "URAM": ultra}
    return counts, levels, names[first], names[last]


def main() -> None:
    p, total = U280, dict.fromkeys(CARD, 0.0)
    print("| module | of them | " + " | ".join(CARD) + " | levels, from .. to |")
    print("|---" * (len(CARD) + 3) + "|")
    for name, unit, count in (
        ("Bank", Bank, p.banks * p.engines), ("BankGroup", BankGroup, p.banks // p.queue_banks * p.engines),
        ("RowEngine", RowEngine, p.engines), ("Dispatcher", Dispatcher, 1),
    ):  # fmt: skip
        counts, levels, first, last = area(name, unit)
        total = {resource: total[resource] + count * counts[resource] for resource in CARD}
        print(f"| {name} | {count} | " + " | ".join(f"{counts[resource]:,g}" for resource in CARD)
              + f" | {levels}, `{first}` .. `{last}` |", flush=True)
    engine = {resource: total[resource] / p.engines for resource in CARD}
    print("| **a row engine** | | " + " | ".join(f"{engine[resource]:,.0f}" for resource in CARD) + " | |")
    print(f"| **{p.engines} row engines** | | " + " | ".join(f"{total[resource]:,.0f}" for resource in CARD) + " | |")
    print("| of a U280 | | " + " | ".join(f"{total[resource] / CARD[resource]:.0%}" for resource in CARD) + " | |")


if __name__ == "__main__":
    main()
