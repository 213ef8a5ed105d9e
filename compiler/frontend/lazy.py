"""Tensors that are read or made when they are used: a model larger than the memory can be compiled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from compiler.frontend.model import GroupQuant, Tensor

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["LazyTensor", "mapped"]


class LazyTensor(Tensor):
    """A tensor that is loaded anew by every use of its weights; nothing of it is kept.

    Args:
        shape: of the weights.
        group: see `Tensor.group`.
        load: reads or makes the tensor, the same one each time.
    """

    def __init__(self, shape: tuple[int, ...], group: int | None, load: Callable[[], Tensor]) -> None:
        self._shape, self._group, self._load = tuple(shape), group, load

    @property
    def values(self) -> np.ndarray | None:
        return self._load().values

    @property
    def quant(self) -> GroupQuant | None:
        return self._load().quant

    @property
    def shape(self) -> tuple[int, ...]:
        return self._shape

    @property
    def group(self) -> int | None:
        return self._group

    def dense(self) -> np.ndarray:
        return self._load().dense()

    def take_rows(self, order: np.ndarray) -> Tensor:
        """The rows of `order`, as lazy as the tensor itself."""
        return LazyTensor((len(order), *self._shape[1:]), self._group, lambda: self._load().take_rows(order))

    def finite(self) -> bool:
        return self._load().finite()


def mapped(path: Path, kind: type[np.generic] | np.dtype, shape: tuple[int, ...], at: int) -> np.ndarray:
    """Read-only array of `shape` at byte `at` of a file; its pages are read when they are touched."""
    return np.memmap(path, kind, "r", at, tuple(shape)).view(np.ndarray)
