"""Pooling of windows, POOL: largest numbers and their gradients (golden/isa/train.py, docs/units/train.md)."""

from collections.abc import Iterator, Mapping

import numpy as np

from .params import TrainParams
from .pooling import largest, largest_gradient

__all__ = ["PoolUnit"]


class PoolUnit:
    """Windows one after the other: pixels of a line, lines, images; outputs of windows follow each other in memory."""

    def __init__(self, params: TrainParams) -> None:
        self.params = params

    def pool(self, v: Mapping[str, int], image: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """POOL: (word in memory, uint8 data) of what is written.

        Args:
            image: the port's memory, uint8.

        Raises:
            ValueError: what the unit refuses, words beyond the memory.
        """
        self._check(v)
        p, kernel, step, words = self.params, v["kernel"], v["step"], v["words"]
        n, y, x, i, j, _ = np.ogrid[: v["images"], : v["ny"], : v["nx"], :kernel, :kernel, :1]
        pixel = n * v["image"] + (y * step + i) * v["line"] + (x * step + j) * words
        windows = (pixel + np.arange(words)).reshape(-1, kernel, kernel, words)
        tensor = self._words(image, v["x"] + windows).reshape(-1, kernel, kernel, words * p.word)
        best, where = largest(p.half, tensor, kernel, kernel)
        if not v["back"]:
            yield v["out"], best.view(np.uint8).ravel()
            return
        dy = self._words(image, v["dy"] + np.arange(len(windows) * words)).reshape(best.shape)
        dx = largest_gradient(p.half, dy, where, tensor.shape, kernel, kernel)
        lines = dx.reshape(len(windows) * kernel, -1)
        for at, line in zip(windows[:, :, 0, 0].ravel().tolist(), lines, strict=True):
            yield v["out"] + at, line.view(np.uint8)

    def _check(self, v: Mapping[str, int]) -> None:
        if min(v[name] for name in ("kernel", "step", "nx", "ny", "images")) < 1:
            raise ValueError("no windows, or windows without pixels or step")
        if not 0 < v["words"] <= self.params.channel_words:
            raise ValueError(f"words = {v['words']}: must be 1 to channel_words = {self.params.channel_words}")
        if v["back"] and v["step"] < v["kernel"]:
            raise ValueError(f"step = {v['step']}: gradients of windows of {v['kernel']} pixels that overlap")

    def _words(self, image: np.ndarray, words: np.ndarray) -> np.ndarray:
        """uint16 [words, numbers]."""
        size = self.params.axi_bits // 8
        if (words.max() + 1) * size > len(image):
            raise ValueError("words beyond the memory")
        return image[: len(image) // size * size].reshape(-1, size)[words.ravel()].view(np.uint16)
