"""What layers that work have in common. Tensors: see `golden.train.layers`."""

import math
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from golden.float16 import Half

from .network import Placed
from .vector import CONSTANTS, Passed, VectorMode, vector_pass

__all__ = ["NotFiniteError", "Operation", "Parameter", "PlacedOperation"]


@dataclass
class Parameter:
    """Numbers that are learnt.

    Attributes:
        w: float32, master. half: uint16, rounded w. decays: has weight decay.
        gradient: float32, times the loss scale, of the last backward pass.
        states: the optimiser's, float32 by name; see `golden.train.update.Rule`.
    """

    w: np.ndarray
    half: np.ndarray
    decays: bool
    gradient: np.ndarray | None = None
    states: dict[str, np.ndarray] = field(default_factory=dict)

    @classmethod
    def of(cls, w: np.ndarray, half: Half, decays: bool) -> "Parameter":
        return cls(w, half.narrow(w), decays)


class NotFiniteError(ArithmeticError):
    """A number that is infinite or NaN; the message says of which layer and what.

    Attributes:
        loss: of the batch, which whoever knows it sets.
    """

    loss = math.nan


class Operation(Protocol):
    """A layer, or two that one pass does.

    Attributes:
        name: the layer's. parameters, buffers: by name in the layer, as PyTorch has them.
    """

    name: str
    parameters: dict[str, Parameter]
    buffers: dict[str, np.ndarray]

    def forward(self, x: np.ndarray, training: bool) -> np.ndarray:
        """What comes out; with `training`, keeps what the backward pass needs."""
        ...

    def backward(self, dy: np.ndarray, wanted: bool) -> np.ndarray | None:
        """Sets the parameters' gradients; dX, or None where it is not wanted. Raises NotFiniteError."""
        ...

    def fault(self, what: str, numbers: np.ndarray) -> str | None:
        """What to say if numbers, float32 or 16-bit, are not finite; `what` they are."""
        ...


class PlacedOperation:
    """An operation that stands for a layer of a network."""

    def __init__(self, placed: Placed, half: Half) -> None:
        self.name, self.half, self.placed = placed.name, half, placed
        self.parameters: dict[str, Parameter] = {}
        self.buffers: dict[str, np.ndarray] = {}

    def passed(self, mode: VectorMode, a: np.ndarray, b: np.ndarray | None = None, **constants) -> Passed:
        """A vector pass over tensors; constants c0 .. c4 by name, 0 where not given."""
        channels = a.shape[-1]
        c = np.zeros((CONSTANTS, channels), np.float32)
        for name, value in constants.items():
            c[int(name[1])] = value
        return vector_pass(mode, self.half, a.reshape(-1, channels), None if b is None else b.reshape(-1, channels), c)

    def tensor(self, mode: VectorMode, a: np.ndarray, b: np.ndarray | None = None, **constants) -> np.ndarray:
        """What comes out of `passed`, in the shape of a."""
        out = self.passed(mode, a, b, **constants).out
        assert out is not None
        return out.reshape(a.shape)

    def fault(self, what: str, numbers: np.ndarray) -> str | None:
        if numbers.dtype == np.uint16:
            bad = bool(((numbers & 0x7FFF) >= self.half.infinity_bits).any())
        else:
            bad = not np.isfinite(numbers).all()
        return f"layer {self.name} ({type(self.placed.layer).__name__}): {what} has infinite numbers or NaN" \
            if bad else None

    def finite(self, what: str, numbers: np.ndarray) -> None:
        """Raises NotFiniteError."""
        fault = self.fault(what, numbers)
        if fault is not None:
            raise NotFiniteError(fault)
