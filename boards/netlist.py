"""The generated Verilog as modules: which there are, which are the same, how often each is instantiated."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

__all__ = ["KEY", "PRIMITIVES", "Design", "Instance", "Module", "modules_of"]

PRIMITIVES = ("lacuna_ram", "DSP48E2")
"""Instantiated, and no module of ours: a memory by its parameters, a DSP."""
KEY = "m_"
"""How the name of a module's contents begins."""
_NAME = r"\\\S+(?= )|\w+"
_MODULE = re.compile(rf"^module ({_NAME})\s*\((.*?)\);\n(.*?)^endmodule", re.MULTILINE | re.DOTALL)
_INSTANCE = re.compile(rf"^  ({_NAME})\s+(?:#\(\n(.*?)\n  \)\s+)?({_NAME})\s*\(\n", re.MULTILINE | re.DOTALL)
_PORT = re.compile(r"^  (?:input|output) .*;$", re.MULTILINE)
_PARAMETER = re.compile(r"\.(\w+)\(32'[sdh]*d?(\d+)\)")


@dataclass(frozen=True)
class Instance:
    """Of a module or primitive, with its numeric parameters."""

    of: str
    name: str
    parameters: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Module:
    """A module as Amaranth's Yosys writes it; `ports` and `body` are Verilog."""

    name: str
    ports: str
    body: str

    @cached_property
    def instances(self) -> tuple[Instance, ...]:
        return tuple(Instance(of, name, tuple((key, int(value)) for key, value in _PARAMETER.findall(parameters)))
                     for of, parameters, name in _INSTANCE.findall(self.body) if of not in _KEYWORDS)

    @cached_property
    def inside(self) -> Counter[str]:
        """Instances right in it by module, no primitives."""
        return Counter(each.of for each in self.instances if each.of not in PRIMITIVES)

    def shell(self, name: str) -> str:
        """A module with these ports, under another name, and nothing in it."""
        declared = "\n".join(_PORT.findall(self.body))
        return f"module {name} ({self.ports});\n{declared}\nendmodule\n"

    def text(self, names: dict[str, str]) -> str:
        """Verilog, with other names for itself and for modules in it."""
        def renamed(match: re.Match[str]) -> str:
            return match[0].replace(match[1], names.get(match[1], match[1]), 1)

        return f"module {names[self.name]} ({self.ports});\n{_INSTANCE.sub(renamed, self.body)}endmodule\n"


_KEYWORDS = {"module", "always", "initial", "assign", "wire", "reg", "if", "else", "case", "begin"}


def modules_of(text: str) -> dict[str, Module]:
    """By name."""
    return {name: Module(name, ports, body) for name, ports, body in _MODULE.findall(text)}


class Design:
    """All modules below `top`, in units: a module that is large, or is there more than once and not small, with all
    modules in it that are no units.

    Attributes:
        modules: by name. keys: a name for each module's contents, the same for modules that differ in names alone.
        counts: instances by key, from the top down; the top is one. by_key: a module of each key.
        units: keys of units, those inside before those around them.

    Raises:
        ValueError: a module that is nowhere.
    """

    SMALL, LARGE = 20_000, 400_000
    """Characters of Verilog with all modules in it; Yosys takes the latter in half a minute."""

    def __init__(self, sources: Iterable[str], top: str, also: Iterable[str] = (), *, split: bool = True) -> None:
        """also: names of modules that are units in any case. split: large ones are, and repeated ones."""
        self.modules = {name: module for text in sources for name, module in modules_of(text).items()}
        self.top, self.keys, self.sizes = top, {}, {}
        self._name(top)
        self.by_key = {key: self.modules[name] for name, key in self.keys.items()}
        self.counts: Counter[str] = Counter()
        self._count(top, 1)
        named = {self.keys[name] for name in (top, *also) if name in self.keys}
        self.units = [key for key in self.by_key if key in named or (split and (
            self.sizes[key] > self.LARGE or (self.counts[key] > 1 and self.sizes[key] > self.SMALL)))]

    def _name(self, name: str) -> str:
        if name not in self.keys:
            if name not in self.modules:
                raise ValueError(f"module {name} is not in the Verilog")
            module = self.modules[name]
            inside = {each: self._name(each) for each in module.inside}
            text = module.text({**inside, name: "m"})
            key = self.keys[name] = KEY + hashlib.sha256(text.encode()).hexdigest()[:16]
            self.sizes[key] = len(text) + sum(self.sizes[self.keys[each]] for each in module.inside)
        return self.keys[name]

    def _count(self, name: str, times: int) -> None:
        self.counts[self.keys[name]] += times
        for of, number in self.modules[name].inside.items():
            self._count(of, times * number)

    def members(self, key: str) -> Counter[str]:
        """Instances by key of the modules of a unit: itself, and those in it that are no units."""
        found = Counter({key: 1})
        for of, number in self.by_key[key].inside.items():
            if self.keys[of] not in self.units:
                found.update({member: number * times for member, times in self.members(self.keys[of]).items()})
        return found

    def children(self, key: str) -> Counter[str]:
        """Instances by key of the units right inside a unit."""
        found: Counter[str] = Counter()
        for member, times in self.members(key).items():
            for of, number in self.by_key[member].inside.items():
                if self.keys[of] in self.units:
                    found[self.keys[of]] += times * number
        return found

    def verilog(self, key: str) -> str:
        """A unit's modules, named by their keys, and black boxes of the units in it."""
        texts = []
        for member in self.members(key):
            module = self.by_key[member]
            texts.append(module.text({**{each: self.keys[each] for each in module.inside}, module.name: member}))
        boxes = [f"(* blackbox *)\n{self.by_key[child].shell(child)}" for child in self.children(key)]
        return "\n".join([*texts, *boxes])
