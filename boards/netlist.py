"""The generated Verilog as modules: which there are, which are the same, how often each is instantiated."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

__all__ = ["PRIMITIVES", "Design", "Instance", "Module", "modules_of"]

PRIMITIVES = ("lacuna_ram", "DSP48E2")
"""Instantiated, and no module of ours: a memory by its parameters, a DSP."""
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

    @property
    def inside(self) -> set[str]:
        """Names of the modules in it."""
        return {each.of for each in self.instances if each.of not in PRIMITIVES}

    def black_box(self, name: str) -> str:
        """The module, under another name, without what is in it."""
        return f"(* blackbox *)\n{self.shell(name)}"

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
            key = self.keys[name] = "m_" + hashlib.sha256(text.encode()).hexdigest()[:16]
            self.sizes[key] = len(text) + sum(self.sizes[self.keys[each]] for each in module.inside)
        return self.keys[name]

    def _count(self, name: str, times: int) -> None:
        self.counts[self.keys[name]] += times
        for of, number in Counter(each.of for each in self.modules[name].instances).items():
            if of not in PRIMITIVES:
                self._count(of, times * number)

    def members(self, key: str) -> Counter[str]:
        """Instances by key of the modules of a unit: itself, and those in it that are no units."""
        found = Counter({key: 1})
        for each in self.by_key[key].instances:
            if each.of not in PRIMITIVES and self.keys[each.of] not in self.units:
                found += self.members(self.keys[each.of])
        return found

    def children(self, key: str) -> Counter[str]:
        """Instances by key of the units right inside a unit."""
        found: Counter[str] = Counter()
        for member, times in self.members(key).items():
            for each in self.by_key[member].instances:
                if each.of not in PRIMITIVES and self.keys[each.of] in self.units:
                    found[self.keys[each.of]] += times
        return found

    def verilog(self, key: str) -> str:
        """A unit's modules, named by their keys, and black boxes of the units in it."""
        texts = []
        for member in self.members(key):
            module = self.by_key[member]
            texts.append(module.text({**{each: self.keys[each] for each in module.inside}, module.name: member}))
        return "\n".join([*texts, *(self.by_key[child].black_box(child) for child in self.children(key))])
