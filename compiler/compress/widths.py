"""Mixed widths: which matrices get more bits, under an average.

One width holds for a kind of matrix (`qkv`, `o`, `gate_up`, `down`) in all layers: its tensors are packed as one, and a
kind's tiles take the room, and the loads the time, of the largest among the layers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from compiler.compress.quantise import quantise
from golden.llm.stream import WIDTHS

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["assign_widths", "width_errors"]

SAMPLE = 8
"""Every how many rows are quantised to learn the error of a width."""


def assign_widths(
    errors: Mapping[str, Mapping[int, float]], sizes: Mapping[str, int], average: float
) -> dict[str, int]:
    """Bits of each matrix so that the sum of errors is small and the average over all weights is not exceeded.

    Everything starts at 2 bits; the step up that saves the most error per bit and still fits is taken until none does.

    Args:
        errors: matrix -> width -> error, for the widths of `golden.llm.stream.WIDTHS`.
        sizes: matrix -> weights.
        average: bits a weight, 2 to 8.
    """
    result = dict.fromkeys(errors, WIDTHS[0])
    budget = average * sum(sizes.values())

    def steps() -> list[tuple[float, str, int]]:
        """(error saved per bit, matrix, width) of what still fits."""
        used = sum(sizes[name] * bits for name, bits in result.items())
        found = []
        for name, bits in result.items():
            for more in WIDTHS[WIDTHS.index(bits) + 1 :]:
                cost = sizes[name] * (more - bits)
                saved = errors[name][bits] - errors[name][more]
                if used + cost <= budget + 1e-6 and saved > 0:
                    found.append((saved / cost, name, more))
        return found

    while options := steps():
        _, name, bits = max(options)
        result[name] = bits
    return result


def width_errors(weights: np.ndarray, squares: np.ndarray, group: int) -> dict[int, float]:
    """Squared error of the output at each width, as a share of the squared output; inputs taken as uncorrelated.

    Args:
        weights: float32 [rows, K]; a sample of the rows is looked at.
        squares: [K], sum of squares of the inputs.
    """
    rows = weights[::SAMPLE]
    total = float((rows**2 @ squares).sum()) or 1.0

    def error(bits: int) -> float:
        rounded = quantise(rows, bits, group, squares).dense()
        return float(((rounded - rows) ** 2 @ squares).sum()) / total

    return {bits: error(bits) for bits in WIDTHS}
