"""Chains of layers as instructions: golden.train.layers' operations, one for one, on tensors in memory."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from golden.train import layers
from golden.train.operation import Operation

from .learning import Matrix, Norm
from .plain import GlobalMean, MaxPooling, MeanPooling, Rectifier
from .tensors import Builder, Held, Tensor

__all__ = ["Chain", "Stage"]

PLAIN = {layers.Rectifier: Rectifier, layers.MaxPooling: MaxPooling, layers.MeanPooling: MeanPooling,
         layers.GlobalMean: GlobalMean}


class Stage(Protocol):
    """A layer, or two that one pass does. `forward` and `backward` emit; each is called once, in this order."""

    def forward(self, x: Tensor) -> Tensor: ...

    def backward(self, dy: Tensor, wanted: bool) -> Tensor | None:
        """dX, None where it is not wanted; what the stage learns is updated."""
        ...

    def held(self) -> Iterator[Held]:
        """What golden has of that which stays in memory."""
        ...


class Sum:
    """Residual: body + skip, and the sum of their input gradients."""

    def __init__(self, build: Builder, operation: layers.Sum, wanted: bool) -> None:
        self.build = build
        self.body, self.skip = (Chain(build, chain.operations, wanted) for chain in (operation.body, operation.skip))

    def _sum(self, a: Tensor, b: Tensor) -> Tensor:
        out = self.build.like(a)
        self.build.vectors.add(a.at, b.at, out.at, pixels=a.pixels, words=a.words)
        return out

    def forward(self, x: Tensor) -> Tensor:
        return self._sum(self.body.forward(x), self.skip.forward(x))

    def backward(self, dy: Tensor, wanted: bool) -> Tensor | None:
        body, skip = self.body.backward(dy, wanted), self.skip.backward(dy, wanted)
        return None if body is None or skip is None else self._sum(body, skip)

    def held(self) -> Iterator[Held]:
        yield from self.body.held()
        yield from self.skip.held()


class Chain:
    """Operations one after the other. Input gradients are made as far as something before learns.

    Args:
        wanted: the chain's own input gradient will be.
    """

    def __init__(self, build: Builder, operations: Sequence[Operation], wanted: bool) -> None:
        self.build, self.operations, self.wanted = build, operations, wanted
        self.stages: list[tuple[Stage, bool]] = []

    def forward(self, x: Tensor) -> Tensor:
        """Y of X."""
        wanted = self.wanted
        for operation in self.operations:
            stage = self._stage(operation, x, wanted)
            self.stages.append((stage, wanted))
            x = stage.forward(x)
            wanted = wanted or layers.Chain([operation], []).learns
        return x

    def _stage(self, operation: Operation, x: Tensor, wanted: bool) -> Stage:
        if isinstance(operation, layers.Matrix):
            return Matrix(self.build, operation, x, wanted)
        if isinstance(operation, layers.Norm):
            return Norm(self.build, operation, x)
        if isinstance(operation, layers.Sum):
            return Sum(self.build, operation, wanted)
        return PLAIN[type(operation)](self.build, operation)

    def backward(self, dy: Tensor, wanted: bool) -> Tensor | None:
        """dX, None where it is not wanted."""
        for stage, needed in reversed(self.stages):
            dx = stage.backward(dy, needed)
            if dx is None:
                return None
            dy = dx
        return dy if wanted else None

    def held(self) -> Iterator[Held]:
        for stage, _ in self.stages:
            yield from stage.held()
