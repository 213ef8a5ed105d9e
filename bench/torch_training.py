# pyright: reportMissingImports=false
# torch is an optional extra, absent where the sources are checked
"""Training as `golden.train` defines it, in PyTorch, for networks and data that NumPy is too slow for.

The same algorithm from the same description, weights and order of images: 16-bit weights, activations and gradients,
binary32 sums and gradients of weights, the same masks, batch norm, loss scale and update; tests hold its loss to
golden's. Not the same bits: the order of a sum is the library's. On a GPU products are cuDNN's of binary16, those of
weight gradients `bench.torch_gradients`', which leave as binary32, and what lies between is compiled. Elsewhere all
products are float32's, of rounded numbers.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from golden.train.network import AvgPool, BatchNorm, Conv2d, GlobalAvgPool, Linear, MaxPool, Network, Placed, ReLU
from golden.train.prune import MAGNITUDE
from golden.train.sparsity import Sparsity, sparse_layers, weighted
from golden.train.trainer import Optimiser, Trainer

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Twin", "kept"]

if torch.cuda.is_available():
    import bench.torch_gradients  # noqa: F401  lacuna::weight_gradient

products = torch.ops.aten.convolution_backward
LARGEST_GROUP = 16
JOINED = {"emulate_precision_casts": True, "pattern_matcher": False}
"""How what lies between products is compiled: all that it rounds to binary16 stays rounded."""


def kept(half: torch.Tensor, n: int, m: int, axis: int) -> torch.Tensor:
    """Which numbers stay, bool: the SORE's rule, in groups of M along an axis."""
    groups = half.view(torch.int16).unflatten(axis, (-1, m))
    place = torch.arange(m - 1, -1, -1, dtype=torch.int32, device=half.device)
    place = place.view(m, *[1] * (groups.ndim - axis - 2))
    order = (groups & MAGNITUDE).int() * LARGEST_GROUP + place  # no two of a group are equal
    rest = order
    for _ in range(n - 1):
        rest = rest.masked_fill(rest == rest.amax(axis + 1, keepdim=True), -1)
    return (order >= rest.amax(axis + 1, keepdim=True)).flatten(axis, axis + 1)


def pruned(half: torch.Tensor, pattern: tuple[int, int], axis: int) -> torch.Tensor:
    return half.where(kept(half, *pattern, axis), 0)


def operand(half: torch.Tensor) -> torch.Tensor:
    """As it is multiplied."""
    return half if half.is_cuda else half.float()


def rounded(product: torch.Tensor) -> torch.Tensor:
    """binary16. Never a call that does nothing: PyTorch 2.11 compiles one behind a convolution to gradients of zero."""
    return product if product.is_cuda else product.half()


class Convolution(torch.autograd.Function):
    """Y of `forward`; dX of `backward` and dY, pruned to `pattern` if there is one; binary32 dW for `master`."""

    @staticmethod
    def forward(ctx, x, master, forward, backward, stride, padding, pattern):
        ctx.save_for_backward(x, backward)
        ctx.geometry = ([stride] * 2, [padding] * 2, [1, 1], False, [0, 0], 1)
        ctx.pattern = pattern
        return rounded(functional.conv2d(operand(x), operand(forward), None, stride, padding))

    @staticmethod
    def backward(ctx, dy):
        x, weight = ctx.saved_tensors
        if x.is_cuda:
            dw = torch.ops.lacuna.weight_gradient(dy, x, weight.shape[2:], ctx.geometry[0][0], ctx.geometry[1][0])
        else:
            dw = products(dy.float(), x.float(), weight.float(), None, *ctx.geometry, [False, True, False])[1]
        dx = None
        if ctx.needs_input_grad[0]:
            dy = pruned(dy, ctx.pattern, 1) if ctx.pattern else dy
            dx = products(operand(dy), operand(x), operand(weight), None, *ctx.geometry, [True, False, False])[0]
            dx = rounded(dx)
        return dx, dw, None, None, None, None, None


class Twin:
    """A network that learns.

    Attributes:
        loss_scale, skipped: as the Trainer's, on the device.
    """

    def __init__(self, network: Network, sparsity: Sparsity, optimiser: Optimiser, device: torch.device | str = "cpu",
                 *, nested: bool = False) -> None:
        """nested: the backward pass starts from what the forward pass leaves of a weight; golden takes all of it."""
        self.network, self.sparsity, self.optimiser, self.nested = network, sparsity, optimiser, nested
        self.sparse, self.weighted = sparse_layers(network, sparsity), [placed.name for placed in weighted(network)]
        self.gradient_patterns = {name: sparsity.pattern for name in self.sparse if sparsity.passes.gradient}
        model = Trainer(network, "binary16", sparsity, optimiser).model
        state, parameters = model.state(), model.parameters()
        self.buffers = {name: torch.ones(values.shape, device=device) for name, values in state.items()
                        if name.endswith(("running_mean", "running_var"))}
        self.shapes = {name: state[name].shape for name in sorted(parameters, key=lambda name: state[name].ndim == 1)}
        self.sizes = [math.prod(shape) for shape in self.shapes.values()]
        decays = [np.full(state[name].size, optimiser.decay * parameters[name].decays) for name in self.shapes]
        self.decay = torch.tensor(np.concatenate(decays), dtype=torch.float32, device=device)
        self.w, self.v = torch.zeros_like(self.decay), torch.zeros_like(self.decay)
        self.load(state)
        self.masters = {name: values.requires_grad_() for name, values in self.named(self.w).items()}
        self.loss_scale = torch.tensor(optimiser.loss_scale, device=device)
        self.skipped = torch.zeros((), dtype=torch.int64, device=device)
        join = partial(torch.compile, dynamic=False, options=JOINED, disable=torch.device(device).type != "cuda")
        self.weights, self._loss, self._update = join(self.weights), join(self._loss), join(self._update)

    def load(self, state: Mapping[str, np.ndarray]) -> None:
        """Takes what `golden.train.model.Model.state` gives."""
        weights, velocities = self.named(self.w), self.named(self.v)
        with torch.no_grad():
            for name, values in state.items():
                places = velocities if name.endswith(".velocity") else weights | self.buffers
                places[name.removesuffix(".velocity")].copy_(torch.from_numpy(values))

    def named(self, flat: torch.Tensor) -> dict[str, torch.Tensor]:
        """Views in PyTorch's shapes; those of matrices lie as taps, then input channels."""
        found = {}
        for (name, shape), values in zip(self.shapes.items(), flat.detach().split(self.sizes), strict=True):
            if len(shape) > 1:
                values = values.view(shape[0], *shape[2:], shape[1]).permute(0, 3, 1, 2)  # noqa: PLW2901
            found[name] = values
        return found

    def weights(self) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
        """16-bit weights of the forward and of the backward pass, by the layer's name; never one tensor as both, which
        PyTorch does not compile."""
        passes, pattern = self.sparsity.passes, self.sparsity.pattern
        halves, found = self.named(self.w.half()), {}
        for name in self.weighted:
            forward = halves[f"{name}.weight"]
            backward = forward.detach()
            if name in self.sparse:
                if passes.forward:
                    forward = pruned(forward, pattern, 1)
                backward = forward.detach() if self.nested else backward
                if passes.backward:
                    backward = pruned(backward, pattern, 0)
            found[name] = forward, backward
        return found

    def _chain(self, chain: tuple[Placed, ...], x: torch.Tensor, weights, training: bool) -> torch.Tensor:
        for placed in chain:
            x = self._layer(placed, x, weights, training)
        return x

    def _layer(self, placed: Placed, x: torch.Tensor, weights, training: bool) -> torch.Tensor:
        layer, name = placed.layer, placed.name
        if isinstance(layer, Conv2d | Linear):
            x = Convolution.apply(x, self.masters[f"{name}.weight"], *weights[name], getattr(layer, "stride", 1),
                                  getattr(layer, "padding", 0), self.gradient_patterns.get(name))
            return (x.float() + self.masters[f"{name}.bias"][:, None, None]).half() if layer.bias else x
        if isinstance(layer, BatchNorm):
            kept = (self.buffers[f"{name}.running_mean"], self.buffers[f"{name}.running_var"])
            return functional.batch_norm(operand(x), *kept, self.masters[f"{name}.weight"],
                                         self.masters[f"{name}.bias"], training, layer.momentum, layer.epsilon).half()
        if isinstance(layer, ReLU):
            return functional.relu(x)
        if isinstance(layer, MaxPool):
            return functional.max_pool2d(x, layer.kernel, layer.step)
        if isinstance(layer, AvgPool):
            return functional.avg_pool2d(x.float(), layer.kernel, layer.step).half()
        if isinstance(layer, GlobalAvgPool):
            return x.float().mean((2, 3), keepdim=True).half()
        return (self._chain(placed.body, x, weights, training) + self._chain(placed.skip, x, weights, training))

    def logits(self, images: torch.Tensor, weights=None, training: bool = False) -> torch.Tensor:
        """float32 [images, classes] of binary16 [images, channels, lines, pixels]."""
        x = self._chain(self.network.placed, images, weights or self.weights(), training)
        return x[:, :, 0, 0].float()

    def step(self, images: torch.Tensor, labels: torch.Tensor, rate: torch.Tensor) -> torch.Tensor:
        """A step on a batch; its loss. All of it stays on the device, so that a graph can be made of it."""
        weights = self.weights()
        loss = self._loss(images, labels, weights)
        gradients = torch.autograd.grad(loss * self.loss_scale, list(self.masters.values()))
        self._update(gradients, weights, rate)
        return loss.detach()

    def _loss(self, images: torch.Tensor, labels: torch.Tensor, weights) -> torch.Tensor:
        return functional.cross_entropy(self.logits(images, weights, True), labels)

    @torch.no_grad()
    def _update(self, gradients: tuple[torch.Tensor, ...], weights, rate: torch.Tensor) -> None:
        """The WUVE's, or a step left out and the loss scale halved."""
        gradient = torch.cat([_lines(values) for values in gradients])
        decay = self.decay
        if self.sparsity.decay:
            decay = decay.clone()
            for name, values in self.named(decay).items():
                layer = name.removesuffix(".weight")
                if layer in self.sparse:
                    values.add_(weights[layer][0] == 0, alpha=self.sparsity.decay)
        fine = gradient.isfinite().all()
        v = self.optimiser.momentum * self.v + (gradient / self.loss_scale + decay * self.w)
        self.w.copy_(torch.where(fine, self.w - rate * v, self.w))
        self.v.copy_(torch.where(fine, v, self.v))
        self.loss_scale.copy_(torch.where(fine, self.loss_scale, (self.loss_scale / 2).clamp(min=1)))
        self.skipped += ~fine

    def predict(self, images: torch.Tensor, at_once: int = 1000) -> torch.Tensor:
        """Class of each image."""
        with torch.no_grad():
            weights = self.weights()
            return torch.cat([self.logits(some, weights).argmax(1) for some in images.split(at_once)])


def _lines(values):
    """Flat, a matrix's taps before its input channels; of NumPy or PyTorch."""
    if values.ndim == 1:
        return values
    return (values.transpose(0, 2, 3, 1) if isinstance(values, np.ndarray) else values.permute(0, 2, 3, 1)).reshape(-1)
