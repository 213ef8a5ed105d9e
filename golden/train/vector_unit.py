"""The vector unit: the channel file, operations on it, and passes over tensors (LDC, STC, CHN, VEC)."""

from collections.abc import Iterator, Mapping

import numpy as np

from golden import functions
from golden.float32 import maximum
from golden.floats import BINARY32
from golden.isa.train import Channel

from .params import TrainParams
from .vector import CONSTANTS, VectorMode, vector_pass

__all__ = ["VectorUnit"]

MODES = ("gate", "relu", "outputs", "sums", "b_is_a", "b_none")


class VectorUnit:
    """Attributes:
        file: float32 [channel_rows, word]: rows of channels, what passes need beside tensors and what they leave.
    """

    def __init__(self, params: TrainParams) -> None:
        self.params = params
        self.file = np.zeros((params.channel_rows, params.word), np.float32)

    def load(self, v: Mapping[str, int], image: np.ndarray) -> None:
        """LDC from the port's memory, uint8. Raises ValueError for rows beyond the file, or words beyond the memory."""
        rows, word = self._moved(v), self.params.word
        if not v["half"]:
            rows[:] = self._words(image, v["address"], 2 * v["rows"]).view(np.float32).reshape(-1, word)
            return
        for number in range(v["rows"]):
            bits = self._words(image, v["address"] + number * (v["stride"] if v["turn"] else 1), 1).view(np.uint16)
            place = (slice(None), number) if v["turn"] else number
            rows[place] = self.params.half.widen(bits)

    def stored(self, v: Mapping[str, int]) -> Iterator[tuple[int, np.ndarray]]:
        """STC: (word in memory, uint8 that go there). Raises ValueError for rows beyond the file."""
        rows, half = self._moved(v), self.params.half
        if not v["half"]:
            yield v["address"], rows.reshape(-1).view(np.uint8)
            return
        for number in range(v["rows"]):
            at = v["address"] + number * (v["stride"] if v["turn"] else 1)
            numbers = np.ascontiguousarray(rows[:, number] if v["turn"] else rows[number])
            yield at, half.narrow(numbers).view(np.uint8)

    def _moved(self, v: Mapping[str, int]) -> np.ndarray:
        if not v["turn"]:
            return self._rows(v["row"], v["rows"])
        if not v["half"] or not 0 < v["rows"] <= self.params.word:
            raise ValueError(f"turn: needs half, and rows = {v['rows']} must be 1 to {self.params.word}")
        return self._rows(v["row"], self.params.word)

    def channel(self, v: Mapping[str, int], arguments: tuple[int, ...] = ()) -> None:
        """CHN, with the run's arguments. Raises ValueError for rows beyond the file, no operation, no such argument."""
        a = self._rows(v["a"], v["rows"])
        if v["argument"] > len(arguments):
            raise ValueError(f"argument {v['argument']}: the run has {len(arguments)}")
        constant = arguments[v["argument"] - 1] if v["argument"] else v["value"]
        b = BINARY32.from_bits(constant) if v["constant"] else self._rows(
            v["b"], 1 if v["same"] else v["rows"])
        match Channel(v["op"]):
            case Channel.MUL:
                made = BINARY32.mul(a, b)
            case Channel.ADD:
                made = BINARY32.add(a, b)
            case Channel.SUB:
                made = BINARY32.add(a, -b)
            case Channel.MAX:
                made = maximum(a, b)
            case Channel.RSQRT:
                made = functions.rsqrt(a)
            case Channel.RECIP:
                made = functions.recip(a)
            case Channel.EXP:
                made = functions.exp(a)
        self._rows(v["d"], v["rows"])[:] = made

    def vector(self, v: Mapping[str, int], image: np.ndarray) -> np.ndarray | None:
        """VEC: uint8, the output tensor, if there is one; sums go to the channel file.

        Raises:
            ValueError: what the unit refuses, rows beyond the file, words beyond the memory.
        """
        p, words = self.params, v["words"]
        if not 0 < words <= p.channel_words:
            raise ValueError(f"words = {words}: must be 1 to channel_words = {p.channel_words}")
        mode = VectorMode(segment=v["segment"], **{name: bool(v[name]) for name in MODES})
        constants = np.stack([self._rows(v[f"c{n}"], words).ravel() for n in range(CONSTANTS)])

        def tensor(first: int) -> np.ndarray:
            numbers = self._words(image, first, v["pixels"] * words).view(np.uint16)
            return numbers.reshape(v["pixels"], words * p.word)

        passed = vector_pass(mode, p.half, tensor(v["a"]), tensor(v["b"]) if mode.reads_b else None, constants)
        if passed.s0 is not None and passed.s1 is not None:
            sums = np.stack([passed.s0, passed.s1], axis=1)
            self._rows(v["s"], sums.size // p.word)[:] = sums.reshape(-1, p.word)
        return None if passed.out is None else passed.out.reshape(-1).view(np.uint8)

    def _rows(self, first: int, count: int) -> np.ndarray:
        if not 0 < count <= len(self.file) - first:
            raise ValueError(f"{count} rows from {first} on: the channel file has {len(self.file)}")
        return self.file[first : first + count]

    def _words(self, image: np.ndarray, first: int, count: int) -> np.ndarray:
        size = self.params.axi_bits // 8
        if (first + count) * size > len(image):
            raise ValueError("words beyond the memory")
        return image[first * size : (first + count) * size]
