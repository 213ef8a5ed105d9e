"""Master weights and the optimiser's states in memory: blocks as a weight gradient has them."""

from collections.abc import Sequence

import numpy as np

from golden.params import check
from golden.train.params import GROUP, TrainParams

__all__ = ["from_blocks", "in_turns", "of_turns", "to_blocks"]


def in_turns(masters: Sequence[np.ndarray], params: TrainParams) -> np.ndarray:
    """float32 [numbers] of blocks of what `TrainParams.masters` names: a memory word of each in turns."""
    return np.stack([numbers.reshape(-1, params.word // 2) for numbers in masters], axis=1).ravel()


def of_turns(numbers: np.ndarray, params: TrainParams) -> tuple[np.ndarray, ...]:
    """The blocks of each again."""
    turns = numbers.reshape(-1, len(params.masters), params.word // 2)
    return tuple(turns[:, turn].ravel() for turn in range(len(params.masters)))


def to_blocks(weights: np.ndarray, params: TrainParams) -> np.ndarray:
    """float32 [numbers] of weights [taps, inputs, outputs]: a tile of outputs after the other; in it taps, 16 inputs
    after 16 inputs, 16 outputs after 16 outputs; a block's outputs lie beside each other.

    Raises:
        ValueError: inputs no multiple of 16, or outputs none of a tile's columns.
    """
    weights = np.asarray(weights, np.float32)
    taps, inputs, outputs = weights.shape
    shape = _shape(taps, inputs, outputs, params)
    # [taps, groups, inputs, tiles, blocks, outputs]
    split = weights.reshape(taps, inputs // GROUP, GROUP, shape[0], shape[3], GROUP)
    return np.ascontiguousarray(split.transpose(3, 0, 1, 4, 2, 5)).ravel()


def from_blocks(numbers: np.ndarray, taps: int, inputs: int, outputs: int, params: TrainParams) -> np.ndarray:
    """The weights [taps, inputs, outputs] again. Raises as `to_blocks`, or if there are others than so many numbers."""
    check(np.size(numbers) == taps * inputs * outputs, "numbers", np.size(numbers),
          f"must be {taps} x {inputs} x {outputs}")
    blocks = np.asarray(numbers, np.float32).reshape(_shape(taps, inputs, outputs, params))
    return np.ascontiguousarray(blocks.transpose(1, 2, 4, 0, 3, 5)).reshape(taps, inputs, outputs)


def _shape(taps: int, inputs: int, outputs: int, p: TrainParams) -> tuple[int, ...]:
    check(inputs % GROUP == 0, "inputs", inputs, f"must be a multiple of {GROUP}")
    check(outputs % p.tile_columns == 0, "outputs", outputs, f"must be a multiple of {p.tile_columns}")
    return outputs // p.tile_columns, taps, inputs // GROUP, p.tile_columns // GROUP, GROUP, GROUP
