"""Layers that do not learn as instructions: ReLU, pooling."""

from collections.abc import Iterator

from golden.train import layers
from golden.train.network import MaxPool
from golden.train.operation import PlacedOperation
from golden.train.pooling import AVERAGING, averaging

from . import pooling
from .convolution import Convolution
from .products import Compact
from .tensors import Builder, Held, Tensor, UnsupportedNetworkError
from .weights import compact

__all__ = ["GlobalMean", "MaxPooling", "MeanPooling", "Rectifier"]


class _Plain:
    """A stage without parameters."""

    def __init__(self, build: Builder, operation: PlacedOperation) -> None:
        self.build, self.operation = build, operation

    def held(self) -> Iterator[Held]:
        return iter(())


class Rectifier(_Plain):
    """ReLU in a pass of its own."""

    def forward(self, x: Tensor) -> Tensor:
        self.y, vectors = self.build.like(x), self.build.vectors
        vectors.passed(x.at, out=self.y.at, pixels=x.pixels, words=x.words, constants={"c2": vectors.one}, relu=1,
                       b_none=1)
        return self.y

    def backward(self, dy: Tensor, wanted: bool) -> Tensor | None:
        if not wanted:
            return None
        dx, vectors = self.build.like(dy), self.build.vectors
        vectors.passed(dy.at, self.y.at, dx.at, pixels=dy.pixels, words=dy.words, gate=1,
                       constants={"c0": vectors.one, "c2": vectors.one})
        return dx


class MeanPooling(_Plain):
    """Average pooling: a convolution with constant weights."""

    operation: layers.MeanPooling

    def forward(self, x: Tensor) -> Tensor:
        self.x, placed, params = x, self.operation.placed, self.build.params
        kernel, channels = self.operation.weight.shape[0], x.words * params.word
        self.conv = Convolution(height=x.lines, width=x.line, inputs=channels, outputs=channels, kernel=kernel,
                                stride=self.operation.geometry.stride)
        dense = averaging(params.half, channels, kernel).reshape(-1, channels, channels)
        values, index = map(self.build.memory.put, compact(dense, *AVERAGING, params))
        self.weights = Compact(values, index, *AVERAGING)
        y = self.build.tensor(placed.after, x.words)
        self.build.products.forward(self.conv, x.images, x.at, self.weights, y.at)
        return y

    def backward(self, dy: Tensor, wanted: bool) -> Tensor | None:
        if not wanted:
            return None
        dx = self.build.like(self.x)  # a channel's weights are the same from it and to it
        self.build.products.input_gradient(self.conv, self.x.images, dy.at, self.weights, dx.at)
        return dx


class MaxPooling(_Plain):
    """Largest numbers of windows."""

    def forward(self, x: Tensor) -> Tensor:
        self.x, layer, build = x, self.operation.placed.layer, self.build
        assert isinstance(layer, MaxPool)
        if layer.kernel > pooling.LARGEST:
            raise UnsupportedNetworkError(f"layer {self.operation.name} (MaxPool): kernel {layer.kernel}: the engine's "
                                          f"windows have at most {pooling.LARGEST} lines; take level golden")
        self.pool = pooling.Pooling(
            vectors=build.vectors, images=x.images, height=x.lines, width=x.line, words=x.words, kernel=layer.kernel,
            step=layer.step)
        y = build.tensor(self.operation.placed.after, x.words)
        self.pool.forward(x.at, y.at)
        return y

    def backward(self, dy: Tensor, wanted: bool) -> Tensor | None:
        if not wanted:
            return None
        dx = self.build.like(self.x)
        self.pool.backward(dy.at, self.x.at, dx.at, self.build.memory)
        return dx


class GlobalMean(_Plain):
    """Mean of a channel over an image: the sums of a pass whose segments are images, as many as rows hold at a time."""

    def forward(self, x: Tensor) -> Tensor:
        self.x, vectors, words = x, self.build.vectors, x.words
        y = self.build.tensor(self.operation.placed.after, words)
        for first, count in self._some(2 * words):
            row = vectors.rows(2 * words * count)
            vectors.passed(x.at + first * x.of_image * words, pixels=count * x.of_image, segment=x.of_image,
                           words=words, sums=row, b_none=1)
            vectors.operate("MUL", row, row, rows=2 * words * count, value=1 / x.of_image)
            for image in range(count):
                vectors.store(y.at + (first + image) * words, row + 2 * words * image, words, half=True)
        return y

    def backward(self, dy: Tensor, wanted: bool) -> Tensor | None:
        if not wanted:
            return None
        x, vectors, words = self.x, self.build.vectors, self.x.words
        dx = self.build.like(x)
        for first, count in self._some(words):
            row = vectors.rows(words * count)
            vectors.load(dy.at + first * words, row, words * count, half=True)
            vectors.operate("ADD", row, row, rows=words * count, value=0)
            vectors.operate("MUL", row, row, rows=words * count, value=1 / x.of_image)
            for image in range(first, first + count):  # whatever X is: nothing of it counts
                at = image * x.of_image * words
                vectors.passed(x.at + at, out=dx.at + at, pixels=x.of_image, words=words, gate=1, b_none=1,
                               constants={"c4": row + words * (image - first)})
        return dx

    def _some(self, rows: int) -> Iterator[tuple[int, int]]:
        """(first image, how many), which need `rows` rows each."""
        vectors, images = self.build.vectors, self.build.images
        vectors.rows(rows)
        at_once = min(images, (vectors.params.channel_rows - vectors.first) // rows)
        for first in range(0, images, at_once):
            yield first, min(at_once, images - first)
