"""What the WUVE computes on binary32 master weights: stochastic gradient descent with momentum, or Adam.

Order of operations (each one rounded, `golden.floats`), a weight at a time. Both begin with

    g = dW * unscale
    g = g + (pruned_decay if pruned else decay) * w      SR-STE

and end with h = narrow(w). `Sgd`:

    v = momentum * v + g
    w = w + -(rate * v)

`Adam`, rsqrt of `golden.functions`:

    m = momentum * m + g
    v = square_momentum * v + g * g
    w = w + -((rate * m) * rsqrt(v + epsilon))

pruned_decay = decay + regulariser, which the host makes, as well as Adam's rate and epsilon of each step.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from golden.float16 import Half
from golden.floats import BINARY32
from golden.functions import rsqrt
from golden.isa.train import ARGUMENTS

__all__ = ["RULES", "Adam", "Rule", "Sgd", "Updated"]

add, mul = BINARY32.add, BINARY32.mul


class Updated(NamedTuple):
    """Arrays of one shape.

    Attributes:
        w: float32. states: float32 by name, as `Rule.STATES` has them. half: rounded weights' bit patterns, uint16.
    """

    w: np.ndarray
    states: dict[str, np.ndarray]
    half: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Rule(ABC):
    """A step of an optimiser; each number is rounded to binary32 first.

    Attributes:
        rate: learning rate. decay: of all weights (L2).
        unscale: what gradients are multiplied by: 1 / (loss scale * whatever they are averaged over).
        regulariser: SR-STE's lambda, a further decay of those weights that the forward pass does not use (its authors:
            2e-4).
    """

    KIND: ClassVar[str]
    """Key of RULES and of ARGUMENTS."""
    STATES: ClassVar[Mapping[str, str]]
    """What there is of each weight besides itself, in memory's order: name in the arithmetic -> name for people."""

    rate: float
    decay: float = 0.0
    unscale: float = 1.0
    regulariser: float = 0.0

    @classmethod
    def settings(cls) -> tuple[str, ...]:
        """Of a run's arguments those that updates take."""
        return tuple(name for name in ARGUMENTS[cls.KIND] if name != "share")

    @property
    def pruned_decay(self) -> np.float32:
        """Decay of pruned weights."""
        return np.float32(add(self.decay, self.regulariser))

    def registers(self) -> dict[str, int]:
        """Bit pattern by name of `settings`."""
        return {name: int(BINARY32.to_bits(value)) for name, value in self.numbers().items()}

    def arguments(self, share: float = 0.0) -> tuple[int, ...]:
        """Bit patterns of a run's ARGUMENTS; share: loss scale / images."""
        registers = self.registers() | {"share": int(BINARY32.to_bits(share))}
        return tuple(registers[name] for name in ARGUMENTS[self.KIND])

    def numbers(self) -> dict[str, float]:
        """By name of `settings`, not yet rounded."""
        return {name: getattr(self, name) for name in self.settings()}

    def update(self, half: Half, *, w, gradient, pruned=None, **states) -> Updated:
        """One step for arrays of float32 of one shape.

        Args:
            w, states: master weights and, by name, what STATES says. gradient: scaled dW.
            pruned: True where the forward pass dropped the weight (the mask of w before this step); None: nowhere.
        """
        settings = {name: BINARY32.from_bits(bits) for name, bits in self.registers().items()}
        return self.updated(half, settings, w=w, gradient=gradient, pruned=pruned, **states)

    @classmethod
    def updated(cls, half: Half, settings: Mapping[str, np.ndarray], *, w, gradient, pruned=None, **states) -> Updated:
        """As `update`, with the numbers of registers, float32."""
        pruned = np.zeros(np.shape(w), bool) if pruned is None else np.asarray(pruned, bool)
        g = mul(gradient, settings["unscale"])
        g = add(g, mul(np.where(pruned, settings["pruned_decay"], settings["decay"]), w))
        move, made = cls._step(settings, g, **states)
        w = add(w, -move)
        return Updated(w, made, half.narrow(w))

    @staticmethod
    @abstractmethod
    def _step(settings: Mapping[str, np.ndarray], g: np.ndarray, **states: np.ndarray
              ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """(what is taken from w, states after the step)."""


@dataclass(frozen=True, kw_only=True)
class Sgd(Rule):
    """Stochastic gradient descent with momentum.

    Attributes:
        momentum: of the velocity v that is kept.
    """

    KIND: ClassVar = "sgd"
    STATES: ClassVar = {"v": "velocity"}

    momentum: float = 0.0

    @staticmethod
    def _step(settings, g, **states):
        v = add(mul(settings["momentum"], states["v"]), g)
        return mul(settings["rate"], v), {"v": v}


@dataclass(frozen=True, kw_only=True)
class Adam(Rule):
    """Adam (Kingma and Ba, ICLR'15). Its moments are means, (1 - beta) times the sums m and v; this and their bias are
    taken into the numbers `rate` and `epsilon` of the registers, in float64, from the rounded betas. epsilon^2 is added
    below the root in place of epsilon behind it: a step is up to sqrt(2) times the published one where the second
    moment is about epsilon^2, and the same where it is far from it.

    Attributes:
        beta1, beta2: of the moments that is kept. epsilon: least deviation. step: of updates, from 1 on.
    """

    KIND: ClassVar = "adam"
    STATES: ClassVar = {"m": "first_moment", "v": "second_moment"}

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    step: int = 1

    def numbers(self) -> dict[str, float]:
        kept, squares_kept = (float(np.float32(beta)) for beta in (self.beta1, self.beta2))
        summed, squares = ((1 - beta**self.step) / (1 - beta) for beta in (kept, squares_kept))
        return {
            "rate": self.rate * math.sqrt(squares) / summed, "momentum": kept, "unscale": self.unscale,
            "square_momentum": squares_kept, "epsilon": self.epsilon**2 * squares,
            "decay": self.decay, "pruned_decay": float(self.pruned_decay),
        }

    @staticmethod
    def _step(settings, g, **states):
        m = add(mul(settings["momentum"], states["m"]), g)
        v = add(mul(settings["square_momentum"], states["v"]), mul(g, g))
        return mul(mul(settings["rate"], m), rsqrt(add(v, settings["epsilon"]))), {"m": m, "v": v}


RULES: dict[str, type[Rule]] = {rule.KIND: rule for rule in (Sgd, Adam)}
