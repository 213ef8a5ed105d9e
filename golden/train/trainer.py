"""Training, a step at a time: order of the images, learning rates, loss scale. Everything follows from the seed."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from golden.float16 import HALVES
from golden.params import check

from .model import Model
from .network import Network
from .operation import NotFiniteError
from .sparsity import Sparsity
from .update import Adam, Rule, Sgd

__all__ = ["OPTIMISERS", "SCHEDULES", "AdamOptimiser", "AnyOptimiser", "DivergedError", "Optimiser", "Trainer"]

SCHEDULES = ("constant", "cosine")


class DivergedError(ArithmeticError):
    """Loss or a gradient is infinite or NaN; the message names the step, the layer and what."""


@dataclass(frozen=True, kw_only=True)
class AnyOptimiser(ABC):
    """How a network is trained, whatever a step is. Batches are of different images until all were taken; a last part
    that fills none is left out.

    Attributes:
        steps: of the whole training. batch: images of a step.
        rate: largest learning rate. schedule: constant, or cosine, which falls to 0 at the end. warmup: steps in which
            the rate rises linearly to `rate`.
        decay: L2, of matrices, not of norms and biases.
        loss_scale: what the loss is multiplied by before the backward pass. dynamic_loss_scale: where a gradient is not
            finite, halve it, down to 1, and leave the step out; else that is an error.
        seed: of the first weights and the order of images.
    """

    RULE: ClassVar[type[Rule]]
    """A step."""

    steps: int
    batch: int = 64
    rate: float = 0.1
    schedule: str = "cosine"
    warmup: int = 0
    decay: float = 5e-4
    loss_scale: float = 1024.0
    dynamic_loss_scale: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "batch"):
            value = getattr(self, name)
            check(type(value) is int and value > 0, name, value, "must be a positive integer")
        for name in ("warmup", "seed"):
            value = getattr(self, name)
            check(type(value) is int and value >= 0, name, value, "must be an integer that is not negative")
        check(self.warmup <= self.steps, "warmup", self.warmup, f"must be at most steps, {self.steps}")
        check(self.schedule in SCHEDULES, "schedule", self.schedule, f"must be one of {', '.join(SCHEDULES)}")
        check(math.isfinite(self.rate) and self.rate > 0, "rate", self.rate, "must be positive")
        check(math.isfinite(self.decay) and self.decay >= 0, "decay", self.decay, "must not be negative")
        check(math.isfinite(self.loss_scale) and self.loss_scale >= 1, "loss_scale", self.loss_scale,
              "must be 1 or more")

    def rate_of(self, step: int) -> float:
        """Learning rate of a step, from 0 on; float64, which the WUVE's register rounds."""
        if step < self.warmup:
            return self.rate * (step + 1) / self.warmup
        if self.schedule == "constant":
            return self.rate
        return self.rate * (1 + math.cos(math.pi * (step - self.warmup) / max(self.steps - self.warmup, 1))) / 2

    @abstractmethod
    def rule(self, step: int, updates: int, *, unscale: float, regulariser: float) -> Rule:
        """Of a step, from 0 on, before which so many were not left out; see `golden.train.update`."""


def _kept(name: str, share: float) -> None:
    """What of a state is kept from step to step, in binary32."""
    check(share >= 0 and float(np.float32(share)) < 1, name, share, "must be 0 or more and below 1")


@dataclass(frozen=True, kw_only=True)
class Optimiser(AnyOptimiser):
    """Stochastic gradient descent with momentum.

    Attributes:
        momentum: of velocities that is kept.
    """

    RULE = Sgd

    momentum: float = 0.9

    def __post_init__(self) -> None:
        super().__post_init__()
        _kept("momentum", self.momentum)

    def rule(self, step: int, updates: int, *, unscale: float, regulariser: float) -> Sgd:
        return Sgd(rate=self.rate_of(step), momentum=self.momentum, decay=self.decay, unscale=unscale,
                   regulariser=regulariser)


@dataclass(frozen=True, kw_only=True)
class AdamOptimiser(AnyOptimiser):
    """Adam.

    Attributes:
        beta1, beta2: of the first and the second moment that is kept. epsilon: least deviation, which
            `golden.train.update.Adam` takes below the root.
    """

    RULE = Adam

    rate: float = 1e-3
    decay: float = 0.0
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        super().__post_init__()
        _kept("beta1", self.beta1)
        _kept("beta2", self.beta2)
        check(1e-18 <= self.epsilon <= 1, "epsilon", self.epsilon, "must be 1e-18..1: its square is a binary32 number")

    def rule(self, step: int, updates: int, *, unscale: float, regulariser: float) -> Adam:
        return Adam(rate=self.rate_of(step), beta1=self.beta1, beta2=self.beta2, epsilon=self.epsilon,
                    decay=self.decay, unscale=unscale, regulariser=regulariser, step=updates + 1)


OPTIMISERS: dict[str, type[AnyOptimiser]] = {made.RULE.KIND: made for made in (Optimiser, AdamOptimiser)}
"""By key of `golden.train.update.RULES`."""


class Trainer:
    """A network that learns.

    Attributes:
        model: what is trained. optimiser: how.
        step_number: steps that are done. loss_scale: of the next step. skipped: steps that were left out.
    """

    def __init__(self, network: Network, number_format: str, sparsity: Sparsity, optimiser: AnyOptimiser,
                 part_images: Mapping[str, int] | None = None) -> None:
        """number_format: a key of `golden.float16.HALVES`. part_images: the model's."""
        self.optimiser, self.number_format = optimiser, number_format
        self.model = Model(network, HALVES[number_format], sparsity, part_images, optimiser.RULE)
        self.model.initialise(np.random.default_rng(optimiser.seed))
        self.step_number, self.skipped = 0, 0
        self.loss_scale = optimiser.loss_scale

    def batch(self, count: int) -> np.ndarray:
        """Numbers of the next step's images, of `count` in all.

        Raises:
            ValueError: there are fewer than a batch has.
        """
        size = self.optimiser.batch
        check(size <= count, "batch", size, f"must be at most the number of images, {count}")
        epoch, place = divmod(self.step_number, count // size)
        order = np.random.default_rng([self.optimiser.seed, epoch]).permutation(count)
        return order[place * size : (place + 1) * size]

    @property
    def settings(self) -> Rule:
        """The next step's update."""
        return self.optimiser.rule(self.step_number, self.step_number - self.skipped, unscale=1 / self.loss_scale,
                                   regulariser=self.model.sparsity.decay)

    def step(self, images: np.ndarray, labels: np.ndarray) -> float:
        """A step on a batch, images [batch, lines, pixels, channels] and labels [batch]; returns its loss.

        Raises:
            DivergedError: the loss, or a gradient that no loss scale makes finite, is not finite.
        """
        number, optimiser = self.step_number, self.optimiser
        fault = None
        try:
            loss = self.model.gradients(images, labels, self.loss_scale)
        except NotFiniteError as error:
            loss, fault = error.loss, error
        if not math.isfinite(loss):
            raise DivergedError(f"step {number}: the loss is {loss}; {self.model.faults[0]}")
        if fault is not None and (not optimiser.dynamic_loss_scale or self.loss_scale <= 1):
            raise DivergedError(f"step {number}: {fault}; loss scale {self.loss_scale:g}")
        if fault is None:
            self.model.update(self.settings)
        else:
            self.loss_scale = max(1.0, self.loss_scale / 2)
            self.skipped += 1
        self.step_number += 1
        return loss

    def accuracy(self, images: np.ndarray, labels: np.ndarray) -> float:
        """Share of images whose class is predicted."""
        return float(np.mean(self.model.predict(images) == labels))
