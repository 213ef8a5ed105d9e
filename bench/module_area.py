"""Area of modules that a design emits once, for tables of whole engines: LUTs with those of LUT RAMs and shift
registers, large memories by their sizes, in the better shape of a block RAM, or as ultra RAM from 2,048 rows on."""

import re
from math import ceil

from amaranth.back import verilog

from bench.area_unit import deepest_path, resources, synthesise

__all__ = ["RESOURCES", "memories", "module_area", "print_head", "print_module", "print_share", "print_sum"]

RESOURCES = ("LUT", "FF", "DSP48E2", "BRAM36", "URAM")
BRAM36 = ((72, 512), (36, 1024), (18, 2048), (9, 4096))
URAM_FROM = 2048
RAM = re.compile(r"lacuna_ram #\((.*?)\)\s*\S+ \(", re.DOTALL)
SIZE = re.compile(r"\.(\w+)\(32'd(\d+)\)")
RAM_LUTS = {"RAM32M16": 8, "RAM64M8": 8, "RAM64X1S": 1, "RAM128X1S": 2, "RAM128X1D": 4}


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


def module_area(made, blocks=None):
    """({resource: count}, levels of the deepest path, its ends).

    Args:
        made: makes the component. blocks: see `synthesise`; they are not in the counts.
    """
    cells, names = synthesise(made(), blocks)
    found = resources(cells)
    block_rams, ultra = memories(made())
    levels, first, last = deepest_path(cells)
    luts = found.get("LUT", 0) + found.get("SRL", 0) + sum(RAM_LUTS.get(kind, 0) for kind, _, _ in cells)
    block_rams += found.get("RAMB36E2", 0) + found.get("RAMB18E2", 0) / 2
    counts = (luts, found.get("FF", 0), found.get("DSP48E2", 0), block_rams, ultra)
    return dict(zip(RESOURCES, counts, strict=True)), levels, names[first], names[last]


def print_head() -> None:
    print("| module | of them | " + " | ".join(RESOURCES) + " | levels, from .. to |")
    print("|---" * (len(RESOURCES) + 3) + "|")


def print_module(name, count, counts, levels, first, last) -> None:
    print(f"| {name} | {count} | " + " | ".join(f"{counts[resource]:,g}" for resource in RESOURCES)
          + f" | {levels}, `{first}` .. `{last}` |", flush=True)


def print_sum(name, total) -> None:
    print(f"| **{name}** | | " + " | ".join(f"{total[resource]:,.0f}" for resource in RESOURCES) + " | |")


def print_share(card, total, available) -> None:
    print(f"| of a {card} | | " + " | ".join(f"{total[name] / available[name]:.0%}" for name in RESOURCES) + " | |")
