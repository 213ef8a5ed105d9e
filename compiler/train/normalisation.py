"""Batch norm, with the ReLU behind it, as passes and operations on channels (docs/units/train.md, "Layers")."""

from golden.floats import BINARY32
from golden.isa.train import Channel
from golden.train.params import TrainParams

from .emit import Emitter, Region

__all__ = ["BatchNorm"]

ROWS = ("zero", "gamma", "beta", "mean", "square", "scale", "shift", "inverse", "t", "u", "s0", "s1")


class BatchNorm:
    """Emits a batch norm's passes; its channels have rows of their own in the channel file, from `first` on.

    Args:
        words: of channels. first: row; what is there is zero, and stays so for `zero`.
    """

    def __init__(self, params: TrainParams, emitter: Emitter, *, words: int, first: int, epsilon: float = 1e-5) -> None:
        self.params, self.emitter, self.words, self.epsilon = params, emitter, words, epsilon
        self.row = {name: first + words * number for number, name in enumerate(ROWS)}
        self.rows = Region("file", first, first + words * len(ROWS))

    def load(self, gamma: int, beta: int) -> None:
        """Gamma and beta from memory words on: binary32, a number a channel."""
        for name, address in (("gamma", gamma), ("beta", beta)):
            self._move("LDC", name, address, 1)

    def forward(self, x: int, y: int, pixels: int, *, relu: bool) -> None:
        """Statistics of x, uint16 [pixels, channels] in memory, and y."""
        share = 1 / pixels
        self._pass(x, None, None, pixels, {}, sums=1, b_is_a=1)
        self._operate("MUL", "mean", "s0", value=share)
        self._operate("MUL", "square", "s1", value=share)
        self._operate("MUL", "t", "mean", "mean")
        self._operate("SUB", "t", "square", "t")
        self._operate("MAX", "t", "t", value=0)
        self._operate("ADD", "t", "t", value=self.epsilon)
        self._operate("RSQRT", "inverse", "t")
        self._operate("MUL", "scale", "gamma", "inverse")
        self._operate("MUL", "t", "mean", "scale")
        self._operate("SUB", "shift", "beta", "t")
        self._pass(x, None, y, pixels, {"c2": "scale", "c4": "shift"}, outputs=1, relu=int(relu), b_none=1)

    def backward(self, dy: int, x: int, dx: int, pixels: int, *, relu: bool, gamma: int, beta: int) -> None:
        """dX, and the gradients of gamma and beta to memory words on; with the rows that `forward` has left."""
        share, gate = 1 / pixels, {"c0": "scale", "c1": "shift"}
        self._pass(dy, x, None, pixels, gate, sums=1, gate=int(relu))
        self._operate("MUL", "t", "mean", "s0")
        self._operate("SUB", "t", "s1", "t")
        self._operate("MUL", "s1", "t", "inverse")
        self._operate("MUL", "t", "s1", "inverse")
        self._operate("MUL", "t", "t", value=share)
        self._operate("MUL", "t", "scale", "t")
        self._operate("MUL", "t", "t", value=-1)
        self._operate("MUL", "u", "s0", value=share)
        self._operate("MUL", "u", "scale", "u")
        self._operate("MUL", "u", "u", value=-1)
        self._operate("MUL", "square", "t", "mean")
        self._operate("SUB", "u", "u", "square")
        self._pass(dy, x, dx, pixels, {**gate, "c2": "scale", "c3": "t", "c4": "u"}, outputs=1, gate=int(relu))
        self._move("STC", "s1", gamma, 0)
        self._move("STC", "s0", beta, 0)

    def _operate(self, op: str, d: str, a: str, b: str | None = None, value: float | None = None) -> None:
        fields = {"op": Channel[op], "rows": self.words, "a": self.row[a], "d": self.row[d]}
        if value is not None:
            fields |= {"constant": 1, "value": int(BINARY32.to_bits(value))}
        elif b is not None:
            fields["b"] = self.row[b]
        self.emitter.add("CHN", fields, reads=[self.rows], writes=[self.rows])

    def _pass(self, a: int, b: int | None, out: int | None, pixels: int, constants: dict[str, str],
              **modes: int) -> None:
        size = pixels * self.words
        rows = {f"c{n}": self.row[constants.get(f"c{n}", "zero")] for n in range(5)}
        read, written = [a] if b is None else [a, b], [] if out is None else [out]
        self.emitter.add("VEC", {"a": a, "b": b or 0, "out": out or 0, "pixels": pixels, "segment": pixels,
                                 "words": self.words, "s": self.row["s0"], **rows, **modes},
                         reads=[self.rows, *(Region("memory", at, at + size) for at in read)],
                         writes=[self.rows, *(Region("memory", at, at + size) for at in written)])

    def _move(self, name: str, row: str, address: int, loads: int) -> None:
        memory = Region("memory", address, address + 2 * self.words)
        self.emitter.add(name, {"address": address, "rows": self.words, "row": self.row[row]},
                         reads=[memory] if loads else [self.rows], writes=[self.rows] if loads else [memory])
