"""A convolution with batch norm and ReLU: what it has in memory, and its part of a step."""

import numpy as np

from golden.train.params import TrainParams

from .convolution import Convolution
from .emit import Emitter
from .masters import to_blocks
from .memory import Memory
from .normalisation import BatchNorm
from .products import Compact, Products
from .updates import update
from .weights import compact

__all__ = ["ConvBlock"]


class ConvBlock:
    """Attributes:
        at: first word in memory by name: w, v (masters' layout), gamma, beta, y (before batch norm), dy, dw, dgamma,
            dbeta.
        forward_weights, back_weights: compact ones. pixels, words: of y, words of a pixel.

    Args:
        emitter: gets the instructions. ff, bp: N:M of the forward and of the backward pass; 16, 16: dense.
        weights: float32 [taps, inputs, outputs]. gamma, beta: float32 [outputs].
        first: row of the channel file, from which on ROWS * words are the block's.
    """

    def __init__(self, params: TrainParams, memory: Memory, emitter: Emitter, conv: Convolution, images: int, *,
                 ff: tuple[int, int], bp: tuple[int, int], weights: np.ndarray, gamma: np.ndarray, beta: np.ndarray,
                 first: int = 0, epsilon: float = 1e-5) -> None:
        self.params, self.emitter, self.conv, self.images = params, emitter, conv, images
        self.pixels, self.words = images * conv.out_height * conv.out_width, conv.outputs // params.word

        def compacted(dense: np.ndarray, n: int, m: int) -> Compact:
            values, index = compact(params.half.narrow(dense), n, m, params)
            return Compact(memory.put(values), memory.put(index), n, m)

        self.forward_weights = compacted(weights, *ff)
        self.back_weights = compacted(weights.transpose(0, 2, 1), *bp)
        self.at = {"w": memory.put(to_blocks(weights, params)), "v": memory.put(np.zeros_like(weights)),
                   "gamma": memory.put(gamma), "beta": memory.put(beta)}
        tensor = self.pixels * self.words
        for name, words in (("y", tensor), ("dy", tensor), ("dw", 2 * weights.size // params.word),
                            ("dgamma", 2 * self.words), ("dbeta", 2 * self.words)):
            self.at[name] = memory.room(words)
        self.products = Products(params, emitter)
        self.norm = BatchNorm(params, emitter, words=self.words, first=first, epsilon=epsilon)

    def forward(self, x: int, z: int) -> None:
        """Z of X, words in memory; what the backward pass needs stays in the channel file."""
        self.norm.load(self.at["gamma"], self.at["beta"])
        self.products.forward(self.conv, self.images, x, self.forward_weights, self.at["y"])
        self.norm.forward(self.at["y"], z, self.pixels, relu=True)

    def backward(self, dz: int, x: int, dx: int | None) -> None:
        """Gradients of weights, gamma, beta and, if asked for, of X."""
        at = self.at
        self.norm.backward(dz, at["y"], at["dy"], self.pixels, relu=True, gamma=at["dgamma"], beta=at["dbeta"])
        if dx is not None:
            self.products.input_gradient(self.conv, self.images, at["dy"], self.back_weights, dx)
        self.products.weight_gradient(self.conv, self.images, x, at["dy"], at["dw"])

    def update(self) -> None:
        """The convolution's weights; gamma and beta are to come."""
        update(self.params, self.emitter, self.conv, self.at["dw"], self.at["w"], self.at["v"],
               forward=self.forward_weights, back=self.back_weights)
