"""Batch norm, with the ReLU behind it, as passes and operations on channels (docs/units/train.md, "Layers")."""

from dataclasses import dataclass

from .vectors import Vectors

__all__ = ["BatchNorm"]

ROWS = ("gamma", "beta", "mean", "scale", "shift", "inverse", "square", "s0", "s1", "t", "u", "v")
KEPT = ("mean", "scale", "shift", "inverse")
"""What the backward pass needs of the forward pass; these rows follow each other."""


@dataclass(frozen=True, kw_only=True)
class BatchNorm:
    """A batch norm in memory, and its passes.

    Attributes:
        pixels, words: of the tensor. relu: follows in the same pass. epsilon, momentum: see `golden.train.network`.
        parameters, gradients: first words in memory of gamma, then beta. running: of mean, then variance. kept: of
            KEPT's rows. All are binary32, so two memory words a word of channels.
    """

    vectors: Vectors
    pixels: int
    words: int
    relu: bool
    epsilon: float
    momentum: float
    parameters: int
    gradients: int
    running: int
    kept: int

    def _rows(self) -> dict[str, int]:
        first = self.vectors.rows(len(ROWS) * self.words)
        return {name: first + number * self.words for number, name in enumerate(ROWS)}

    def _operate(self, op: str, d: str, a: str, b: str | None = None, *, value: float | None = None,
                 count: int = 1) -> None:
        row = self._rows()
        self.vectors.operate(op, row[d], row[a], None if b is None else row[b], rows=count * self.words, value=value)

    def forward(self, x: int, y: int) -> None:
        """Y of X, words in memory."""
        row, vectors, share = self._rows(), self.vectors, 1 / self.pixels
        pixels, words = self.pixels, self.words
        vectors.load(self.parameters, row["gamma"], 2 * self.words)
        vectors.passed(x, pixels=pixels, words=words, sums=row["s0"], b_is_a=1)
        self._operate("MUL", "mean", "s0", value=share)
        self._operate("MUL", "square", "s1", value=share)
        self._operate("MUL", "t", "mean", "mean")
        self._operate("SUB", "square", "square", "t")
        self._operate("MAX", "square", "square", value=0)
        self._operate("ADD", "t", "square", value=self.epsilon)
        self._operate("RSQRT", "inverse", "t")
        self._operate("MUL", "scale", "gamma", "inverse")
        self._operate("MUL", "t", "mean", "scale")
        self._operate("SUB", "shift", "beta", "t")
        vectors.passed(x, out=y, pixels=pixels, words=words, constants={"c2": row["scale"], "c4": row["shift"]},
                       relu=int(self.relu), b_none=1)
        vectors.store(self.kept, row["mean"], len(KEPT) * self.words)
        self._run()

    def _run(self) -> None:
        """Running mean, in row t, and variance, in row u."""
        row, vectors = self._rows(), self.vectors
        unbiased = self.momentum * self.pixels / max(self.pixels - 1, 1)
        vectors.load(self.running, row["t"], 2 * self.words)
        self._operate("MUL", "t", "t", value=1 - self.momentum, count=2)
        self._operate("MUL", "v", "mean", value=self.momentum)
        self._operate("ADD", "t", "t", "v")
        self._operate("MUL", "v", "square", value=unbiased)
        self._operate("ADD", "u", "u", "v")
        vectors.store(self.running, row["t"], 2 * self.words)

    def backward(self, dy: int, x: int, dx: int | None) -> None:
        """Gradients of gamma, of beta and, if asked for, of X."""
        row, vectors, share = self._rows(), self.vectors, 1 / self.pixels
        pixels, words, relu = self.pixels, self.words, int(self.relu)
        gate = {"c0": row["scale"], "c1": row["shift"]}
        vectors.load(self.kept, row["mean"], len(KEPT) * self.words)
        vectors.passed(dy, x, pixels=pixels, words=words, constants=gate, sums=row["s0"], gate=relu)
        self._operate("MUL", "t", "mean", "s0")
        self._operate("SUB", "t", "s1", "t")
        self._operate("MUL", "gamma", "t", "inverse")
        if dx is not None:
            self._operate("MUL", "t", "gamma", "inverse")
            self._operate("MUL", "t", "t", value=share)
            self._operate("MUL", "t", "scale", "t")
            self._operate("MUL", "t", "t", value=-1)
            self._operate("MUL", "u", "s0", value=share)
            self._operate("MUL", "u", "scale", "u")
            self._operate("MUL", "u", "u", value=-1)
            self._operate("MUL", "v", "t", "mean")
            self._operate("SUB", "u", "u", "v")
            vectors.passed(dy, x, dx, pixels=pixels, words=words, gate=relu,
                           constants={**gate, "c2": row["scale"], "c3": row["t"], "c4": row["u"]})
        vectors.store(self.gradients, row["gamma"], self.words)
        vectors.store(self.gradients + 2 * self.words, row["s0"], self.words)
