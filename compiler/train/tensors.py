"""What stages of a network share: memory, emitters, tensors."""

from dataclasses import dataclass

import numpy as np

from golden.train.network import Shape
from golden.train.params import TrainParams
from golden.train.update import RULES

from .emit import Emitter
from .memory import Memory
from .products import Products
from .vectors import Vectors

__all__ = ["Builder", "Held", "Tensor", "UnsupportedNetworkError", "filled"]


class UnsupportedNetworkError(ValueError):
    """What the engine does not do; the message says what, where, and what to do (exit code 3)."""


@dataclass(frozen=True)
class Tensor:
    """16-bit numbers in memory, NHWC, channels filled up with zeros.

    Attributes:
        at: first word. images, lines, line: of pixels. words: of a pixel.
    """

    at: int
    images: int
    lines: int
    line: int
    words: int

    @property
    def of_image(self) -> int:
        """Pixels of an image."""
        return self.lines * self.line

    @property
    def pixels(self) -> int:
        return self.images * self.of_image


@dataclass(frozen=True)
class Held:
    """What is in memory from step to step.

    Attributes:
        name: of a parameter, and what of it. at: first word. numbers: what golden has.
    """

    name: str
    at: int
    numbers: np.ndarray


def filled(channels: int, params: TrainParams) -> int:
    """Channels as a tile's columns have them."""
    return -(-channels // params.tile_columns) * params.tile_columns


class Builder:
    """A program that is being made.

    Args:
        words: most words of channels that a pixel has. masked: weights that the forward pass drops decay otherwise.

    Attributes:
        states: the optimiser's, as people call them.
    """

    def __init__(self, params: TrainParams, images: int, words: int, masked: bool = False) -> None:
        self.params, self.images, self.masked = params, images, masked
        self.states = tuple(RULES[params.optimiser_name].STATES.values())
        self.memory, self.emitter = Memory(params), Emitter()
        self.vectors = Vectors(params, self.emitter, self.memory, words)
        self.products = Products(params, self.emitter)

    def tensor(self, shape: Shape, words: int | None = None) -> Tensor:
        """Room for images of this shape; words of a pixel, if not those of filled channels."""
        words = filled(shape[2], self.params) // self.params.word if words is None else words
        return Tensor(self.memory.room(self.images * shape[0] * shape[1] * words), self.images, *shape[:2], words)

    def like(self, tensor: Tensor) -> Tensor:
        return Tensor(self.memory.room(tensor.pixels * tensor.words), *(
            getattr(tensor, name) for name in ("images", "lines", "line", "words")))

    def channels(self, numbers: np.ndarray, words: int) -> np.ndarray:
        """Numbers of channels, filled up to so many words."""
        return np.pad(numbers, (0, words * self.params.word - len(numbers)))
