"""A whole model through a recipe, layer by layer."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from compiler.compress.calibrate import Stream
from compiler.compress.layout import consecutive
from compiler.compress.matrix import compress_matrix
from compiler.compress.recipe import RecipeError
from compiler.compress.smooth import smooth
from compiler.compress.widths import assign_widths, width_errors
from compiler.frontend.model import UnsupportedModelError
from golden.llm.stream import WIDTHS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from compiler.compress.layout import BlockLayout
    from compiler.compress.recipe import Recipe
    from compiler.frontend.model import Model

__all__ = ["compress"]

MATRICES = {"qkv": ("k", "q", "v"), "o": ("o",), "gate_up": ("gate", "up"), "down": ("down",)}
"""Tensors of a layer that take the same input; the engine stacks them in this order (compiler.llm.weights)."""


def compress(
    model: Model,
    recipe: Recipe,
    calibration_tokens: Sequence[int] = (),
    layouts: Mapping[str, BlockLayout] | None = None,
) -> Model:
    """`model` with pruned and quantised matrices; embedding, norms and (by default) the head as they are.

    Layers are compressed in order, and calibrated with what the compressed layers before them put out.

    Args:
        model: the network; not changed.
        recipe: what to do; a recipe that asks for nothing returns the model itself.
        calibration_tokens: ids of a text; needed unless the method is magnitude without smoothing.
        layouts: blocks of the stacked tensors of `qkv`, `o`, `gate_up`, `down` and of `head`
            (`compiler.llm.blocks`); `None`: 16 consecutive rows and inputs to a block.

    Raises:
        RecipeError: not enough calibration text.
        UnsupportedModelError: `bits` are asked for, but the inputs of a matrix are not whole scale groups.
    """
    if not recipe.changes:
        return model
    sequences = _sequences(calibration_tokens, recipe, model.config.context) if recipe.calibrates else []
    if recipe.bits is not None:
        _check_groups(model, recipe)
    result = model if recipe.smoothing is None else smooth(model, recipe.smoothing, sequences)
    widths = _mixed_widths(result, recipe, sequences) if recipe.mixed else {}
    stream = Stream.start(result, sequences)
    for layer, matrices in enumerate(_matrices(model, recipe)):
        if layer:
            stream.advance(result, layer - 1)
        moments = stream.observe(result, layer, recipe.method == "sparsegpt")
        tensors = dict(result.tensors)
        for matrix, names in matrices.items():
            weights = _stacked(result, names)
            layout = consecutive(*weights.shape) if layouts is None else layouts[matrix]
            bits = widths.get(matrix, None if recipe.bits is None else int(recipe.bits))
            stacked = compress_matrix(weights, recipe, bits, layout, moments.get(matrix))
            first = 0
            for name in names:
                rows = tensors[name].shape[0]
                tensors[name] = stacked.take_rows(np.arange(first, first + rows))
                first += rows
        result = replace(result, tensors=tensors)
    return result


def _sequences(tokens: Sequence[int], recipe: Recipe, context: int) -> list[Sequence[int]]:
    """Calibration text cut to the recipe's sequences; what is left over is not used.

    Raises:
        RecipeError: not one whole sequence.
    """
    length = min(recipe.length, context)
    count = min(recipe.sequences, len(tokens) // length)
    if count == 0:
        raise RecipeError(f"length = {recipe.length}: the calibration text has only {len(tokens)} tokens")
    return [tokens[i * length : (i + 1) * length] for i in range(count)]


def _matrices(model: Model, recipe: Recipe) -> list[dict[str, list[str]]]:
    """For each layer its matrices, and the tensors of each; the head, if it takes part, is a layer of its own."""
    result = [
        {matrix: [f"layers.{layer}.{part}" for part in parts] for matrix, parts in MATRICES.items()}
        for layer in range(model.config.layers)
    ]
    return [*result, {"head": ["embed" if model.config.tied_head else "head"]}] if recipe.head else result


def _stacked(model: Model, names: list[str]) -> np.ndarray:
    """Float32 [rows of all, K]."""
    return np.concatenate([model.tensors[name].dense() for name in names])


def _check_groups(model: Model, recipe: Recipe) -> None:
    for matrices in _matrices(model, recipe):
        for names in matrices.values():
            inputs = model.tensors[names[0]].shape[1]
            if inputs % recipe.group:
                raise UnsupportedModelError(
                    f"{names[0]}: its {inputs} inputs are no whole groups of {recipe.group}; take a smaller group, or "
                    "leave bits out (pruned weights are then packed with 8 bits)"
                )


def _mixed_widths(model: Model, recipe: Recipe, sequences: Sequence[Sequence[int]]) -> dict[str, int]:
    """Bits of every kind of matrix: those that lose the least output when all weights are kept."""
    assert recipe.bits is not None
    stream = Stream.start(model, sequences)
    errors: dict[str, dict[int, float]] = {}
    sizes: dict[str, int] = {}
    for layer, matrices in enumerate(_matrices(model, recipe)):
        if layer:
            stream.advance(model, layer - 1)
        moments = stream.observe(model, layer, gram=False)
        for matrix, names in matrices.items():
            weights = _stacked(model, names)
            squares = moments[matrix].squares if matrix in moments else np.ones(weights.shape[1])
            sizes[matrix] = sizes.get(matrix, 0) + weights.size
            known = errors.setdefault(matrix, dict.fromkeys(WIDTHS, 0.0))
            for bits, error in width_errors(weights, squares, recipe.group).items():
                known[bits] += error
    return assign_widths(errors, sizes, recipe.bits)
