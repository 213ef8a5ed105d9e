"""What the WUVE computes: stochastic gradient descent with momentum on binary32 master weights.

Order of operations (each one rounded, `golden.floats`), a weight at a time:

    g = dW * unscale
    g = g + (pruned_decay if pruned else decay) * w      SR-STE
    v = momentum * v + g
    w = w + -(rate * v)
    h = narrow(w)

pruned_decay = decay + regulariser, which the host makes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from golden.float16 import Half
from golden.floats import BINARY32
from golden.isa.train import ARGUMENTS

__all__ = ["SETTINGS", "Sgd", "Updated", "updated"]

SETTINGS = ARGUMENTS[:5]
"""Of a run's arguments those that updates take, by name."""


class Updated(NamedTuple):
    """Arrays of one shape.

    Attributes:
        w, v: float32. half: the rounded weight's bit patterns, uint16.
    """

    w: np.ndarray
    v: np.ndarray
    half: np.ndarray


def updated(half: Half, settings: Mapping[str, np.ndarray], *, w, v, gradient, pruned=None) -> Updated:
    """One step for arrays of float32 of one shape.

    Args:
        settings: the numbers of `Sgd.registers`, float32. w, v: master weights and velocities. gradient: scaled dW.
        pruned: True where the forward pass dropped the weight (the mask of w before this step); None: nowhere.
    """
    add, mul = BINARY32.add, BINARY32.mul
    pruned = np.zeros(np.shape(w), bool) if pruned is None else np.asarray(pruned, bool)
    g = mul(gradient, settings["unscale"])
    g = add(g, mul(np.where(pruned, settings["pruned_decay"], settings["decay"]), w))
    v = add(mul(settings["momentum"], v), g)
    w = add(w, -mul(settings["rate"], v))
    return Updated(w, v, half.narrow(w))


@dataclass(frozen=True, kw_only=True)
class Sgd:
    """What the WUVE's registers are made of; each number is rounded to binary32 first.

    Attributes:
        rate: learning rate. momentum: of the velocity v that is kept. decay: of all weights (L2).
        unscale: what gradients are multiplied by: 1 / (loss scale * whatever they are averaged over).
        regulariser: SR-STE's lambda, a further decay of those weights that the forward pass does not use (its authors:
            2e-4).
    """

    rate: float
    momentum: float = 0.0
    decay: float = 0.0
    unscale: float = 1.0
    regulariser: float = 0.0

    @property
    def pruned_decay(self) -> np.float32:
        """Decay of pruned weights."""
        return np.float32(BINARY32.add(self.decay, self.regulariser))

    def registers(self) -> dict[str, int]:
        """Bit pattern by name."""
        return {name: int(BINARY32.to_bits(getattr(self, name))) for name in SETTINGS}

    def update(self, half: Half, *, w, v, gradient, pruned=None) -> Updated:
        """`updated` with these settings."""
        settings = {name: BINARY32.from_bits(bits) for name, bits in self.registers().items()}
        return updated(half, settings, w=w, v=v, gradient=gradient, pruned=pruned)
