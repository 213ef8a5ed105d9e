"""What a design takes, from its operators: seconds where synthesis takes many minutes.

Operators are those of Amaranth's own Yosys after `proc; opt; wreduce`. Flip-flops, DSPs and large memories are counted;
LUTs are sums of the operators' bits, weighted.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from math import ceil, log2
from typing import TYPE_CHECKING, Any

from amaranth.back import rtlil

from hw.shell.convert import own_yosys

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["FEATURES", "WEIGHTS", "Counted", "coarse_netlists", "count_module", "memory_share"]

PASSES = "proc; memory_collect; opt -full; wreduce; opt_clean"
BLOCK_SHAPES = ((72, 512), (36, 1024), (18, 2048), (9, 4096))
ULTRA_ROWS = 2048
"""Rows from which a `lacuna_ram` is ultra RAM (hw/fabric/ram.v)."""
DSP_BITS = (26, 17)
"""Factors that one DSP multiplies, without their signs; less than MULTIPLY_BITS product bits are LUTs."""
MULTIPLY_BITS = 9
SHIFT_MINIMUM, SHIFT_LENGTH = 3, 16
"""Registers in a row, without reset and seen by nobody else, that become a shift register, and how many one holds."""

WEIGHTS: dict[str, float] = {
    "carry": 0.27, "compare": 0.463, "equal": 0.426, "reduce": 0.17, "logic": 0.736, "mux": 0.568, "choice": 0.345,
    "shift": 0.587, "multiply": 0.0}  # fmt: skip
"""LUTs a bit of an operator, from `python -m bench.estimate_fit`."""
FEATURES = tuple(WEIGHTS)
KINDS = {
    **dict.fromkeys(("$add", "$sub", "$neg"), "carry"), **dict.fromkeys(("$lt", "$le", "$gt", "$ge"), "compare"),
    **dict.fromkeys(("$eq", "$ne"), "equal"), **dict.fromkeys(("$and", "$or", "$xor", "$xnor"), "logic"),
    **dict.fromkeys(("$reduce_and", "$reduce_or", "$reduce_xor", "$reduce_xnor", "$reduce_bool", "$logic_not",
                     "$logic_and", "$logic_or"), "reduce"),
    **dict.fromkeys(("$mux", "$bwmux"), "mux"), "$pmux": "choice",
    **dict.fromkeys(("$shl", "$shr", "$sshl", "$sshr", "$shift", "$shiftx"), "shift"),
}  # fmt: skip
FREE = {"$not", "$pos", "$buf", "$scopeinfo"}


@dataclass(frozen=True)
class Counted:
    """Of one module, without those in it.

    Attributes:
        features: bits of operators by key of FEATURES. ff, dsp, bram36, uram: counted. fixed: LUTs that are counted:
            memories and shift registers.
        children: instances of other modules by name.
    """

    features: dict[str, float]
    fixed: float
    ff: int
    dsp: int
    bram36: float
    uram: int
    children: Counter[str]

    @property
    def lut(self) -> float:
        return self.fixed + sum(WEIGHTS[name] * bits for name, bits in self.features.items())


def coarse_netlists(components: Iterable[tuple[str, Any, Any]]) -> dict[str, dict[str, Any]]:
    """Yosys' JSON, by name, of all modules below components, as `hw.shell.top.components` gives them."""
    yosys, found = own_yosys(), {}
    for name, component, ports in components:
        text = rtlil.convert(component, name=name, ports=ports, emit_src=False)
        commands = PASSES.replace("; ", "\n")
        script = f"read_rtlil <<rtlil\n{text}\nrtlil\n{commands}\nwrite_json\n"
        found |= json.loads(yosys.run(["-q", "-"], script))["modules"]
    return found


def memory_share(width: int, depth: int) -> tuple[float, int]:
    """(BRAM36, URAM) of a `lacuna_ram`; half a block RAM is one."""
    if depth >= ULTRA_ROWS:
        return 0.0, ceil(width / 72) * ceil(depth / 4096)
    return min(ceil(2 * width / wide) / 2 * ceil(depth / deep) for wide, deep in BLOCK_SHAPES), 0


def count_module(netlist: dict[str, Any]) -> Counted:
    """Operators of one module of `coarse_netlists`.

    Raises:
        ValueError: an operator that is not known.
    """
    features: dict[str, float] = dict.fromkeys(FEATURES, 0.0)
    children: Counter[str] = Counter()
    fixed, dsp, blocks, ultra = 0.0, 0, 0.0, 0
    registers = _Registers(netlist)
    for cell in netlist["cells"].values():
        kind, sizes = cell["type"], {key: _number(value) for key, value in cell["parameters"].items()}
        if kind == "DSP48E2":
            dsp += 1
        elif kind == "lacuna_ram":
            more, large = memory_share(sizes["WIDTH"], sizes["DEPTH"])
            blocks, ultra = blocks + more, ultra + large
        elif kind == "$mem_v2" and cell["attributes"].get("ram_style") == "block":
            blocks += memory_share(sizes["WIDTH"], sizes["SIZE"])[0]
        elif kind == "$mem_v2":
            fixed += _small_memory(sizes)
        elif kind == "$mul":
            used = _dsps(sizes)
            dsp += used
            features["multiply"] += 0 if used else sizes["A_WIDTH"] * sizes["B_WIDTH"]
        elif kind in KINDS:
            features[KINDS[kind]] += _bits(cell, sizes)
        elif not kind.startswith("$"):
            children[kind] += 1
        elif kind not in FREE and not kind.startswith(("$dff", "$sdff")):
            raise ValueError(f"operator {kind} is not known")
    return Counted(features, fixed + registers.shifts, registers.plain, dsp, blocks, ultra, children)


def _number(value: str | int) -> int:
    """Of a parameter in Yosys' JSON; text that is none is 0."""
    return value if isinstance(value, int) else int(value, 2) if re.fullmatch("[01]+", value) else 0


def _bits(cell: dict[str, Any], sizes: dict[str, int]) -> float:
    """How much of its feature an operator is."""
    kind, wires = cell["type"], cell["connections"]
    if KINDS[kind] == "shift":
        stages = min(len([bit for bit in wires["B"] if isinstance(bit, int)]), ceil(log2(max(2, sizes["A_WIDTH"]))))
        return sizes["Y_WIDTH"] * stages
    if kind == "$pmux":
        return sizes["S_WIDTH"] * sizes["WIDTH"]
    if KINDS[kind] == "mux":
        return sum(isinstance(a, int) or isinstance(b, int) for a, b in zip(wires["A"], wires["B"], strict=True))
    inputs = [sum(isinstance(bit, int) for bit in wires[name]) for name in ("A", "B") if name in wires]
    return min(max(inputs), sizes["Y_WIDTH"]) if KINDS[kind] == "logic" else sum(inputs) / 2 + max(inputs) / 2


def _dsps(sizes: dict[str, int]) -> int:
    """That a product takes; parts of it above its width are not made."""
    signs = sizes["A_SIGNED"]
    a, b = sorted((sizes["A_WIDTH"] - signs, sizes["B_WIDTH"] - signs), reverse=True)
    if a + b < MULTIPLY_BITS or b < 2:
        return 0
    return sum(i + j < sizes["Y_WIDTH"] for i in range(0, a, DSP_BITS[0]) for j in range(0, b, DSP_BITS[1]))


def _small_memory(sizes: dict[str, int]) -> float:
    """LUTs of a memory that is no `lacuna_ram`: RAM32M16 or RAM64M8, or a table without a write port."""
    width, depth = sizes["WIDTH"], sizes["SIZE"]
    if not sizes["WR_PORTS"]:
        return width * max(1, depth / 64) * sizes["RD_PORTS"]
    each, deep = (14, 32) if depth <= 32 else (7, 64)
    return 8 * ceil(width / each) * ceil(depth / deep) * sizes["RD_PORTS"] * sizes["WR_PORTS"]


class _Registers:
    """Flip-flops of a module, and those in a row that become shift registers.

    Attributes:
        plain: flip-flops. shifts: LUTs of shift registers.
    """

    def __init__(self, netlist: dict[str, Any]) -> None:
        self.plain, self.shifts = 0, 0
        readers: Counter[int] = Counter()
        for cell in netlist["cells"].values():
            readers.update(bit for port, bits in cell["connections"].items()
                           if cell.get("port_directions", {}).get(port, "input") == "input" for bit in bits)
        readers.update(bit for port in netlist["ports"].values() if port["direction"] == "output"
                       for bit in port["bits"])
        before = {q: (d, control) for q, d, control in self._delays(netlist)}
        after = {d: q for q, (d, control) in before.items()
                 if readers[d] == 1 and d in before and before[d][1] == control}
        for first in before.keys() - after.values():
            length, bit = 1, first
            while (bit := after.get(bit)) is not None:
                length += 1
            if length >= SHIFT_MINIMUM:
                self.shifts += ceil(length / SHIFT_LENGTH)
            else:
                self.plain += length
        self.plain += sum(len(cell["connections"]["Q"]) for cell in netlist["cells"].values()
                          if cell["type"].startswith("$sdff"))

    @staticmethod
    def _delays(netlist: dict[str, Any]) -> Iterator[tuple[int, Any, Any]]:
        """(output, input, enable) of the registers without reset."""
        for cell in netlist["cells"].values():
            if cell["type"] in ("$dff", "$dffe"):
                wires = cell["connections"]
                enable = tuple(wires.get("EN", ()))
                yield from ((q, d, enable) for q, d in zip(wires["Q"], wires["D"], strict=True))
