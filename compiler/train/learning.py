"""Layers that learn as instructions: matrices and norms."""

from collections.abc import Iterator

import numpy as np

from golden.params import check
from golden.train import layers
from golden.train.network import Placed
from golden.train.operation import Operation, Parameter
from golden.train.params import TrainParams
from golden.train.sparsity import DENSE, taps

from .convolution import Convolution
from .masters import in_turns, to_blocks
from .normalisation import BatchNorm
from .products import Compact, part_images
from .tensors import Builder, Held, Tensor, filled
from .updates import update, update_channels
from .weights import compact

__all__ = ["Matrix", "Norm", "convolution_of"]


def convolution_of(params: TrainParams, placed: Placed, words: int) -> Convolution:
    """A matrix layer's, whose input has so many words of channels."""
    (lines, line, _), layer = placed.before, placed.layer
    kernel, kernel_x = taps(placed)
    return Convolution(height=lines, width=line, inputs=words * params.word, outputs=filled(placed.after[2], params),
                       kernel=kernel, kernel_x=kernel_x, stride=getattr(layer, "stride", 1),
                       padding=getattr(layer, "padding", 0))


class _ChannelParameters:
    """Parameters of channels that are updated together: masters one behind the other, then the same of each state."""

    def __init__(self, build: Builder, operation: Operation, names: tuple[str, ...], words: int) -> None:
        self.build, self.operation, self.names, self.words = build, operation, names, words
        self.places = [build.memory.put(numbers) for numbers in self._numbers()]
        self.masters = self.places[0]
        self.gradients = build.memory.room(2 * words * len(names))

    def _numbers(self) -> Iterator[np.ndarray]:
        """Of all masters."""
        for each in zip(*(_masters(self.operation.parameters[name]) for name in self.names), strict=True):
            yield np.concatenate([self.build.channels(numbers, self.words) for numbers in each])

    def update(self) -> None:
        update_channels(self.build.vectors, self.words * len(self.names), self.places, self.gradients)

    def held(self) -> Iterator[Held]:
        what = f"{self.operation.name}.{', '.join(self.names)}"
        names = (what, *(f"{what}, {state}" for state in self.build.states))
        for name, at, numbers in zip(names, self.places, self._numbers(), strict=True):
            yield Held(name, at, numbers)


def _masters(parameter: Parameter) -> Iterator[np.ndarray]:
    """As `TrainParams.masters` has them."""
    yield parameter.w
    yield from parameter.states.values()


class Matrix:
    """A convolution or linear layer, with its bias and the ReLU behind it."""

    def __init__(self, build: Builder, operation: layers.Matrix, x: Tensor, wanted: bool) -> None:
        self.build, self.operation = build, operation
        params = build.params
        self.conv = convolution_of(params, operation.placed, x.words)
        self.words, at_once = self.conv.outputs // params.word, part_images(params, self.conv, x.images)
        expected = operation.part_images or x.images
        check(at_once == min(expected, x.images), f"layer {operation.name}: part_images", operation.part_images,
              f"must be {at_once}, as the engine has it: see compiler.train.network.network_parts")
        self.parts = -(-x.images // at_once)
        self.masked = build.masked and operation.pattern("forward") != DENSE
        memory, patterns = build.memory, [operation.pattern(name) for name in ("forward", "backward")]
        self.masters = memory.put(self._masters())
        self.gradient = memory.room(
            self.parts * self.conv.taps * self.conv.inputs * self.conv.outputs * 2 // params.word)
        self.weights = []
        for back in range(1 + wanted):
            values, index = self._compact(back)
            self.weights.append(Compact(memory.put(values), memory.put(index), *patterns[back]))
        biased = "bias" in operation.parameters
        self.bias = _ChannelParameters(build, operation, ("bias",), self.words) if biased else None

    def _filled(self, numbers: np.ndarray) -> np.ndarray:
        """Weights [taps, inputs, outputs]."""
        conv, (inputs, outputs) = self.conv, numbers.shape[2:]
        dense = numbers.reshape(conv.taps, inputs, outputs)
        return np.pad(dense, ((0, 0), (0, conv.inputs - inputs), (0, conv.outputs - outputs)))

    def _masters(self) -> np.ndarray:
        params = self.build.params
        return in_turns([to_blocks(self._filled(numbers), params)
                         for numbers in _masters(self.operation.parameters["weight"])], params)

    def _compact(self, back: int) -> tuple[np.ndarray, np.ndarray]:
        weights = self._filled(self.operation.parameters["weight"].half)
        return compact(weights.transpose(0, 2, 1) if back else weights,
                       *self.operation.pattern("backward" if back else "forward"), self.build.params)

    def forward(self, x: Tensor) -> Tensor:
        self.x, vectors = x, self.build.vectors
        self.y = y = self.build.tensor(self.operation.placed.after, self.words)
        self.build.products.forward(self.conv, x.images, x.at, self.weights[0], y.at)
        if self.bias is None:
            return y
        self.row, z = vectors.rows(2 * self.words), self.build.like(y)
        vectors.load(self.bias.masters, self.row, self.words)
        vectors.passed(y.at, out=z.at, pixels=y.pixels, words=y.words, constants={"c2": vectors.one, "c4": self.row},
                       relu=int(self.operation.relu), b_none=1)
        return z

    def backward(self, dy: Tensor, wanted: bool) -> Tensor | None:
        if self.bias is not None:
            dy = self._bias_backward(dy, self.bias)
        dx, products = None, self.build.products
        if wanted:
            dx = self.build.like(self.x)
            products.input_gradient(self.conv, self.x.images, dy.at, self.weights[1], dx.at,
                                    self.operation.pattern("gradient"))
        products.weight_gradient(self.conv, self.x.images, self.x.at, dy.at, self.gradient)
        update(self.build.params, self.build.emitter, self.conv, self.gradient, self.masters,
               forward=self.weights[0], back=self.weights[1] if wanted else None, parts=self.parts,
               masked=self.masked)
        if self.bias is not None:
            self.bias.update()
        return dx

    def _bias_backward(self, dy: Tensor, bias: _ChannelParameters) -> Tensor:
        """dY before bias and ReLU; the bias's gradient to memory."""
        vectors, pixels, words = self.build.vectors, dy.pixels, dy.words
        row, sums = self.row, self.row + self.words
        vectors.rows(3 * self.words)
        if self.operation.relu:
            out = self.build.like(dy)
            vectors.load(bias.masters, row, self.words)
            vectors.passed(dy.at, self.y.at, out.at, pixels=pixels, words=words, sums=sums, gate=1,
                           constants={"c0": vectors.one, "c1": row, "c2": vectors.one})
            dy = out
        else:
            vectors.passed(dy.at, pixels=pixels, words=words, sums=sums, b_none=1)
        vectors.store(bias.gradients, sums, self.words)
        return dy

    def held(self) -> Iterator[Held]:
        name = f"{self.operation.name}.weight"
        yield Held(", ".join((name, *self.build.states)), self.masters, self._masters())
        for back, weights in enumerate(self.weights):
            values, index = self._compact(back)
            what = f"{name}, compact for {'BP' if back else 'FF'}"
            yield Held(f"{what}, values", weights.values, values)
            if (weights.n, weights.m) != DENSE:
                yield Held(f"{what}, index", weights.index, index)
        if self.bias is not None:
            yield from self.bias.held()


class Norm:
    """Batch norm, and ReLU in the same pass where it follows."""

    def __init__(self, build: Builder, operation: layers.Norm, x: Tensor) -> None:
        self.build, self.operation, self.words = build, operation, x.words
        self.parameters = _ChannelParameters(build, operation, ("weight", "bias"), x.words)
        memory = build.memory
        self.norm = BatchNorm(
            vectors=build.vectors, pixels=x.pixels, words=x.words, relu=operation.relu,
            epsilon=operation.layer.epsilon, momentum=operation.layer.momentum, parameters=self.parameters.masters,
            gradients=self.parameters.gradients, running=memory.put(self._running()), kept=memory.room(8 * x.words))

    def _running(self) -> np.ndarray:
        """Of filled channels the variance falls from 0, as they have none."""
        buffers = self.operation.buffers
        return np.concatenate([self.build.channels(buffers[name], self.words)
                               for name in ("running_mean", "running_var")])

    def forward(self, x: Tensor) -> Tensor:
        self.x, y = x, self.build.like(x)
        self.norm.forward(x.at, y.at)
        return y

    def backward(self, dy: Tensor, wanted: bool) -> Tensor | None:
        dx = self.build.like(self.x) if wanted else None
        self.norm.backward(dy.at, self.x.at, None if dx is None else dx.at)
        self.parameters.update()
        return dx

    def held(self) -> Iterator[Held]:
        yield from self.parameters.held()
        yield Held(f"{self.operation.name}.running_mean, running_var", self.norm.running, self._running())
