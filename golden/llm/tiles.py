"""Weights on their way from LDW to the array: the lanes' stream, and the tiles that products take from it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from golden.params import BLOCK

from .decode import decode_lanes
from .stream import TileHeader

__all__ = ["LaneStream", "Tile"]


@dataclass
class Tile:
    """A decoded tile: exact integers, rows in output order, inputs column by column.

    Attributes:
        weights: float64 [rows * row_groups, columns * blocks * 16], scaled. minimum: by group, or None.
        used: lane words. macs: stored weights that are not 0. dense: every block keeps 16 or none.
    """

    weights: np.ndarray
    minimum: np.ndarray | None
    used: int
    macs: int
    dense: bool
    header: TileHeader

    def times(self, x: np.ndarray, group: int) -> np.ndarray:
        """int64 sums of the rows, exact, for int64 inputs [columns, blocks, 16], `group` blocks a scale."""
        acc = self.weights @ x.reshape(-1).astype(np.float64)
        if self.minimum is not None:
            columns, blocks, _ = x.shape
            padded = np.zeros((columns, -(-blocks // group) * group), np.int64)
            padded[:, :blocks] = x.sum(2)
            sums = padded.reshape(columns, -1, group).sum(2) << self.header.min_shift
            acc += self.minimum @ sums.reshape(-1).astype(np.float64)
        return acc.astype(np.int64)


class LaneStream:
    """Loads in order; a product takes as many words as its tile has."""

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self.loads: list[tuple[int, np.ndarray]] = []
        self.tiles: dict[tuple, Tile] = {}

    def append(self, address: int, beats: np.ndarray) -> None:
        """A load from `address`: uint16 [words, chains, planes]."""
        self.loads.append((address, beats))

    @property
    def left(self) -> list[int]:
        """Words of each load that no product has taken."""
        return [len(beats) for _, beats in self.loads if len(beats)]

    def take(self, v: Mapping[str, int]) -> Tile:
        """The next tile, as MV's or MM's fields `v` describe it; constant ones (a whole load, with descriptors) are
        decoded once.

        Raises:
            ValueError: nothing is loaded, or the stream is not such a tile.
        """
        if not self.loads:
            raise ValueError("there are no loaded weights")
        address, first = self.loads[0]
        whole = not v["raw"] and v["beats"] == len(first)
        key = (address, len(first), v["blocks"], v["rows"])
        if whole and key in self.tiles:
            tile = self.tiles[key]
        else:
            tile = self._decode(v, first if len(self.loads) == 1 else np.concatenate([b for _, b in self.loads]))
            if whole:
                self.tiles[key] = tile
        if v["dense"] and not tile.dense:
            raise ValueError("a block keeps other than 16 or none of its inputs; the tile is said to be dense")
        left = tile.used
        while left:
            address, beats = self.loads.pop(0)
            if left < len(beats):
                self.loads.insert(0, (address, beats[left:]))
            left -= min(left, len(beats))
        return tile

    def _decode(self, v: Mapping[str, int], stream: np.ndarray) -> Tile:
        rows, blocks, group = v["rows"], v["blocks"], 1 << v["group_log2"]
        scaled, minimum, raw = (bool(v[name]) for name in ("scaled", "minimum", "raw"))
        lanes = decode_lanes(
            np.ascontiguousarray(stream.transpose(1, 0, 2)),
            rows=rows, blocks=blocks, group=group, scaled=scaled, minimum=minimum, raw=raw,
        )  # fmt: skip
        used = lanes.used
        if v["beats"]:
            if used > v["beats"]:
                raise ValueError(f"a lane needs {used} beats, the tile has {v['beats']}")
            used = v["beats"]
        q = lanes.q
        if lanes.scale is not None:
            q = q * np.repeat(lanes.scale, group * BLOCK, 2)[..., : blocks * BLOCK]
        return Tile(
            self._in_output_order(q),
            None if lanes.minimum is None else self._in_output_order(lanes.minimum),
            used,
            int(np.count_nonzero(lanes.q)),
            lanes.dense,
            lanes.header,
        )

    def _in_output_order(self, lanes: np.ndarray) -> np.ndarray:
        """float64 [rows * row_groups, columns * n] of int64 [chains, rows, n]."""
        chains, rows, n = lanes.shape
        parts = lanes.reshape(self.columns, chains // self.columns, rows, n).transpose(2, 1, 0, 3)
        return parts.reshape(-1, self.columns * n).astype(np.float64)
