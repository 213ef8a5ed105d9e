"""Optimal-brain-surgeon pruning and quantisation of a matrix: SparseGPT (arXiv 2301.00774, section 3), and with no
weight pruned GPTQ (arXiv 2210.17323, section 3).

Inputs are visited in order. What pruning and rounding a weight costs in the output is made up for by the weights of the
same row that come later, as far as the inputs are correlated. With H = X^T X, damped, and U the upper Cholesky factor
of H^-1, the error e = (w - w') / U[j, j] of input j moves the later weights by -e U[j, j+1:].
"""

import numpy as np

from compiler.compress.layout import BlockLayout
from compiler.compress.prune import keep_mask
from compiler.compress.quantise import code_range, codes, group_scales
from compiler.frontend.model import GroupQuant

__all__ = ["inverse_factor", "reconstruct", "surgeon_saliency"]

SPAN = 128
"""Inputs whose errors are spread together over the rest: one matrix product instead of 128 outer ones."""


def inverse_factor(gram: np.ndarray, damping: float) -> np.ndarray:
    """Upper triangular U, float32 [K, K], with U^T U = (gram + damping * diag(gram))^-1.

    The damping is relative to each input, not to the mean as in the paper: inputs differ a thousandfold in strength,
    and a share of the mean would hide the correlations among the weak ones. Inputs that are always 0 count as if they
    had the mean strength, so that the inverse exists.
    """
    full = gram.astype(np.float64)
    diagonal = np.diagonal(full).copy()
    full[np.diag_indices_from(full)] += np.where(diagonal > 0, damping * diagonal, diagonal.mean() or 1.0)
    inverse = np.linalg.inv(full)
    return np.linalg.cholesky((inverse + inverse.T) / 2).T.astype(np.float32)


def surgeon_saliency(weights: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """w^2 / H^-1[j, j], [rows, K]: squared error of losing a weight when all others of its row make up for it."""
    return weights**2 / np.einsum("ij,ij->j", factor, factor)


def reconstruct(
    weights: np.ndarray,
    factor: np.ndarray,
    kept: np.ndarray | int,
    layout: BlockLayout,
    bits: int | None = None,
    group: int = 32,
) -> np.ndarray | GroupQuant:
    """Prune, and with `bits` also quantise, making up for the errors.

    Masks and scales of a unit, the least number of whole blocks and whole scale groups, are settled when it is reached,
    from weights that already make up for what was lost before: the saliency is w^2 / U[j, j]^2.

    Args:
        weights: float32 [rows, K].
        factor: of `inverse_factor`.
        kept: N, one for all or [block rows, block columns].
        bits: width of the signed codes; `None` keeps float32.
        group: weights along K that share a scale; divides K where `bits` is given.

    Returns:
        float32 [rows, K], or its codes and scales; pruned weights are 0.
    """
    rows, inputs = weights.shape
    w = weights.T.astype(np.float32, order="C")
    result = np.zeros_like(w)
    scales = np.zeros((inputs // group if bits else 0, rows), np.float32)
    kept = np.broadcast_to(kept, layout.shape)
    for start, end in _spans(_units(layout, group if bits else 1)):
        errors = np.zeros((end[-1] - start[0], rows), np.float32)
        for first, last in zip(start, end, strict=True):
            keep = _unit_mask(w[first:last], factor, kept, layout, first).T
            if bits:
                scale = _unit_scales(w[first:last] * keep, factor, first, bits, group)
                scales[first // group : last // group] = scale
            for j in range(first, last):
                value = w[j] * keep[j - first]
                if bits:
                    of_group = scales[j // group]
                    q = codes(value, of_group, *code_range(bits))
                    result[j], value = q, q * of_group
                else:
                    result[j] = value
                error = (w[j] - value) / factor[j, j]
                w[j + 1 : end[-1]] -= factor[j, j + 1 : end[-1], None] * error
                errors[j - start[0]] = error
        w[end[-1] :] -= factor[start[0] : end[-1], end[-1] :].T @ errors
    if not bits:
        return np.ascontiguousarray(result.T)
    return GroupQuant(
        np.ascontiguousarray(result.T).astype(np.int8), np.ascontiguousarray(scales.T), None, group, bits, True
    )


def _units(layout: BlockLayout, group: int) -> list[tuple[int, int]]:
    """(first, end) of the inputs of each unit: both blocks and scale groups start there."""
    starts = np.flatnonzero(np.diff(layout.inputs, prepend=-1))
    starts = starts[starts % group == 0].tolist()
    return list(zip(starts, [*starts[1:], len(layout.inputs)], strict=True))


def _spans(units: list[tuple[int, int]]) -> list[tuple[list[int], list[int]]]:
    """Units in runs of at most `SPAN` inputs (or a single one), each as the list of firsts and that of ends."""
    spans: list[tuple[list[int], list[int]]] = []
    for first, end in units:
        if not spans or end - spans[-1][0][0] > SPAN:
            spans.append(([], []))
        spans[-1][0].append(first)
        spans[-1][1].append(end)
    return spans


def _unit_mask(w: np.ndarray, factor: np.ndarray, kept: np.ndarray, layout: BlockLayout, first: int) -> np.ndarray:
    """bool [rows, inputs of the unit] for weights w [inputs of the unit, rows]."""
    own = slice(first, first + len(w))
    block = layout.inputs[own]
    part = BlockLayout(layout.rows, block - block[0])
    saliency = (w / np.diagonal(factor)[own, None]).T ** 2
    return keep_mask(saliency, kept[:, block[0] : block[-1] + 1], part)


def _unit_scales(w: np.ndarray, factor: np.ndarray, first: int, bits: int, group: int) -> np.ndarray:
    """float32 [groups, rows] for weights w [inputs of the unit, rows]."""
    inputs, rows = w.shape
    importance = np.diagonal(factor)[first : first + inputs].reshape(-1, 1, group) ** -2.0
    grouped = w.reshape(-1, group, rows).swapaxes(1, 2)
    return group_scales(grouped, bits, importance)[..., 0]
