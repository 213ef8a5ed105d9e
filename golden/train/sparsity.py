"""Which weights are sparse in which pass: the methods, the layers, the multiplications that are left.

The methods of sat.md, section 2.5. Groups of the forward pass lie along input channels, those of the backward pass
along output channels; both masks are of the same dense master weight, rounded to 16 bits.
"""

from dataclasses import dataclass
from typing import NamedTuple

from golden.params import check

from .network import Conv2d, Linear, Network, Placed
from .params import GROUP, PATTERNS

__all__ = ["DENSE", "METHODS", "Macs", "Method", "Sparsity", "macs", "sparse_layers", "taps", "weighted"]

DENSE = (GROUP, GROUP)


@dataclass(frozen=True, kw_only=True)
class Method:
    """What a method prunes.

    Attributes:
        forward: weights of the forward pass. backward: weights of the backward pass.
        gradient: dY, along output channels, for dX only.
        regulariser: further decay of weights that the forward pass does not use, where none is given.
    """

    forward: bool = False
    backward: bool = False
    gradient: bool = False
    regulariser: float = 0.0


METHODS = {
    "dense": Method(),
    "sr-ste": Method(forward=True, regulariser=2e-4),
    "sdgp": Method(gradient=True),
    "sdwp": Method(backward=True),
    "bdwp": Method(forward=True, backward=True),
}


@dataclass(frozen=True, kw_only=True)
class Sparsity:
    """How a network is sparse while it is trained.

    Attributes:
        method: a key of METHODS. n, m: N of M numbers stay, one of PATTERNS; no matter if dense.
        regulariser: SR-STE's lambda; None: the method's.
    """

    method: str = "dense"
    n: int = 2
    m: int = 8
    regulariser: float | None = None

    def __post_init__(self) -> None:
        check(self.method in METHODS, "method", self.method, f"must be one of {', '.join(METHODS)}")
        check(self.pattern in PATTERNS, "N:M", f"{self.n}:{self.m}",
              f"must be one of {', '.join(f'{n}:{m}' for n, m in PATTERNS)}")
        if self.regulariser is not None:
            check(self.regulariser >= 0, "regulariser", self.regulariser, "must not be negative")
            check(self.regulariser == 0 or METHODS[self.method].forward, "regulariser", self.regulariser,
                  f"method {self.method} uses all weights in the forward pass")

    @property
    def passes(self) -> Method:
        return METHODS[self.method]

    @property
    def pattern(self) -> tuple[int, int]:
        return self.n, self.m

    @property
    def ratio(self) -> str:
        """N:M, as the command line takes it."""
        return f"{self.n}:{self.m}"

    @property
    def decay(self) -> float:
        """SR-STE's lambda."""
        return self.passes.regulariser if self.regulariser is None else self.regulariser


def weighted(network: Network) -> list[Placed]:
    """Layers that have a matrix of weights, in the order of the forward pass."""
    return [placed for placed in network.walk() if isinstance(placed.layer, Conv2d | Linear)]


def taps(placed: Placed) -> tuple[int, int]:
    """Lines and columns of taps of a layer with weights."""
    if isinstance(placed.layer, Conv2d):
        return placed.layer.kernel, placed.layer.kernel
    return placed.before[:2]


def sparse_layers(network: Network, sparsity: Sparsity) -> frozenset[str]:
    """Names of the layers that the method prunes.

    Those with weights, but the first one, the last one (the classifier) and those of which M does not divide the input
    or output channels (sat.md, 2.2). `sparse` of a layer overrides it: False keeps it dense, True prunes the first or
    last one.

    Raises:
        ValueError: `sparse` of a layer is True and M does not divide its channels.
    """
    if sparsity.method == "dense":
        return frozenset()
    chosen, layers = [], weighted(network)
    for placed in layers:
        channels = placed.before[2], placed.after[2]
        divides = not any(count % sparsity.m for count in channels)
        wanted = placed.layer.sparse
        if wanted and not divides:
            raise ValueError(f"layer {placed.name} ({type(placed.layer).__name__}): sparse = True: M = {sparsity.m} "
                             f"must divide its channels, {channels[0]} and {channels[1]}")
        if wanted or (wanted is None and divides and placed not in (layers[0], layers[-1])):
            chosen.append(placed.name)
    return frozenset(chosen)


class Macs(NamedTuple):
    """Multiplications of a step, without those of the channels that fill groups.

    Attributes:
        ff, bp, wu: of forward pass, backward pass and weight gradients.
    """

    ff: int
    bp: int
    wu: int


def macs(network: Network, sparsity: Sparsity, images: int) -> Macs:
    """Multiplications of a step; the first layer with weights has no backward pass, as sat.md, section 5, counts."""
    sparse, passes, total = sparse_layers(network, sparsity), sparsity.passes, [0, 0, 0]
    for number, placed in enumerate(weighted(network)):
        lines, line = taps(placed)
        dense = images * placed.after[0] * placed.after[1] * lines * line * placed.before[2] * placed.after[2]
        kept = dense * sparsity.n // sparsity.m if placed.name in sparse else dense
        total[0] += kept if passes.forward else dense
        total[1] += (kept if passes.backward or passes.gradient else dense) if number else 0
        total[2] += dense
    return Macs(*total)
