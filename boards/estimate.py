"""What an engine takes of a card: by block, in all, and whether it fits."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from hw.shell.convert import uncollected
from hw.shell.kernel import generate_kernel, kernel_module
from hw.shell.top import components, generate, top_name

from .analytic import Counted, coarse_netlists, count_module, memory_share
from .cards import RESOURCES
from .netlist import Design, modules_of
from .synthesis import Mapped, map_design

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .builds import Build

__all__ = ["Estimate", "LogicPath", "analytic", "design_of", "operators", "resources", "synthesised"]

CELLS = {r"LUT\d|INV|SRL\w+|RAM64X1S": ("lut", 1.0), "RAM128X1S": ("lut", 2.0), "RAM128X1D": ("lut", 4.0),
         "RAM32M16|RAM64M8": ("lut", 8.0), r"FD\w+": ("ff", 1.0), "DSP48E2": ("dsp", 1.0),
         "RAMB36E2": ("bram36", 1.0), "RAMB18E2": ("bram36", 0.5), "URAM288": ("uram", 1.0),
         r"CARRY4|MUXF\d|lacuna_ram": ("lut", 0.0)}
"""How much of which resource a cell is, by pattern; memories are counted by their sizes."""
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
    counted = operators(build)
    own: dict[str, Share] = {name: {key: getattr(one, key) for key in RESOURCES} for name, one in counted.items()}
    return _estimate("analytic", build, own, {name: one.children for name, one in counted.items()}, [])


def operators(build: Build) -> dict[str, Counted]:
    """Of each of the kernel's modules, by name."""
    with uncollected():
        made = [*components(build.core, build.params), kernel_module(build.core, build.params, build.slices)]
        return {name: count_module(netlist) for name, netlist in coarse_netlists(made).items()}


def synthesised(build: Build, told: Callable[[str], Any] = lambda _: None) -> Estimate:
    """By Yosys, each module once: many minutes, where `build/synth` does not have it."""
    design = design_of(build)
    mapped = map_design(design, told)
    names = {key: design.by_key[key].name.removeprefix("\\") for key in design.units}
    own = {names[key]: resources(one) for key, one in mapped.items()}
    children = {names[key]: Counter({names[child]: times for child, times in one.children.items()})
                for key, one in mapped.items()}
    paths = [LogicPath(names[key], one.levels, *one.path) for key, one in mapped.items()]
    return _estimate("synthesis", build, own, children, sorted(paths, key=lambda path: -path.levels))


def design_of(build: Build) -> Design:
    """The kernel's modules; what stands right under the engine is a unit."""
    top = top_name(build.core)
    files = generate(build.core, build.params)
    engine = f"\\{top}.engine"
    inside = modules_of(files[f"{top}.v"])[engine].inside
    sources = [*files.values(), generate_kernel(build.core, build.params, build.slices)]
    return Design(sources, build.kernel, {top, engine, *inside})


def resources(unit: Mapped) -> Share:
    """Of a unit, without the units in it.

    Raises:
        ValueError: a cell that is none of them.
    """
    found = dict.fromkeys(RESOURCES, 0.0)
    for kind, times in unit.cells.items():
        name, amount = next((what for pattern, what in CELLS.items() if re.fullmatch(pattern, kind)), (None, 0.0))
        if name is None:
            raise ValueError(f"cell {kind} is of no known resource")
        found[name] += times * amount
    for (width, depth), times in unit.memories.items():
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

    top, engine = top_name(build.core), f"{top_name(build.core)}.engine"
    blocks = {SLICES: _less(below(build.kernel), below(top)), "control": _less(below(top), below(engine)),
              ENGINE: dict(own[engine])}
    for child, times in children[engine].items():
        blocks[child.removeprefix(f"{engine}.")] = {name: times * below(child)[name] for name in RESOURCES}
    total: Share = {name: build.kernels * below(build.kernel)[name] for name in RESOURCES}
    available = build.on.available if build.card else dict.fromkeys(RESOURCES)
    percent = {name: 100 * total[name] / count if (count := available[name]) else None for name in RESOURCES}
    over = [name for name in RESOURCES if (percent[name] or 0) > 100]
    return Estimate(method, {name: {key: share[key] for key in RESOURCES} for name, share in blocks.items()}, total,
                    percent, not over if build.card else None, over, paths)


def _less(all_: Mapping[str, float], part: Mapping[str, float]) -> Share:
    return {name: all_[name] - part[name] for name in RESOURCES}
