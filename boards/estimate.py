"""What an engine takes of a card: by block, in all, and whether it fits."""

from __future__ import annotations

import gc
import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from hw.shell.kernel import generate_kernel, kernel_module, kernel_name
from hw.shell.top import components, generate, top_name

from .analytic import coarse_netlists, count_module, memory_share
from .cards import RESOURCES
from .netlist import Design
from .synthesis import map_design

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .builds import Build

__all__ = ["Estimate", "LogicPath", "analytic", "design_of", "resources", "synthesised"]

RAM_LUTS = {"RAM32M16": 8, "RAM64M8": 8, "RAM64X1S": 1, "RAM128X1S": 2, "RAM128X1D": 4}
SLICES = "register slices"
ENGINE = "between blocks"

Share = dict[str, float]


@dataclass(frozen=True)
class LogicPath:
    """The deepest path that begins and ends in one module.

    Attributes:
        module: its name. levels: LUTs. first, last: nets at its ends.
    """

    module: str
    levels: int
    first: str
    last: str


@dataclass(frozen=True)
class Estimate:
    """Attributes:
        method: analytic or synthesis. blocks: of one kernel, by what stands right under the engine: amounts by key of
            RESOURCES. total: of all kernels.
        percent: of the card; None for what is not known of it. fits: nothing is above 100 %; None: no card.
        over: resources of which there are too few. paths: deepest first; by synthesis only.
    """

    method: str
    blocks: dict[str, Share]
    total: Share
    percent: dict[str, float | None]
    fits: bool | None
    over: list[str]
    paths: list[LogicPath]


def analytic(build: Build) -> Estimate:
    """From operators: half a minute for the largest engines."""
    core, params = build.core, build.params
    collects = gc.isenabled()
    gc.disable()  # netlists are one large live structure
    try:
        made = [*components(core, params), kernel_module(core, params, build.slices)]
        counted = {name: count_module(netlist) for name, netlist in coarse_netlists(made).items()}
    finally:
        if collects:
            gc.enable()
    own = {name: {"lut": one.lut, "ff": one.ff, "bram36": one.bram36, "uram": one.uram, "dsp": one.dsp}
           for name, one in counted.items()}
    known = {name: Counter({child: times for child, times in one.children.items() if child in counted})
             for name, one in counted.items()}
    return _estimate("analytic", build, own, known, [])


def synthesised(build: Build, told: Callable[[str], Any] = lambda _: None) -> Estimate:
    """By Yosys, each module once: many minutes, where `build/synth` does not have it."""
    design = design_of(build)
    mapped = map_design(design, told)
    names = {key: design.by_key[key].name.removeprefix("\\") for key in design.units}
    own = {names[key]: resources(one.cells, one.memories) for key, one in mapped.items()}
    children = {names[key]: Counter({names[child]: times for child, times in design.children(key).items()})
                for key in design.units}
    paths = [LogicPath(names[key], one.levels, *one.path) for key, one in mapped.items()]
    return _estimate("synthesis", build, own, children, sorted(paths, key=lambda path: -path.levels))


def design_of(build: Build) -> Design:
    """The kernel's modules; what stands right under the engine is a unit."""
    core = build.core
    top, engine = kernel_name(core), f"\\{top_name(core)}.engine"
    sources = [*generate(core, build.params).values(), generate_kernel(core, build.params, build.slices)]
    return Design(sources, top, {engine, top_name(core), *Design(sources, top).modules[engine].inside})


def resources(cells: Mapping[str, int], memories: Mapping[tuple[int, int], int]) -> Share:
    """Of mapped cells, and `lacuna_ram`s by (width, depth)."""
    found = dict.fromkeys(RESOURCES, 0.0)
    for kind, times in cells.items():
        if re.fullmatch(r"LUT\d|INV|SRL\w+", kind):
            found["lut"] += times
        elif kind.startswith("FD"):
            found["ff"] += times
        elif kind == "DSP48E2":
            found["dsp"] += times
        found["lut"] += RAM_LUTS.get(kind, 0) * times
        found["bram36"] += {"RAMB36E2": 1.0, "RAMB18E2": 0.5}.get(kind, 0.0) * times
        found["uram"] += times if kind == "URAM288" else 0
    for (width, depth), times in memories.items():
        blocks, ultra = memory_share(width, depth)
        found["bram36"] += times * blocks
        found["uram"] += times * ultra
    return found


def _estimate(method: str, build: Build, own: Mapping[str, Share], children: Mapping[str, Counter[str]],
              paths: list[LogicPath]) -> Estimate:
    @cache
    def below(name: str) -> Counter[str]:
        found = Counter(own[name])
        for child, times in children[name].items():
            for resource, amount in below(child).items():
                found[resource] += times * amount
        return found

    top, kernel = top_name(build.core), kernel_name(build.core)
    engine = f"{top}.engine"
    blocks = {SLICES: _less(below(kernel), below(top)), "control": _less(below(top), below(engine)),
              ENGINE: dict(own[engine])}
    for child, times in children[engine].items():
        blocks[child.removeprefix(f"{engine}.")] = {name: times * below(child)[name] for name in RESOURCES}
    total: Share = {name: build.kernels * below(kernel)[name] for name in RESOURCES}
    available = build.on.available if build.card else dict.fromkeys(RESOURCES)
    percent = {name: 100 * total[name] / count if (count := available[name]) else None for name in RESOURCES}
    over = [name for name in RESOURCES if (percent[name] or 0) > 100]
    return Estimate(method, {name: {key: share[key] for key in RESOURCES} for name, share in blocks.items()}, total,
                    percent, not over if build.card else None, over, paths)


def _less(all_: Mapping[str, float], part: Mapping[str, float]) -> Share:
    return {name: all_[name] - part[name] for name in RESOURCES}
