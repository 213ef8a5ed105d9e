"""Layers that work: forward pass, backward pass and gradients of weights, of tensors as the engine has them.

A tensor is uint16 [images, lines, pixels, channels], bit patterns of 16-bit numbers, channels filled up to a multiple
of 16 with zeros. docs/units/train.md, "Layers", has each layer's operations and their order.
"""

from collections.abc import Sequence

import numpy as np

from golden.float16 import Half

from . import convolution, normalisation, pooling
from .network import AvgPool, BatchNorm, Placed, padded_channels
from .operation import NotFiniteError, Operation, Parameter, PlacedOperation
from .sparsity import DENSE, Sparsity, taps
from .vector import VectorMode

__all__ = ["Chain", "GlobalMean", "Matrix", "MaxPooling", "MeanPooling", "Norm", "Rectifier", "Sum"]


class Matrix(PlacedOperation):
    """A convolution or linear layer: a product, and a vector pass where it has a bias or a ReLU follows a bias.

    Attributes:
        sparsity: None: dense. part_images: as `convolution.weight_gradient` has it.
    """

    def __init__(self, placed: Placed, half: Half, sparsity: Sparsity | None, relu: bool,
                 part_images: int | None = None) -> None:
        super().__init__(placed, half)
        layer, self.part_images = placed.layer, part_images
        self.sparsity, self.relu = sparsity, relu
        self.taps = taps(placed)
        self.geometry = convolution.Geometry(getattr(layer, "stride", 1), getattr(layer, "padding", 0))
        before, after = (padded_channels(shape[2]) for shape in (placed.before, placed.after))
        self.parameters["weight"] = Parameter.of(np.zeros((*self.taps, before, after), np.float32), half, True)
        if getattr(layer, "bias", False):
            self.parameters["bias"] = Parameter.of(np.zeros(after, np.float32), half, False)

    def pattern(self, part: str) -> tuple[int, int]:
        return self.sparsity.pattern if self.sparsity and getattr(self.sparsity.passes, part) else DENSE

    def forward(self, x: np.ndarray, training: bool) -> np.ndarray:
        columns = convolution.forward_columns(self.parameters["weight"].half, *self.pattern("forward"))
        y = convolution.multiplied(x, columns, self.geometry, self.half)
        self.kept = (x, y) if training else None
        if "bias" not in self.parameters:
            return y
        mode = VectorMode(segment=y[..., 0].size, relu=self.relu, b_none=True)
        return self.tensor(mode, y, c2=1, c4=self.parameters["bias"].w)

    def backward(self, dy: np.ndarray, wanted: bool) -> np.ndarray | None:
        assert self.kept is not None
        x, y = self.kept
        if "bias" in self.parameters:
            dy = self._bias_backward(dy, y)
        weight = self.parameters["weight"]
        weight.gradient = convolution.weight_gradient(x, dy, self.taps, self.geometry, self.half, self.part_images)
        self.finite("gradient of weight", weight.gradient)
        if not wanted:
            return None
        if self.pattern("gradient") != DENSE:
            dy = convolution.pruned_gradient(dy, *self.pattern("gradient"))
        columns = convolution.backward_columns(weight.half, *self.pattern("backward"))
        return convolution.input_gradient(dy, columns, self.geometry, x.shape[1:3], self.half)

    def _bias_backward(self, dy: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Sets the bias's gradient; dY before bias and ReLU."""
        bias, pixels = self.parameters["bias"], y[..., 0].size
        if self.relu:
            mode = VectorMode(segment=pixels, gate=True, sums=True)
            out, s0, _ = self.passed(mode, dy, y, c0=1, c1=bias.w, c2=1)
            assert out is not None
            dy = out.reshape(dy.shape)
        else:
            _, s0, _ = self.passed(VectorMode(segment=pixels, outputs=False, sums=True, b_none=True), dy)
        assert s0 is not None
        bias.gradient = s0[0]
        self.finite("gradient of bias", s0)
        return dy

    def pruned(self) -> np.ndarray | None:
        """Weights that the forward pass does not use; None: it uses all."""
        pattern = self.pattern("forward")
        return None if pattern == DENSE else ~convolution.forward_mask(self.parameters["weight"].half, *pattern)


class Norm(PlacedOperation):
    """Batch norm, and ReLU in the same pass where it follows."""

    def __init__(self, placed: Placed, half: Half, relu: bool) -> None:
        super().__init__(placed, half)
        assert isinstance(placed.layer, BatchNorm)
        self.layer, self.relu = placed.layer, relu
        count, channels = padded_channels(placed.after[2]), placed.after[2]
        ones = (np.arange(count) < channels).astype(np.float32)
        self.parameters = {"weight": Parameter.of(ones, half, False), "bias": Parameter.of(0 * ones, half, False)}
        self.buffers = {"running_mean": 0 * ones, "running_var": ones.copy()}

    def forward(self, x: np.ndarray, training: bool) -> np.ndarray:
        flat = x.reshape(-1, x.shape[-1])
        kept = normalisation.Statistics(self.buffers["running_mean"], self.buffers["running_var"])
        found = normalisation.statistics(self.half, flat) if training else kept
        made = normalisation.scaling(found, self.parameters["weight"].w, self.parameters["bias"].w,
                                     self.layer.epsilon)
        if training:
            self.kept = (flat, found.mean, made)
            mean, variance = normalisation.running(kept, found, self.layer.momentum, len(flat))
            self.buffers = {"running_mean": mean, "running_var": variance}
        return normalisation.normalise(self.half, flat, made, self.relu).reshape(x.shape)

    def backward(self, dy: np.ndarray, wanted: bool) -> np.ndarray | None:
        x, mean, made = self.kept
        dx, gamma, beta = normalisation.backward(self.half, dy.reshape(x.shape), x, mean, made, self.relu)
        self.parameters["weight"].gradient, self.parameters["bias"].gradient = gamma, beta
        self.finite("gradient of weight", gamma)
        self.finite("gradient of bias", beta)
        return dx.reshape(dy.shape) if wanted else None


class Rectifier(PlacedOperation):
    """ReLU in a pass of its own; the gradient is that of outputs, 16-bit numbers, above zero."""

    def forward(self, x: np.ndarray, training: bool) -> np.ndarray:
        mode = VectorMode(segment=x[..., 0].size, relu=True, b_none=True)
        self.y = self.tensor(mode, x, c2=1)
        return self.y

    def backward(self, dy: np.ndarray, wanted: bool) -> np.ndarray | None:
        mode = VectorMode(segment=dy[..., 0].size, gate=True)
        return self.tensor(mode, dy, self.y, c0=1, c2=1) if wanted else None


class MaxPooling(PlacedOperation):
    """MaxPool."""

    def forward(self, x: np.ndarray, training: bool) -> np.ndarray:
        y, self.where = pooling.largest(self.half, x, self.placed.layer.kernel, self.placed.layer.step)
        self.shape = x.shape
        return y

    def backward(self, dy: np.ndarray, wanted: bool) -> np.ndarray | None:
        layer = self.placed.layer
        return pooling.largest_gradient(self.half, dy, self.where, self.shape, layer.kernel, layer.step) \
            if wanted else None


class MeanPooling(PlacedOperation):
    """AvgPool: a convolution with constant, sparse weights, forward and backward."""

    def __init__(self, placed: Placed, half: Half) -> None:
        super().__init__(placed, half)
        layer = placed.layer
        assert isinstance(layer, AvgPool)
        self.geometry = convolution.Geometry(layer.step)
        self.weight = pooling.averaging(half, padded_channels(placed.before[2]), layer.kernel)

    def forward(self, x: np.ndarray, training: bool) -> np.ndarray:
        self.shape = x.shape[1:3]
        columns = convolution.forward_columns(self.weight, *pooling.AVERAGING)
        return convolution.multiplied(x, columns, self.geometry, self.half)

    def backward(self, dy: np.ndarray, wanted: bool) -> np.ndarray | None:
        if not wanted:
            return None
        columns = convolution.backward_columns(self.weight, *pooling.AVERAGING)
        return convolution.input_gradient(dy, columns, self.geometry, self.shape, self.half)


class GlobalMean(PlacedOperation):
    """GlobalAvgPool."""

    def forward(self, x: np.ndarray, training: bool) -> np.ndarray:
        self.shape = x.shape
        return pooling.global_average(self.half, x)

    def backward(self, dy: np.ndarray, wanted: bool) -> np.ndarray | None:
        return pooling.global_average_gradient(self.half, dy, self.shape) if wanted else None


class Sum(PlacedOperation):
    """Residual: body + skip, and the sum of their input gradients, each a pass whose a is the body's."""

    def __init__(self, placed: Placed, half: Half, body: "Chain", skip: "Chain") -> None:
        super().__init__(placed, half)
        self.body, self.skip = body, skip

    def _sum(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return self.tensor(VectorMode(segment=a[..., 0].size), a, b, c2=1, c3=1)

    def forward(self, x: np.ndarray, training: bool) -> np.ndarray:
        return self._sum(self.body.forward(x, training), self.skip.forward(x, training))

    def backward(self, dy: np.ndarray, wanted: bool) -> np.ndarray | None:
        body, skip = self.body.backward(dy, wanted), self.skip.backward(dy, wanted)
        return None if body is None or skip is None else self._sum(body, skip)


class Chain:
    """Operations one after the other. Input gradients are made as far as something before learns.

    Attributes:
        faults: which outputs were not finite in training, in order.
    """

    def __init__(self, operations: Sequence[Operation], faults: list[str]) -> None:
        self.operations, self.faults = operations, faults

    @property
    def learns(self) -> bool:
        return any(operation.parameters or (isinstance(operation, Sum) and (operation.body.learns
                   or operation.skip.learns)) for operation in self.operations)

    def forward(self, x: np.ndarray, training: bool) -> np.ndarray:
        for operation in self.operations:
            x = operation.forward(x, training)
            fault = operation.fault("output", x) if training else None
            if fault is not None:
                self.faults.append(fault)
        return x

    def backward(self, dy: np.ndarray, wanted: bool) -> np.ndarray | None:
        """dX, or None where it is not wanted; raises NotFiniteError."""
        for number in reversed(range(len(self.operations))):
            needed = wanted or Chain(self.operations[:number], []).learns
            dx = self.operations[number].backward(dy, needed)
            if dx is None:
                return None
            fault = self.operations[number].fault("gradient of input", dx)
            if fault is not None:
                raise NotFiniteError(fault)
            dy = dx
        return dy
