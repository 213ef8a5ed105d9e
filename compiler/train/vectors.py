"""Instructions of the vector unit: passes over tensors, operations on rows of the channel file, moves of these."""

import numpy as np

from compiler.capacity import require
from golden.floats import BINARY32
from golden.isa.train import Channel
from golden.train.params import TrainParams

from .emit import Emitter, Region
from .memory import Memory
from .products import REMEDY

__all__ = ["Vectors"]


class Vectors:
    """Emits. Rows are numbers of rows of the channel file; `zero` and `one` are the first of `words` rows each that
    hold nothing else, rows from `first` on are whose that wants them.

    Args:
        words: most words of channels that a pixel has.
    """

    def __init__(self, params: TrainParams, emitter: Emitter, memory: Memory, words: int) -> None:
        self.params, self.emitter = params, emitter
        self.zero, self.one, self.first = 0, words, 2 * words
        self.rows(0)
        require("channel_words", words, params.channel_words, REMEDY)
        constants = np.repeat(np.array([0, 1], np.float32), words * params.word)
        self.load(memory.put(constants), self.zero, 2 * words)

    def rows(self, count: int) -> int:
        """The first of so many rows; raises DoesNotFitError."""
        require("channel_rows", self.first + count, self.params.channel_rows, REMEDY)
        return self.first

    def load(self, address: int, row: int, rows: int, *, half: bool = False) -> None:
        """Rows from memory words on: binary32, or 16-bit numbers."""
        size = rows if half else 2 * rows
        self.emitter.add("LDC", {"address": address, "row": row, "rows": rows, "half": int(half)},
                         reads=[Region("memory", address, address + size)])

    def store(self, address: int, row: int, rows: int, *, half: bool = False) -> None:
        """The opposite of `load`."""
        size = rows if half else 2 * rows
        self.emitter.add("STC", {"address": address, "row": row, "rows": rows, "half": int(half)},
                         writes=[Region("memory", address, address + size)])

    def turn_in(self, address: int, row: int, words: int, stride: int) -> None:
        """Memory words, `stride` apart, become lanes of as many rows as a word has numbers."""
        self.emitter.add("LDC", self._turned(address, row, words, stride),
                         reads=[Region("memory", address, address + (words - 1) * stride + 1)])

    def turn_out(self, address: int, row: int, words: int, stride: int) -> None:
        """The opposite of `turn_in`."""
        self.emitter.add("STC", self._turned(address, row, words, stride),
                         writes=[Region("memory", address, address + (words - 1) * stride + 1)])

    @staticmethod
    def _turned(address: int, row: int, words: int, stride: int) -> dict[str, int]:
        return {"address": address, "row": row, "rows": words, "half": 1, "turn": 1, "stride": stride}

    def operate(self, op: str, d: int, a: int, b: int | None = None, *, rows: int, value: float | None = None,
                argument: str | None = None, same: bool = False) -> None:
        """d = a OP b on rows; b is rows, one row for all (`same`), a number, or an argument of the run."""
        fields = {"op": Channel[op], "rows": rows, "a": a, "d": d}
        if value is not None:
            fields |= {"constant": 1, "value": int(BINARY32.to_bits(value))}
        elif argument is not None:
            fields |= {"constant": 1, "argument": self.params.arguments.index(argument) + 1}
        elif b is not None:
            fields |= {"b": b, "same": int(same)}
        self.emitter.add("CHN", fields)

    def add(self, a: int, b: int, out: int, *, pixels: int, words: int) -> None:
        """The sum of two tensors, words in memory."""
        self.passed(a, b, out, pixels=pixels, words=words, constants={"c2": self.one, "c3": self.one})

    def passed(self, a: int, b: int | None = None, out: int | None = None, *, pixels: int, words: int,
               segment: int | None = None, constants: dict[str, int] | None = None, sums: int | None = None,
               **modes: int) -> None:
        """A pass over a and b, words in memory, to `out` and to rows from `sums` on.

        Args:
            constants: first row by name; zeros for others. modes: fields gate, relu, b_is_a, b_none.
        """
        given = constants or {}
        size = pixels * words
        rows = {f"c{n}": given.get(f"c{n}", self.zero) for n in range(5)}
        read = [a] if b is None else [a, b]
        self.emitter.add(
            "VEC", {"a": a, "b": b or 0, "out": out or 0, "pixels": pixels, "segment": segment or pixels,
                    "words": words, "s": sums or 0, "outputs": int(out is not None), "sums": int(sums is not None),
                    **rows, **modes},
            reads=[Region("memory", at, at + size) for at in read],
            writes=[] if out is None else [Region("memory", out, out + size)])
