"""The update unit: what UPD does (docs/units/train.md, golden/isa/train.py)."""

from collections.abc import Iterator, Mapping

import numpy as np

from golden.floats import BINARY32

from .params import GROUP, TrainParams, slots
from .prune import pattern_of, pieces
from .update import RULES

__all__ = ["INDEX_BYTES", "VALUES_BYTES", "UpdateUnit"]

VALUES_BYTES = 2 * GROUP
INDEX_BYTES = GROUP // 2
"""Of a piece."""


class UpdateUnit:
    """Master weights, the optimiser's states and compact weights of a tile of output channels."""

    def __init__(self, params: TrainParams) -> None:
        self.params = params

    def update(self, v: Mapping[str, int], image: np.ndarray, arguments: tuple[int, ...]
               ) -> Iterator[tuple[int, np.ndarray]]:
        """UPD: (byte in memory, uint8 data) of what is written.

        Args:
            image: the port's memory, uint8. arguments: the run's, as `TrainParams.arguments` has them.

        Raises:
            ValueError: what the unit refuses.
        """
        ff, bp = self._check(v, arguments)
        p = self.params
        count, size = v["taps"] * v["groups"] * (p.tile_columns // GROUP), p.axi_bits // 8
        words = self._blocks(image, v["masters"] * size, len(p.masters) * count)
        turns = words.reshape(-1, len(p.masters), p.word // 2).swapaxes(0, 1)
        masters = {name: turn.reshape(count, GROUP, GROUP) for name, turn in zip(p.masters, turns, strict=True)}
        gradient = self._gradient(v, image, count)
        settings = {name: BINARY32.from_bits(bits) for name, bits in zip(p.arguments, arguments, strict=False)}
        pruned = self._pruned(image, v, ff, count) if v["masked"] else None
        made = RULES[p.optimiser_name].updated(p.half, settings, gradient=gradient, pruned=pruned, **masters)
        new = np.stack([part.reshape(-1, p.word // 2) for part in (made.w, *made.states.values())], axis=1)
        yield v["masters"] * size, new.view(np.uint8).ravel()
        if v["ff"]:
            at = self._forward(v, count, slots(*ff))
            yield from self._compact(made.half, ff, at, v["ff_values"], v["ff_index"])
        if v["bp"]:
            at = self._back(v, slots(*bp))
            yield from self._compact(made.half.transpose(0, 2, 1), bp, at, v["bp_values"], v["bp_index"])

    def _check(self, v: Mapping[str, int], arguments: tuple[int, ...]):
        given = self.params.arguments[: len(arguments)]
        if not {*self.params.settings} <= {*given}:
            raise ValueError(f"{len(arguments)} arguments: they must be {', '.join(self.params.arguments)}")
        if min(v["taps"], v["groups"], v["parts"]) < 1:
            raise ValueError("no taps, no inputs or no parts")
        found = [pattern_of(v, f"{what}_n", f"{what}_m") for what in ("ff", "bp")]
        if v["masked"] and found[0] == (GROUP, GROUP):
            raise ValueError("masked: dense weights have no indices")
        return found

    def _pruned(self, image: np.ndarray, v: Mapping[str, int], ff: tuple[int, int], count: int) -> np.ndarray:
        """bool [blocks, inputs, outputs]: weights that no index of FF's names, before they are written."""
        per_tile = self.params.tile_columns // GROUP
        number = self._forward(v, count, slots(*ff))[:, None] + per_tile * np.arange(slots(*ff))
        at = (v["ff_index"] + number[..., None]) * INDEX_BYTES + np.arange(INDEX_BYTES)
        if at.max() >= len(image):
            raise ValueError("indices beyond the memory")
        index = np.stack([image[at] & 15, image[at] >> 4], axis=-1).reshape(*number.shape, GROUP)
        return (index[:, :, None] != np.arange(GROUP)[:, None]).all(axis=1)

    def _gradient(self, v: Mapping[str, int], image: np.ndarray, count: int) -> np.ndarray:
        """dW: the sum of its parts from +0, which changes nothing if there is one: that is a sum of products."""
        size = self.params.axi_bits // 8
        starts = v["gradient"] + v["part"] * np.arange(v["parts"], dtype=np.int64)
        first, *others = (self._blocks(image, at * size, count) for at in starts.tolist())
        if not others:
            return first
        total = BINARY32.add(0, first)
        for part in others:
            total = BINARY32.add(total, part)
        return total

    def _blocks(self, image: np.ndarray, at: int, count: int) -> np.ndarray:
        """float32 [blocks, inputs, outputs]."""
        size = 4 * GROUP * GROUP * count
        if at + size > len(image):
            raise ValueError(f"{size} bytes at {at}: beyond the memory")
        return image[at : at + size].view(np.float32).reshape(count, GROUP, GROUP)

    def _forward(self, v: Mapping[str, int], count: int, of_group: int) -> np.ndarray:
        """int64 [blocks]: piece of slot 0."""
        line, column = np.divmod(np.arange(count), self.params.tile_columns // GROUP)
        return line * of_group * (self.params.tile_columns // GROUP) + column

    def _back(self, v: Mapping[str, int], of_group: int) -> np.ndarray:
        """int64 [blocks]: piece of slot 0."""
        per_tile = self.params.tile_columns // GROUP
        tap, group, column = np.ogrid[: v["taps"], : v["groups"], :per_tile]
        tile, place = np.divmod(group, per_tile)
        return (tap * v["bp_tap"] + tile * v["bp_tile"] + column * of_group * per_tile + place).ravel()

    def _compact(self, halves: np.ndarray, pattern: tuple[int, int], at: np.ndarray, values_at: int, index_at: int
                 ) -> Iterator[tuple[int, np.ndarray]]:
        per_tile = self.params.tile_columns // GROUP
        for first, block in zip(at.tolist(), halves, strict=True):
            values, index = pieces(block, *pattern)
            for slot in range(slots(*pattern)):
                number = first + slot * per_tile
                yield (values_at + number) * VALUES_BYTES, np.ascontiguousarray(values[slot]).view(np.uint8)
                if pattern != (GROUP, GROUP):
                    yield (index_at + number) * INDEX_BYTES, index[slot, ::2] | index[slot, 1::2] << 4
