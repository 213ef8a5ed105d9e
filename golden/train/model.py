"""A network with its numbers: a step of training and inference, in the engine's arithmetic."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from golden.float16 import Half
from golden.params import check

from .layers import (
    Chain,
    GlobalMean,
    Matrix,
    MaxPooling,
    MeanPooling,
    Norm,
    Rectifier,
    Sum,
)
from .loss import softmax_cross_entropy
from .network import (
    AvgPool,
    BatchNorm,
    Conv2d,
    GlobalAvgPool,
    Linear,
    MaxPool,
    Network,
    Placed,
    ReLU,
    Residual,
    padded_channels,
)
from .operation import NotFiniteError, Operation, Parameter
from .sparsity import Sparsity, sparse_layers, weighted
from .update import Rule, Sgd

__all__ = ["Model"]

PLAIN = {ReLU: Rectifier, MaxPool: MaxPooling, AvgPool: MeanPooling, GlobalAvgPool: GlobalMean}


class Model:
    """A network, its weights, their optimiser's states and running statistics.

    Attributes:
        network, half, sparsity, rule: as given. part_images: of layers whose gradient of weights is a sum of parts, by
            name: see `convolution.weight_gradient`; on the engine that is what buffers hold
            (`compiler.train.products.part_images`).
        sparse: names of the layers that are pruned. chain: the layers that work.
        faults: which outputs were not finite in the last forward pass of training, in order.
    """

    def __init__(self, network: Network, half: Half, sparsity: Sparsity,
                 part_images: Mapping[str, int] | None = None, rule: type[Rule] = Sgd) -> None:
        """All numbers are zero; see `initialise` and `load`. Raises ValueError as `sparse_layers`, and if a layer that
        has parts is none with a matrix of weights, or its parts have no images."""
        self.network, self.half, self.sparsity, self.rule = network, half, sparsity, rule
        self.part_images = dict(part_images or {})
        names = [placed.name for placed in weighted(network)]
        for name, images in self.part_images.items():
            check(name in names and images > 0, "part_images", {name: images},
                  f"must be positive, of one of the layers {', '.join(names)}")
        self.sparse = sparse_layers(network, sparsity)
        self.faults: list[str] = []
        self.chain = self._made(network.placed)
        self._learning = list(_learning(self.chain))
        for parameter in self.parameters().values():
            parameter.states = {name: np.zeros_like(parameter.w) for name in rule.STATES}

    def _made(self, chain: tuple[Placed, ...]) -> Chain:
        operations: list[Operation] = []
        for number, placed in enumerate(chain):
            layer = placed.layer
            relu = number + 1 < len(chain) and isinstance(chain[number + 1].layer, ReLU)
            if isinstance(layer, Conv2d | Linear):
                sparsity = self.sparsity if placed.name in self.sparse else None
                operations.append(Matrix(placed, self.half, sparsity, relu and layer.bias,
                                         self.part_images.get(placed.name)))
            elif isinstance(layer, BatchNorm):
                operations.append(Norm(placed, self.half, relu))
            elif isinstance(layer, Residual):
                operations.append(Sum(placed, self.half, self._made(placed.body), self._made(placed.skip)))
            elif not (isinstance(layer, ReLU) and operations and getattr(operations[-1], "relu", False)):
                operations.append(PLAIN[type(layer)](placed, self.half))
        return Chain(operations, self.faults)

    def initialise(self, rng: np.random.Generator) -> None:
        """Normal weights of variance 2 / fan-in, 1 / fan-in of the last layer, drawn in the order of the layers and in
        PyTorch's order of a matrix; norms are 1, biases 0."""
        matrices = [operation for operation in self._learning if isinstance(operation, Matrix)]
        for operation in matrices:
            placed = operation.placed
            inputs, outputs = placed.before[2], placed.after[2]
            drawn = rng.standard_normal((outputs, inputs, *operation.taps), np.float32)
            gain = 1 if operation is matrices[-1] else 2
            scale = np.float32(np.sqrt(gain / (inputs * operation.taps[0] * operation.taps[1])))
            self.load({f"{operation.name}.weight": drawn * scale}, some=True)

    def parameters(self) -> dict[str, Parameter]:
        """By name, as PyTorch has it: `2.body.0.weight`."""
        return {f"{operation.name}.{name}": parameter for operation in self._learning
                for name, parameter in operation.parameters.items()}

    def state(self) -> dict[str, np.ndarray]:
        """float32 by name: weights in PyTorch's shapes without the channels that fill groups, the optimiser's states
        (their names behind the weight's: `.velocity`), running statistics."""
        found = {}
        for operation in self._learning:
            for name, parameter in operation.parameters.items():
                found[f"{operation.name}.{name}"] = _outside(operation, parameter.w)
                for state, called in self.rule.STATES.items():
                    found[f"{operation.name}.{name}.{called}"] = _outside(operation, parameter.states[state])
            for name, numbers in operation.buffers.items():
                found[f"{operation.name}.{name}"] = _outside(operation, numbers)
        return found

    def load(self, state: Mapping[str, np.ndarray], *, some: bool = False) -> None:
        """Takes what `state` gives, or with `some` a part of it.

        Raises:
            ValueError: a tensor is missing, unknown, or has another shape or type.
        """
        known = self.state()
        for name in [*known, *state]:
            if name not in state and some:
                continue
            found = None if name not in state else (state[name].shape, state[name].dtype.name)
            expected = None if name not in known else (known[name].shape, "float32")
            if found != expected:
                raise ValueError(f"tensor {name}: {found or 'missing'}, expected {expected or 'none of this name'}")
        for operation in self._learning:
            for name, parameter in operation.parameters.items():
                full = f"{operation.name}.{name}"
                if full in state:
                    parameter.w = _inside(operation, state[full])
                    parameter.half = self.half.narrow(parameter.w)
                for own, called in self.rule.STATES.items():
                    if f"{full}.{called}" in state:
                        parameter.states[own] = _inside(operation, state[f"{full}.{called}"])
            for name in operation.buffers:
                if f"{operation.name}.{name}" in state:
                    operation.buffers[name] = _inside(operation, state[f"{operation.name}.{name}"])

    def images(self, images: np.ndarray) -> np.ndarray:
        """Tensor, uint16 [images, lines, pixels, filled channels], of numbers [images, lines, pixels, channels]."""
        if images.shape[1:] != self.network.shape:
            raise ValueError(f"images {images.shape[1:]}: the network's are {self.network.shape}")
        channels = images.shape[-1]
        bits = self.half.narrow(images.astype(np.float32))
        return np.pad(bits, (*[(0, 0)] * 3, (0, padded_channels(channels) - channels)))

    def logits(self, images: np.ndarray, training: bool = False) -> np.ndarray:
        """uint16 [images, filled classes] of `images`; without `training`, batch norm uses its running statistics."""
        return self.chain.forward(self.images(images), training)[:, 0, 0]

    def predict(self, images: np.ndarray, at_once: int = 256) -> np.ndarray:
        """Class of each image: of equal logits the first."""
        return np.concatenate([
            self.half.widen(self.logits(images[first : first + at_once])[:, : self.network.classes]).argmax(axis=1)
            for first in range(0, len(images), at_once)
        ])

    def gradients(self, images: np.ndarray, labels: np.ndarray, scale: float) -> float:
        """Loss of a batch; leaves gradients times `scale` in the parameters, and changes the running statistics.

        Raises:
            NotFiniteError: a gradient is not finite. If the loss is not, it is returned and there are no gradients.
        """
        self.faults.clear()
        logits = self.logits(images, training=True)
        loss = softmax_cross_entropy(self.half, logits, labels, self.network.classes, scale)
        if np.isfinite(loss.value):
            try:
                self.chain.backward(loss.gradient[:, None, None], False)
            except NotFiniteError as error:
                error.loss = loss.value
                raise
        return loss.value

    def update(self, rule: Rule) -> None:
        """Takes a step along the gradients, of the model's kind of rule; norms and biases have no decay."""
        undecayed = replace(rule, decay=0.0, regulariser=0.0)
        for operation in self._learning:
            pruned = operation.pruned() if isinstance(operation, Matrix) and rule.regulariser else None
            for parameter in operation.parameters.values():
                decays = parameter.decays
                done = (rule if decays else undecayed).update(
                    self.half, w=parameter.w, gradient=parameter.gradient, pruned=pruned if decays else None,
                    **parameter.states)
                parameter.w, parameter.states, parameter.half = done


def _learning(chain: Chain) -> Iterator[Operation]:
    for operation in chain.operations:
        if isinstance(operation, Sum):
            yield from _learning(operation.body)
            yield from _learning(operation.skip)
        elif operation.parameters:
            yield operation


def _outside(operation, numbers: np.ndarray) -> np.ndarray:
    """In PyTorch's shape, without the channels that fill groups."""
    placed = operation.placed
    if numbers.ndim == 1:
        return numbers[: placed.after[2]].copy()
    real = numbers[:, :, : placed.before[2], : placed.after[2]]
    return np.ascontiguousarray(real.transpose(3, 2, 0, 1))


def _inside(operation, numbers: np.ndarray) -> np.ndarray:
    """The opposite of `_outside`."""
    before, after = (padded_channels(shape[2]) for shape in (operation.placed.before, operation.placed.after))
    if numbers.ndim == 1:
        return np.pad(numbers, (0, after - len(numbers)))
    outputs, inputs = numbers.shape[:2]
    return np.pad(numbers.transpose(2, 3, 1, 0), ((0, 0), (0, 0), (0, before - inputs), (0, after - outputs)))
