"""A network as a description: its layers, one after the other, and their shapes. docs/units/train.md, "Layers".

Shapes are (lines, pixels of a line, channels) of an image. A loss, softmax cross entropy, follows the last layer.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

from golden.params import check

from .params import GROUP

__all__ = ["LAYERS", "AvgPool", "BatchNorm", "Conv2d", "GlobalAvgPool", "Layer", "Linear", "MaxPool", "Network",
           "Placed", "ReLU", "Residual", "Shape", "padded_channels"]

MOST_TAPS = 15
"""Lines and columns of taps of an MM (golden/isa/train.py)."""

Shape = tuple[int, int, int]


def padded_channels(channels: int) -> int:
    """Channels as they lie in memory: a multiple of 16, the further ones zero."""
    return -(-channels // GROUP) * GROUP


@dataclass(frozen=True, kw_only=True)
class Layer:
    """What all layers have. Every attribute that is an integer must be positive unless `MAY_BE_ZERO` names it."""

    MAY_BE_ZERO: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type in ("int", int) or (field.name == "stride" and value is not None):
                least = 0 if field.name in self.MAY_BE_ZERO else 1
                check(type(value) is int and value >= least, field.name, value, f"must be an integer, {least} or more")

    def shape(self, before: Shape) -> Shape:
        """Shape of what comes out; raises ValueError naming the rule."""
        return before


@dataclass(frozen=True, kw_only=True)
class Linear(Layer):
    """All numbers of an image times a matrix: a convolution whose kernel is the image.

    Attributes:
        features: that come out. bias: has one. sparse: see `golden.train.sparsity.sparse_layers`; None: by the rule.
    """

    features: int
    bias: bool = True
    sparse: bool | None = None

    def shape(self, before: Shape) -> Shape:
        check(max(before[:2]) <= MOST_TAPS, "input", before, f"has at most {MOST_TAPS} x {MOST_TAPS} pixels")
        return 1, 1, self.features


@dataclass(frozen=True, kw_only=True)
class Conv2d(Layer):
    """A convolution.

    Attributes:
        channels: that come out. kernel: taps of a line, and of a column. stride: pixels from one output to the next.
        padding: zeros at each edge. bias, sparse: as Linear's.
    """

    MAY_BE_ZERO = ("padding",)
    channels: int
    kernel: int
    stride: int = 1
    padding: int = 0
    bias: bool = True
    sparse: bool | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self.kernel <= MOST_TAPS, "kernel", self.kernel, f"must be at most {MOST_TAPS}")
        check(self.padding < self.kernel, "padding", self.padding, f"must be below kernel, {self.kernel}")

    def shape(self, before: Shape) -> Shape:
        lines, line = (size + 2 * self.padding for size in before[:2])
        check(min(lines, line) >= self.kernel, "kernel", self.kernel, f"must fit the padded image, {lines} x {line}")
        return (lines - self.kernel) // self.stride + 1, (line - self.kernel) // self.stride + 1, self.channels


@dataclass(frozen=True, kw_only=True)
class BatchNorm(Layer):
    """Batch normalisation over pixels and images.

    Attributes:
        epsilon: added to the variance. momentum: share of a batch in the running mean and variance.
    """

    epsilon: float = 1e-5
    momentum: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self.epsilon > 0, "epsilon", self.epsilon, "must be positive")
        check(0 < self.momentum <= 1, "momentum", self.momentum, "must be above 0 and at most 1")


@dataclass(frozen=True, kw_only=True)
class ReLU(Layer):
    """The larger of a number and zero."""


@dataclass(frozen=True, kw_only=True)
class _Pool(Layer):
    kernel: int
    stride: int | None = None

    @property
    def step(self) -> int:
        """Pixels from one window to the next."""
        return self.kernel if self.stride is None else self.stride

    def shape(self, before: Shape) -> Shape:
        lines, line, channels = before
        check(min(lines, line) >= self.kernel, "kernel", self.kernel, f"must fit the image, {lines} x {line}")
        return (lines - self.kernel) // self.step + 1, (line - self.kernel) // self.step + 1, channels


@dataclass(frozen=True, kw_only=True)
class MaxPool(_Pool):
    """Largest number of each window, channel by channel; pixels that fill no window are left out.

    Attributes:
        kernel: lines and pixels of a line of a window. stride: from one window to the next; None: kernel.
    """


@dataclass(frozen=True, kw_only=True)
class AvgPool(_Pool):
    """Mean of each window. Attributes as MaxPool's."""


@dataclass(frozen=True, kw_only=True)
class GlobalAvgPool(Layer):
    """Mean of a channel over an image."""

    def shape(self, before: Shape) -> Shape:
        return 1, 1, before[2]


@dataclass(frozen=True, kw_only=True)
class Residual(Layer):
    """The sum of what two chains of layers make of the same input.

    Attributes:
        body: a chain. skip: the other one; empty: the input itself.
    """

    body: tuple[Layer, ...]
    skip: tuple[Layer, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        check(len(self.body) > 0, "body", self.body, "must have layers")


LAYERS: dict[str, type[Layer]] = {
    "linear": Linear, "conv2d": Conv2d, "batch_norm": BatchNorm, "relu": ReLU, "max_pool": MaxPool,
    "avg_pool": AvgPool, "global_avg_pool": GlobalAvgPool, "residual": Residual,
}  # fmt: skip


class Placed(NamedTuple):
    """A layer in its place.

    Attributes:
        name: its number, behind those of the block that it is in: `4`, `2.body.0`, as PyTorch names modules.
        before, after: shapes of what goes in and comes out. body, skip: a block's.
    """

    name: str
    layer: Layer
    before: Shape
    after: Shape
    body: tuple["Placed", ...] = ()
    skip: tuple["Placed", ...] = ()


def _place(layers: Iterable[Layer], shape: Shape, prefix: str) -> tuple[Placed, ...]:
    placed = []
    for number, layer in enumerate(layers):
        name = f"{prefix}{number}"
        body, skip, after = (), (), shape
        if isinstance(layer, Residual):
            body, skip = (_place(chain, shape, f"{name}.{part}.") for part, chain in (
                ("body", layer.body), ("skip", layer.skip)))
            after, other = body[-1].after, skip[-1].after if skip else shape
            check(after == other, f"layer {name} (Residual): shape", after, f"must be that of the skip, {other}")
        else:
            try:
                after = layer.shape(shape)
            except ValueError as error:
                raise ValueError(f"layer {name} ({type(layer).__name__}): {error}") from None
        placed.append(Placed(name, layer, shape, after, body, skip))
        shape = after
    return tuple(placed)


@dataclass(frozen=True, kw_only=True)
class Network:
    """Layers one after the other.

    Attributes:
        shape: of an image. layers: the last one makes a number for each class.

    Raises:
        ValueError: naming the layer and the rule that it breaks.
    """

    shape: Shape
    layers: tuple[Layer, ...]

    def __post_init__(self) -> None:
        good = len(self.shape) == 3 and all(type(size) is int and size > 0 for size in self.shape)
        check(good, "shape", self.shape, "must be three positive integers: lines, pixels of a line, channels")
        check(len(self.layers) > 0, "layers", self.layers, "must have one")
        last = self.placed[-1]
        what = f"layer {last.name} ({type(last.layer).__name__}), the last one: output"
        check(last.after[:2] == (1, 1) and last.after[2] > 1, what, last.after, "must be 1 x 1 x two classes or more")

    @cached_property
    def placed(self) -> tuple[Placed, ...]:
        """The chain, with names and shapes."""
        return _place(self.layers, self.shape, "")

    @property
    def classes(self) -> int:
        return self.placed[-1].after[2]

    def walk(self) -> Iterator[Placed]:
        """All layers in the order of the forward pass; a block after what is in it."""
        def inside(chain):
            for placed in chain:
                yield from inside(placed.body)
                yield from inside(placed.skip)
                yield placed

        return inside(self.placed)

    def to_dict(self) -> dict[str, Any]:
        """What a configuration file's table `network` has, with all defaults."""
        def plain(layer: Layer) -> dict[str, Any]:
            kind = next(name for name, made in LAYERS.items() if made is type(layer))
            values = {field.name: getattr(layer, field.name) for field in fields(layer)}
            return {"type": kind, **{
                name: [plain(inner) for inner in value] if isinstance(value, tuple) else value
                for name, value in values.items()
            }}

        return {"shape": list(self.shape), "layers": [plain(layer) for layer in self.layers]}
