"""Whole matrices out of the memory images, tile by tile."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from golden.params import BLOCK, LlmParams

from .decode import DecodedLanes, decode_lanes
from .numerics import EX_MAX

__all__ = ["ImageMatrix", "read_matrix"]


@dataclass(frozen=True)
class ImageMatrix:
    """w[r, k] = q[r, k] * scale[r, g] + minimum[r, g], g the scale group of input k, exactly.

    Attributes:
        q: int8 [outputs, inputs], with the padding. scale: float64 [outputs, groups]. minimum: likewise, or None.
    """

    q: np.ndarray
    scale: np.ndarray
    minimum: np.ndarray | None

    @property
    def inputs(self) -> int:
        return self.q.shape[1]

    def dense(self, rows: slice = slice(None)) -> np.ndarray:
        """float64 [outputs, inputs] of some outputs."""
        scale = self.scale[rows, :, None]
        grouped = self.q[rows].reshape(*scale.shape[:2], -1) * scale
        if self.minimum is not None:
            grouped += self.minimum[rows, :, None]
        return grouped.reshape(len(grouped), -1)


def read_matrix(
    params: LlmParams, images: Mapping[str, np.ndarray], place: Mapping[str, Any], layer: int = 0
) -> ImageMatrix:
    """Decode a layer's matrix out of the weight channels.

    Args:
        images: port -> uint8 array.
        place: the matrix's entry in the manifest's `matrices`.

    Raises:
        ValueError: the images do not hold such tiles.
        OverflowError: some input could overflow the accumulator of 48 bits. Without that, the float64 products and sums
            of `dense()` with any quantised vector are exact.
    """
    tiles = [_read_tile(params, images, place, tile, layer * place["stride"]) for tile in place["tiles"]]
    minima = [tile.minimum for tile in tiles if tile.minimum is not None]
    return ImageMatrix(
        np.concatenate([tile.q for tile in tiles]),
        np.concatenate([tile.scale for tile in tiles]),
        np.concatenate(minima) if minima else None,
    )


def _read_tile(
    params: LlmParams, images: Mapping[str, np.ndarray], place: Mapping[str, Any], tile: Mapping[str, int], base: int
) -> ImageMatrix:
    start = base + tile["offset"]
    words = [
        images[f"w{channel}"][start : start + tile["beats"] * params.word_bytes]
        .view("<u2")
        .reshape(-1, params.lanes_per_channel, params.planes)
        for channel in range(params.channels)
    ]
    lanes = decode_lanes(
        np.ascontiguousarray(np.concatenate(words, 1).transpose(1, 0, 2)),
        rows=tile["rows"], blocks=place["share"], group=place["group_blocks"],
        scaled=True, minimum=place["minimum"], raw=False,
    )  # fmt: skip
    result = _in_natural_order(params, lanes, place["group_blocks"])
    largest = np.abs(result.dense()).sum(1).max() * (127 << EX_MAX)
    if largest >= 1 << 47:
        raise OverflowError(f"tile at {start:#x}: sums up to {largest:.0f} overflow the accumulator of 48 bits")
    unit = 2.0**lanes.header.exponent
    return ImageMatrix(result.q, result.scale * unit, None if result.minimum is None else result.minimum * unit)


def _in_natural_order(params: LlmParams, lanes: DecodedLanes, group: int) -> ImageMatrix:
    """Chain `column * row_groups + g` has rows g, g + row_groups, ...; columns take scale groups in turn."""

    def natural(values: np.ndarray, width: int) -> np.ndarray:
        rows, groups = values.shape[1], values.shape[2] // width
        dealt = values.reshape(params.ksplit, params.row_groups, rows, groups, width)
        return dealt.transpose(2, 1, 3, 0, 4).reshape(rows * params.row_groups, -1)

    assert lanes.scale is not None
    minimum = None if lanes.minimum is None else natural(lanes.minimum << lanes.header.min_shift, 1).astype(np.float64)
    return ImageMatrix(
        natural(lanes.q.astype(np.int8), group * BLOCK), natural(lanes.scale, 1).astype(np.float64), minimum
    )
