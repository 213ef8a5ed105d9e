"""Networks and their numbers from PyTorch modules. Nothing here imports torch: its modules say what they are.

A module is a Sequential, with others inside it, of what `MAKERS` has. A residual block is a module of any class whose
children are `body` and maybe `skip`; that its forward pass is their sum is not visible, so the names stand for it.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from golden.train.network import (
    AvgPool,
    BatchNorm,
    Conv2d,
    GlobalAvgPool,
    Layer,
    Linear,
    MaxPool,
    Network,
    Placed,
    ReLU,
    Residual,
    Shape,
)
from golden.train.sparsity import taps

__all__ = ["Imported", "UnsupportedModuleError", "from_torch"]


class UnsupportedModuleError(ValueError):
    """A module, or a setting of one, that the training engine does not have; the message names both."""


class Imported(NamedTuple):
    """Attributes: network: its description. state: for `golden.train.model.Model.load` with `some`."""

    network: Network
    state: dict[str, np.ndarray]


class Source(NamedTuple):
    """A layer and the module that it is of.

    Attributes:
        name: the module's. body, skip: a block's.
    """

    name: str
    module: Any
    layer: Layer
    body: tuple["Source", ...] = ()
    skip: tuple["Source", ...] = ()

    def error(self, rule: str) -> UnsupportedModuleError:
        return _error(self.name, self.module, rule)


def from_torch(module: Any, shape: Shape) -> Imported:
    """What `module` computes of images, as a network.

    Args:
        module: a torch.nn.Module. shape: of an image: lines, pixels of a line, channels.

    Raises:
        UnsupportedModuleError: see there. ValueError: as Network's.
    """
    sources = tuple(_chain("", module))
    network = Network(shape=shape, layers=tuple(source.layer for source in sources))
    return Imported(network, dict(_state(network.placed, sources)))


def _error(name: str, module: Any, rule: str) -> UnsupportedModuleError:
    return UnsupportedModuleError(f"module {name or '(the whole)'} ({type(module).__name__}): {rule}")


def _kind(module: Any) -> str:
    """Name of torch's own class; empty for others, as they may compute anything."""
    return type(module).__name__ if type(module).__module__.startswith("torch.nn.modules.") else ""


def _chain(name: str, module: Any) -> Iterator[Source]:
    kind, children = _kind(module), dict(module.named_children())
    inside = f"{name}." if name else ""
    if kind == "Sequential":
        for key, child in children.items():
            yield from _chain(inside + key, child)
    elif kind in MAKERS:
        yield Source(name, module, MAKERS[kind](name, module))
    elif kind == "Flatten":
        _check(name, module, start_dim=1, end_dim=-1)
    elif "body" in children and children.keys() <= {"body", "skip"}:
        body, skip = (tuple(_chain(inside + part, children[part])) if part in children else ()
                      for part in ("body", "skip"))
        if not body:
            raise _error(name, module, "its body has no layers")
        layers = (tuple(source.layer for source in part) for part in (body, skip))
        yield Source(name, module, Residual(body=next(layers), skip=next(layers)), body, skip)
    elif kind != "Identity":
        raise _error(name, module, f"not supported; there are Sequential, Flatten, Identity, {', '.join(MAKERS)} and "
                                   "blocks of body and skip")


def _check(name: str, module: Any, **settings: Any) -> None:
    """The module has these settings."""
    for key, wanted in settings.items():
        value = getattr(module, key)
        if value not in (wanted, (wanted, wanted)):
            raise _error(name, module, f"{key} = {value!r}: must be {wanted!r}")


def _square(name: str, module: Any, key: str) -> int:
    """A setting for lines and pixels, the same for both."""
    value = getattr(module, key)
    first = value[0] if isinstance(value, tuple) else value
    if type(first) is not int or value not in (first, (first, first)):
        raise _error(name, module, f"{key} = {value!r}: must be a number, the same for lines and pixels")
    return first


def _linear(name: str, module: Any) -> Layer:
    return Linear(features=module.out_features, bias=module.bias is not None)


def _conv2d(name: str, module: Any) -> Layer:
    _check(name, module, dilation=1, groups=1, padding_mode="zeros")
    kernel, stride, padding = (_square(name, module, key) for key in ("kernel_size", "stride", "padding"))
    return Conv2d(channels=module.out_channels, kernel=kernel, stride=stride, padding=padding,
                  bias=module.bias is not None)


def _batch_norm(name: str, module: Any) -> Layer:
    _check(name, module, affine=True, track_running_stats=True)
    if module.momentum is None:
        raise _error(name, module, "momentum = None: must be a number")
    return BatchNorm(epsilon=module.eps, momentum=module.momentum)


def _relu(name: str, module: Any) -> Layer:
    return ReLU()


def _max_pool(name: str, module: Any) -> Layer:
    _check(name, module, padding=0, dilation=1, ceil_mode=False, return_indices=False)
    return MaxPool(kernel=_square(name, module, "kernel_size"), stride=_square(name, module, "stride"))


def _avg_pool(name: str, module: Any) -> Layer:
    _check(name, module, padding=0, ceil_mode=False, divisor_override=None)
    return AvgPool(kernel=_square(name, module, "kernel_size"), stride=_square(name, module, "stride"))


def _global_avg_pool(name: str, module: Any) -> Layer:
    _check(name, module, output_size=1)
    return GlobalAvgPool()


MAKERS: dict[str, Callable[[str, Any], Layer]] = {
    "Linear": _linear, "Conv2d": _conv2d, "BatchNorm2d": _batch_norm, "ReLU": _relu, "MaxPool2d": _max_pool,
    "AvgPool2d": _avg_pool, "AdaptiveAvgPool2d": _global_avg_pool,
}  # fmt: skip


def _state(chain: tuple[Placed, ...], sources: tuple[Source, ...]) -> Iterator[tuple[str, np.ndarray]]:
    """Numbers by golden's names."""
    for placed, source in zip(chain, sources, strict=True):
        yield from _state(placed.body, source.body)
        yield from _state(placed.skip, source.skip)
        if isinstance(placed.layer, Residual):
            continue
        for key, tensor in source.module.state_dict().items():
            if key == "num_batches_tracked":
                continue
            numbers = tensor.cpu().float().numpy()
            if isinstance(placed.layer, Conv2d | Linear) and key == "weight":
                numbers = _matrix(placed, source, numbers)
            elif numbers.shape != placed.after[2:]:
                raise source.error(f"{key} of {numbers.shape}: must have the {placed.after[2]} channels of its input")
            yield f"{placed.name}.{key}", numbers.copy()


def _matrix(placed: Placed, source: Source, numbers: np.ndarray) -> np.ndarray:
    """[outputs, inputs, lines, columns of taps]: a linear layer's inputs are what Flatten makes of an image."""
    shape = (placed.after[2], placed.before[2], *taps(placed))
    if numbers.size != np.prod(shape):
        raise source.error(f"weight of {numbers.shape}: its input has {placed.before[0]} x {placed.before[1]} pixels "
                           f"of {placed.before[2]} channels")
    return numbers.reshape(shape)
