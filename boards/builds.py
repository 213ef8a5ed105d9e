"""An engine on a card: how large, how often, and which memory each of its ports takes."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from golden.engines import ENGINES
from golden.params import EngineParams
from hw.engines import CORES
from hw.shell.core import REPORT, EngineCore
from hw.shell.kernel import kernel_name

from .cards import CARDS, Card

__all__ = ["Build", "Place", "UnmappableError", "build_for"]


class UnmappableError(ValueError):
    """The card has too few memory channels for the ports. Exit code 4."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """What an AXI port of a kernel sees.

    Attributes:
        kernel: number of the kernel. port: of the engine. kind, first, last: memory channels, as Vitis names them.
    """

    kernel: int
    port: str
    kind: str
    first: int
    last: int

    @property
    def memory(self) -> str:
        """As in Vitis' connectivity."""
        channels = f"{self.first}" if self.first == self.last else f"{self.first}:{self.last}"
        return f"{self.kind}[{channels}]"


@dataclass(frozen=True, kw_only=True)
class Build:
    """Attributes:
        engine, card: names; no card: the engine alone. params: of every kernel. kernels: so many of them.
        slices: register slices of each AXI channel. clock_mhz: asked for, not reached by anybody yet.
    """

    engine: str
    card: str | None
    params: EngineParams
    kernels: int
    slices: int
    clock_mhz: int

    @property
    def core(self) -> type[EngineCore]:
        return CORES[self.engine]

    @property
    def on(self) -> Card:
        """Raises ValueError: there is none."""
        if self.card is None:
            raise ValueError("the build is for no card")
        return CARDS[self.card]

    @property
    def kernel(self) -> str:
        """Name of the kernel's module."""
        return kernel_name(self.core)

    @property
    def instances(self) -> list[str]:
        """Names of the kernels, as v++ gives them."""
        return [f"{self.kernel}_{number + 1}" for number in range(self.kernels)]

    def slr(self, kernel: int) -> int | None:
        """Die of a kernel; None: it takes more than one, or the card's dies are not known."""
        return kernel if self.on.slrs and self.kernels == self.on.slrs else None

    def places(self) -> Iterator[Place]:
        """Of all AXI masters of all kernels. Each memory port has channels of its own, as many as there are for each;
        the report goes to those of the last one.

        Raises:
            UnmappableError: there are fewer channels than ports.
        """
        ports, memory = self.core.memory_ports(self.params)[0], self.on.memories[0]
        count = self.kernels * len(ports)
        each = memory.channels // count
        if not each:
            raise UnmappableError(f"{self.kernels} x {self.engine} has {count} AXI ports, {self.on.title} has "
                                  f"{memory.channels} {memory.kind} channels: take fewer kernels or channels")
        if memory.kind == "DDR":
            each = 1  # a port reaches one bank
        for number in range(count):
            kernel, port = divmod(number, len(ports))
            place = Place(kernel=kernel, port=ports[port], kind=memory.kind, first=number * each,
                          last=number * each + each - 1)
            yield place
            if port == len(ports) - 1:
                yield replace(place, port=REPORT)


USUAL = {
    ("llm", "u280"): ("u280-core", 3), ("llm", "vhk158"): ("u280-core", 3), ("llm", "v80"): ("u280-core", 3),
    ("spgemm", "u280"): ("spgemm-u280", 1), ("spgemm", "vhk158"): ("spgemm-u280", 1),
    ("spgemm", "v80"): ("spgemm-u280", 1),
    ("train", "u280"): ("train-vcu1525", 1), ("train", "u200"): ("train-vcu1525", 1),
    ("train", "vcu1525"): ("train-vcu1525", 1), ("train", "vhk158"): ("train-vcu1525", 1),
    ("train", "v80"): ("train-vcu1525", 1),
}  # fmt: skip
"""(configuration, kernels) by engine and card. Others have the engine's default parameters and one kernel."""
SLICES = 2
"""One on each side of a crossing."""


def build_for(engine: str, card: str | None, params: EngineParams | None = None, *,
              kernels: int | None = None) -> Build:
    """The engine on the card as it is meant, or with other parameters, or another number of kernels.

    Raises:
        ValueError: no such number of kernels.
    """
    model = ENGINES[engine]
    config, usual = USUAL.get((engine, card or ""), (None, 1))
    if kernels is not None and kernels < 1:
        raise ValueError(f"kernels = {kernels!r}: must be at least 1")
    meant = model.configs[config] if config else model.params()
    return Build(engine=engine, card=card, params=params or meant, kernels=kernels or (1 if params else usual),
                 slices=SLICES if card else 0, clock_mhz=model.clock_mhz)
