"""The matrix unit: what LDX, LDW and MM do (docs/units/train.md, golden/isa/train.py)."""

from collections.abc import Iterator, Mapping

import numpy as np

from .params import GROUP, INTERLEAVE, TrainParams
from .product import product
from .prune import expand, pattern_of, prune

__all__ = ["MatrixUnit", "Pixels"]

INDEX_BITS = 4


class Pixels:
    """Where an MM's pixels lie: `index` [count] over lines of nx and images of ny lines."""

    def __init__(self, v: Mapping[str, int]) -> None:
        number = np.arange(v["pixels"], dtype=np.int64)
        self.x, self.y, self.n = number % v["nx"], number // v["nx"] % v["ny"], number // (v["nx"] * v["ny"])
        self.v = v

    def row(self) -> np.ndarray:
        """int64 [count]: row of X of tap 0, word 0."""
        v = self.v
        return v["x"] + self.x * v["step_x"] + self.y * v["step_y"] + self.n * v["step_n"]

    def inside(self, tap_y: int, tap_x: int) -> np.ndarray:
        """bool [count]: the tap lies in the image."""
        v = self.v
        x = v["x0"] + self.x * v["stride_x"] + tap_x * v["tap_dx"]
        y = v["y0"] + self.y * v["stride_y"] + tap_y * v["tap_dy"]
        return (x >= 0) & (x < v["width"]) & (y >= 0) & (y < v["height"])

    def out(self) -> np.ndarray:
        """int64 [count]: word in memory of a row of sums, if rows are pixels."""
        v = self.v
        return v["out"] + self.x * v["out_x"] + self.y * v["out_y"] + self.n * v["out_n"]


class MatrixUnit:
    """Buffers and array.

    Attributes:
        x: uint16 [x_words, word]. values: uint16 [w_steps, columns]; index: uint8, the same.
    """

    def __init__(self, params: TrainParams) -> None:
        self.params = p = params
        self.x = np.zeros((p.x_words, p.word), np.uint16)
        self.values = np.zeros((p.w_steps, p.columns), np.uint16)
        self.index = np.zeros((p.w_steps, p.columns), np.uint8)

    def load(self, v: Mapping[str, int], image: np.ndarray, what: str) -> None:
        """LDX, LDW: `what` is x, values or index; `image`: the port's memory, uint8.

        Raises:
            ValueError: no runs, runs that leave the memory or the buffer, or a pattern that is none.
        """
        p = self.params
        size = p.axi_bits // 8
        starts = v["address"] + v["stride"] * np.arange(v["runs"], dtype=np.int64)
        words = (starts[:, None] + np.arange(v["words"])).ravel()
        if not len(words) or (words.max() + 1) * size > len(image):
            raise ValueError("no words, or some beyond the memory")
        data = image[: len(image) // size * size].reshape(-1, size)[words]
        if what == "index":
            numbers = np.stack([data & 15, data >> INDEX_BITS], axis=-1)
            rows = numbers.reshape(-1, p.columns)
        else:
            numbers = np.ascontiguousarray(data).view(np.uint16)
            rows = numbers.reshape(-1, p.word if what == "x" else p.columns)
        if what == "x":
            pattern = pattern_of(v)
            rows = rows if pattern == (GROUP, GROUP) else expand(*prune(rows, *pattern))
        buffer = getattr(self, what)
        of_word = self.params.steps_of_word.get(what, 1)
        if v["to"] % of_word:
            raise ValueError(f"to = {v['to']}: must be a multiple of {of_word}, the steps of a memory word")
        if v["to"] + len(rows) > len(buffer):
            raise ValueError(f"{len(rows)} rows from {v['to']} on: the buffer has {len(buffer)}")
        buffer[v["to"] : v["to"] + len(rows)] = rows

    def multiply(self, v: Mapping[str, int]) -> Iterator[tuple[int, np.ndarray]]:
        """MM: (word in memory, uint8 data of whole words) of what is written.

        Raises:
            ValueError: what the unit refuses.
        """
        self._check(v)
        sums, words = self._spread(v) if v["spread"] else self._pixels(v)
        size = self.params.axi_bits // 8
        for row, at in zip(sums, words.tolist(), strict=True):
            if not v["wide"]:
                yield at, self.params.half.narrow(row).view(np.uint8)[: v["out_words"] * size]
                continue
            pieces = row.view(np.uint8).reshape(-1, 4 * GROUP)
            per_piece = 4 * GROUP // size
            for number in range(v["out_words"] // per_piece):
                yield at + number * v["out_piece"], pieces[number]

    def steps(self, v: Mapping[str, int]) -> int:
        """Cycles in which the array's first row multiplies."""
        p, taps = self.params, v["taps_x"] * v["taps_y"]
        if v["spread"]:
            return INTERLEAVE * v["pixels"] * taps * v["words"] // (p.rows // p.word)
        of_tile = (INTERLEAVE << v["slots_log2"]) * taps * v["words"] * p.word // GROUP
        if v["stationary"]:
            return (INTERLEAVE << v["slots_log2"]) * v["pixels"]
        return -(-v["pixels"] // p.rows) * of_tile

    def _check(self, v: Mapping[str, int]) -> None:
        p = self.params
        row_words = p.tile_columns * (4 if v["wide"] else 2) * 8 // p.axi_bits
        if not 1 <= v["slots_log2"] <= 4 or (v["spread"] and (v["slots_log2"] < 4 or v["stationary"])):
            raise ValueError("slots that there are not, or pixels as k's with compact or stationary weights")
        if min(v["pixels"], v["nx"], v["ny"], v["taps_x"], v["taps_y"], v["words"]) < 1:
            raise ValueError("no pixels, taps or words")
        if not 1 <= v["out_words"] <= row_words:
            raise ValueError(f"out_words = {v['out_words']}: a row of sums has {row_words}")
        if v["spread"] and v["words"] % (p.rows // p.word):
            raise ValueError(f"words = {v['words']}: rows take {p.rows // p.word} at once")
        groups = v["taps_x"] * v["taps_y"] * v["words"] * p.word // GROUP
        if v["stationary"] and groups > min(p.rows, INTERLEAVE << v["slots_log2"]):
            raise ValueError(f"{groups} groups: too many to be stationary")

    def _taps(self, v: Mapping[str, int]) -> Iterator[tuple[int, int]]:
        return ((tap_y, tap_x) for tap_y in range(v["taps_y"]) for tap_x in range(v["taps_x"]))

    def _gathered(self, v: Mapping[str, int], pixels: Pixels, tap_y: int, tap_x: int, words: slice) -> np.ndarray:
        """uint16 [pixels, numbers] of some words of a tap; +0 outside of the image. Rows are counted modulo x_words."""
        at = pixels.row() + tap_y * v["tap_y"] + tap_x * v["tap_x"]
        inside = pixels.inside(tap_y, tap_x)
        rows = np.where(inside, at, 0)[:, None] + np.arange(words.start, words.stop)
        return np.where(inside[:, None], self.x[rows % len(self.x)].reshape(len(at), -1), np.uint16(0))

    def _pixels(self, v: Mapping[str, int]) -> tuple[np.ndarray, np.ndarray]:
        p, pixels, slots = self.params, Pixels(v), 1 << v["slots_log2"]
        x = np.concatenate([self._gathered(v, pixels, *tap, slice(0, v["words"])) for tap in self._taps(v)], axis=1)
        groups = v["words"] * p.word // GROUP
        steps = np.concatenate([
            v["w"] + tap_y * v["w_y"] + tap_x * v["w_x"] + np.arange(groups * slots * INTERLEAVE)
            for tap_y, tap_x in self._taps(v)
        ]).reshape(-1, slots, INTERLEAVE)
        values = self.values[steps % p.w_steps].reshape(-1, slots, p.tile_columns)
        index = self.index[steps % p.w_steps].reshape(values.shape)
        if slots == GROUP:
            index = np.broadcast_to(np.arange(GROUP, dtype=np.uint8)[:, None], values.shape)
        return product(x, values, index, p.half), pixels.out()

    def _spread(self, v: Mapping[str, int]) -> tuple[np.ndarray, np.ndarray]:
        """k's that fill the last group are not multiplied, which adding +0 stands for."""
        p, pixels, at_once = self.params, Pixels(v), self.params.rows // self.params.word
        count = v["pixels"]
        padded = -(-count // GROUP) * GROUP
        steps = v["w"] + np.arange(count * INTERLEAVE)
        y = np.zeros((padded, p.tile_columns), np.uint16)
        y[:count] = self.values[steps % p.w_steps].reshape(count, -1)
        values = y.reshape(-1, GROUP, p.tile_columns)
        index = np.broadcast_to(np.arange(GROUP, dtype=np.uint8)[:, None], values.shape)
        sums = []
        for tap_y, tap_x in self._taps(v):
            for block in range(0, v["words"], at_once):
                x = np.zeros((p.rows, padded), np.uint16)
                x[:, :count] = self._gathered(v, pixels, tap_y, tap_x, slice(block, block + at_once)).T
                sums.append(product(x, values, index, p.half))
        row = np.arange(len(sums) * p.rows)
        return np.concatenate(sums), v["out"] + row // GROUP * v["out_y"] + row % GROUP * v["out_x"]
