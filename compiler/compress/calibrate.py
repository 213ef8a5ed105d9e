"""What flows into the matrices: second moments of their inputs over calibration text, from the float reference."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from compiler.frontend.reference import decoder_layer, embedding, output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from compiler.frontend.model import Model

__all__ = ["Moments", "Stream"]


@dataclass
class Moments:
    """Sums over the tokens of y = x / rms(x), x [K] being a token's input.

    Every token counts the same. Without the division the few tokens that serve as attention sinks, with activations
    hundreds of times larger, decide alone (measured in docs/compression.md).

    Attributes:
        squares: float64 [K], sum of y^2. peak: float32 [K], largest |x|.
        gram: float32 [K, K], sum of y y^T; `None` where it is not asked for.
    """

    squares: np.ndarray
    peak: np.ndarray
    gram: np.ndarray | None

    @classmethod
    def of(cls, x: np.ndarray, gram: bool) -> Moments:
        """Of float32 [T, K]."""
        rms = np.sqrt(np.mean(x * x, axis=-1, keepdims=True))
        y = x / np.where(rms > 0, rms, 1)
        return cls((y * y).sum(0, dtype=np.float64), np.abs(x).max(0), y.T @ y if gram else None)

    def add(self, other: Moments) -> None:
        self.squares += other.squares
        self.peak = np.maximum(self.peak, other.peak)
        if self.gram is not None:
            self.gram += other.gram


@dataclass
class Stream:
    """The residual stream of every calibration sequence, moved through a network layer by layer.

    Memory: one float32 [T, dim] a sequence, and the moments of one layer at a time.

    Attributes:
        hidden: float32 [T, dim] of each sequence, before the layer to come.
    """

    hidden: list[np.ndarray] = field(default_factory=list)

    @classmethod
    def start(cls, model: Model, sequences: Sequence[Sequence[int]]) -> Stream:
        """Before the first layer of `model`; sequences of token ids."""
        return cls([embedding(model, ids, np.float32) for ids in sequences])

    def observe(self, model: Model, layer: int, gram: bool) -> dict[str, Moments]:
        """Moments of the inputs of `qkv`, `o`, `gate_up` and `down` in `layer`; for the layer after the last: `head`.

        The stream stays where it is.
        """
        found: dict[str, Moments] = {}

        def see(name: str, x: np.ndarray) -> None:
            moments = Moments.of(x, gram)
            if name in found:
                found[name].add(moments)
            else:
                found[name] = moments

        for x in self.hidden:
            if layer < model.config.layers:
                decoder_layer(model, layer, x, see)
            else:
                output(model, x, see)
        return found

    def advance(self, model: Model, layer: int) -> None:
        """Move every sequence through `layer` of `model`, which may be another network than the one observed."""
        self.hidden = [decoder_layer(model, layer, x) for x in self.hidden]
