"""Softmax cross entropy as instructions: a class a row, an image a lane (`golden.train.loss`)."""

from collections.abc import Iterator

import numpy as np

from golden.floats import BINARY32

from .tensors import Builder, Tensor

__all__ = ["CrossEntropy"]


class CrossEntropy:
    """Loss of a batch, and the gradient of its logits.

    Args:
        logits: [images, 1, 1, channels]. classes: of the channels.

    Attributes:
        labels: first word in memory of ones where a class, a row, is that of an image, a lane; see `hot`.
        found: of what `value` needs.
    """

    def __init__(self, build: Builder, logits: Tensor, classes: int) -> None:
        self.build, self.logits, self.classes = build, logits, classes
        self.lanes = build.params.word
        self.words = -(-classes // self.lanes)  # of an image's logits that have classes
        self.rows = self.words * self.lanes
        self.groups = -(-logits.images // self.lanes)
        self.labels = build.memory.room(2 * self.rows * self.groups)
        self.found = build.memory.room(4 * self.groups)

    def emit(self) -> Tensor:
        """The gradient of the logits, times the loss scale."""
        build, rows, classes = self.build, self.rows, self.classes
        gradient, vectors = build.like(self.logits), build.vectors
        z = vectors.rows(2 * rows + 3)
        hot, most, total, inverse = (z + rows + more for more in (0, rows, rows + 1, rows + 2))
        for group, images in self._groups():
            for word in range(self.words):
                vectors.turn_in(self._logits(group, word), z + word * self.lanes, images, self.logits.words)
            vectors.load(self.labels + 2 * rows * group, hot, rows)
            vectors.operate("MAX", most, z, z + 1, rows=1)
            for row in range(z + 2, z + classes):
                vectors.operate("MAX", most, most, row, rows=1)
            vectors.operate("SUB", z, z, most, rows=classes, same=True)
            vectors.operate("EXP", z, z, rows=classes)
            vectors.operate("ADD", total, vectors.zero, z, rows=1)
            for row in range(z + 1, z + classes):
                vectors.operate("ADD", total, total, row, rows=1)
            vectors.operate("RECIP", inverse, total, rows=1)
            vectors.operate("MUL", z, z, inverse, rows=classes, same=True)
            vectors.operate("SUB", hot, z, hot, rows=classes)
            vectors.operate("MUL", hot, hot, rows=classes, argument="share")
            for word in range(self.words):
                at = gradient.at - self.logits.at + self._logits(group, word)
                vectors.turn_out(at, hot + word * self.lanes, images, self.logits.words)
            vectors.store(self.found + 4 * group, most, 2)
        return gradient

    def _groups(self) -> Iterator[tuple[int, int]]:
        """(group, its images): so many as there are lanes."""
        for group in range(self.groups):
            yield group, min(self.lanes, self.logits.images - group * self.lanes)

    def _logits(self, group: int, word: int) -> int:
        return self.logits.at + group * self.lanes * self.logits.words + word

    def hot(self, labels: np.ndarray) -> np.ndarray:
        """float32 for memory at `labels`."""
        made = np.zeros((self.groups, self.rows, self.lanes), np.float32)
        image = np.arange(len(labels))
        made[image // self.lanes, labels, image % self.lanes] = 1
        return made

    def value(self, found: np.ndarray, logits: np.ndarray, labels: np.ndarray) -> float:
        """The loss, in float64, of what a run has left.

        Args:
            found: float32 at `found`. logits: uint16 [images, channels], the network's.
        """
        most, total = (found.reshape(self.groups, 2, self.lanes)[:, row].ravel()[: len(labels)] for row in (0, 1))
        z = self.build.params.half.widen(logits[np.arange(len(labels)), labels])
        with np.errstate(all="ignore"):
            return float(np.mean(np.log(total.astype(np.float64)) - BINARY32.add(z, -most)))
