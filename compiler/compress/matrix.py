"""One matrix of the engine through a recipe."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from compiler.compress.prune import choose_kept, keep_mask
from compiler.compress.quantise import quantise
from compiler.compress.sparsegpt import inverse_factor, reconstruct, surgeon_saliency
from compiler.frontend.model import GroupQuant, Tensor

if TYPE_CHECKING:
    from compiler.compress.calibrate import Moments
    from compiler.compress.layout import BlockLayout
    from compiler.compress.recipe import Recipe

__all__ = ["compress_matrix"]


def compress_matrix(
    weights: np.ndarray, recipe: Recipe, bits: int | None, layout: BlockLayout, moments: Moments | None
) -> Tensor:
    """Prune and quantise float32 [rows, K].

    Args:
        bits: width of the codes; `None` keeps float32.
        moments: of the input; not needed for magnitude. SparseGPT needs the Gram matrix.
    """
    if recipe.method == "sparsegpt":
        assert moments is not None
        assert moments.gram is not None
        factor = inverse_factor(moments.gram, recipe.damping)
        kept = _kept(surgeon_saliency(weights, factor), recipe, layout)
        return _tensor(reconstruct(weights, factor, kept, layout, bits, recipe.group))
    squares = moments.squares if recipe.method == "wanda" and moments is not None else np.ones(weights.shape[1])
    saliency = weights**2 * squares
    pruned = np.where(keep_mask(saliency, _kept(saliency, recipe, layout), layout), weights, np.float32(0))
    return _tensor(pruned if bits is None else quantise(pruned, bits, recipe.group, squares, recipe.minimum))


def _kept(saliency: np.ndarray, recipe: Recipe, layout: BlockLayout) -> np.ndarray | int:
    if recipe.kept is not None:
        return recipe.kept
    assert recipe.density is not None
    return choose_kept(saliency, recipe.density, layout)


def _tensor(weights: np.ndarray | GroupQuant) -> Tensor:
    return Tensor(quant=weights) if isinstance(weights, GroupQuant) else Tensor(values=weights)
