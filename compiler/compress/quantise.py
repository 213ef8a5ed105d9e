"""Group quantisation to the engine's widths, with the scale that costs least; zeros stay zeros."""

from __future__ import annotations

import numpy as np

from compiler.frontend.model import GroupQuant

__all__ = ["code_range", "codes", "group_scales", "quantise"]

SHRINK = np.linspace(1.0, 0.6, 17)
"""Scales tried, as a share of the one that just reaches the group's largest magnitude."""


def code_range(bits: int) -> tuple[int, int]:
    """Least and greatest signed code; 8 bits leave out -128, so that sums cannot overflow sooner than the engine's."""
    return (-127, 127) if bits == 8 else (-(1 << bits - 1), (1 << bits - 1) - 1)


def codes(weights: np.ndarray, scale: np.ndarray, low: int, high: int) -> np.ndarray:
    """Integers nearest to `weights / scale`, within low .. high, as float; 0 where the scale is 0."""
    return np.clip(np.rint(weights / np.where(scale > 0, scale, 1)), low, high)


def group_scales(weights: np.ndarray, bits: int, importance: np.ndarray) -> np.ndarray:
    """Symmetric scales that minimise the squared error of their group, searched on a grid.

    Args:
        weights: float [..., group].
        bits: width of the signed codes.
        importance: weight of each error, broadcast to `weights`.

    Returns:
        float32 [..., 1], 0 for a group of zeros.
    """
    low, high = code_range(bits)
    reach = np.maximum(weights.max(-1, keepdims=True) / high, weights.min(-1, keepdims=True) / low)
    best, least = reach, np.full(reach.shape, np.inf)
    for share in SHRINK:
        scale = reach * share
        error = (importance * (codes(weights, scale, low, high) * scale - weights) ** 2).sum(-1, keepdims=True)
        best, least = np.where(error < least, scale, best), np.minimum(error, least)
    return best.astype(np.float32)


def quantise(
    weights: np.ndarray, bits: int, group: int, importance: np.ndarray | None = None, minimum: bool = False
) -> GroupQuant:
    """Quantise float32 [rows, K].

    Args:
        bits: 2, 3, 4, 5 or 8.
        group: weights along K that share a scale; divides K.
        importance: [K], how much an error at each input counts (its sum of squares); `None`: all the same.
        minimum: unsigned codes and an offset for each group, `w = scale * q + minimum`; at most 5 bits. Without it
            codes are signed, and weights of 0 become codes of 0.
    """
    rows, inputs = weights.shape
    grouped = weights.reshape(rows, -1, group).astype(np.float32)
    weight_of = np.ones(inputs, np.float32) if importance is None else importance.astype(np.float32)
    weight_of = weight_of.reshape(-1, group)
    if minimum:
        scale, offset = _scale_and_minimum(grouped, bits, weight_of)
        q = codes(grouped - offset, scale, 0, (1 << bits) - 1)
    else:
        scale, offset = group_scales(grouped, bits, weight_of), None
        q = codes(grouped, scale, *code_range(bits))
    return GroupQuant(
        q.astype(np.int8).reshape(rows, inputs),
        scale[..., 0],
        None if offset is None else offset[..., 0],
        group,
        bits,
        offset is None,
    )


def _scale_and_minimum(grouped: np.ndarray, bits: int, weight_of: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scale and minimum [rows, groups, 1]: for each range tried the least-squares line through the codes it gives."""
    top = (1 << bits) - 1
    low, high = grouped.min(-1, keepdims=True), grouped.max(-1, keepdims=True)
    middle, total = (low + high) / 2, weight_of.sum(-1, keepdims=True)
    best = (np.zeros_like(low), low)
    least = np.full(low.shape, np.inf)
    for share in SHRINK:
        offset = middle - (high - low) / 2 * share
        scale = (high - low) * share / top
        q = codes(grouped - offset, scale, 0, top)
        mean_q = (weight_of * q).sum(-1, keepdims=True) / total
        mean_w = (weight_of * grouped).sum(-1, keepdims=True) / total
        spread = (weight_of * (q - mean_q) ** 2).sum(-1, keepdims=True)
        slope = (weight_of * (q - mean_q) * (grouped - mean_w)).sum(-1, keepdims=True)
        scale = np.where(spread > 0, np.maximum(slope, 0) / np.where(spread > 0, spread, 1), scale)
        offset = mean_w - scale * mean_q
        error = (weight_of * (q * scale + offset - grouped) ** 2).sum(-1, keepdims=True)
        better = error < least
        best = tuple(np.where(better, new, old) for new, old in zip((scale, offset), best, strict=True))
        least = np.minimum(error, least)
    return best[0].astype(np.float32), best[1].astype(np.float32)
