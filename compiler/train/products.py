"""Convolutions of tensors in memory: loads and matrix instructions, chunk by chunk."""

from dataclasses import dataclass

from compiler.capacity import require
from golden.train.params import GROUP, INTERLEAVE, TrainParams, slots
from golden.train.prune import pattern_logs
from golden.train.sparsity import DENSE

from .convolution import ROW_MASK, Convolution, Part
from .emit import Emitter, Region

__all__ = ["REMEDY", "Compact", "Products", "part_images"]

REMEDY = "take an engine with more"


@dataclass(frozen=True)
class Compact:
    """Compact weights in memory, as `compiler.train.weights.compact` lays them out.

    Attributes:
        values, index: first words; index is not used if the weights are dense. n, m: of the pattern, or 16, 16.
    """

    values: int
    index: int
    n: int
    m: int

    @property
    def slots(self) -> int:
        """Of a group of 16."""
        return slots(self.n, self.m)


def part_images(params: TrainParams, conv: Convolution, images: int) -> int:
    """Images of a part of dW, as `golden.train.convolution.weight_gradient` has it: all, or as many as half of each
    buffer holds; one where none fits, which `Products` refuses."""
    return max(1, min(images, *(half // of_image for _, of_image, half in _image_sizes(params, conv))))


def _image_sizes(p: TrainParams, conv: Convolution):
    """(buffer, what an image takes of it, what there is in half of it) for a weight gradient."""
    return (("x_words", _words(p, conv.height, conv.width, conv.inputs), p.x_words // 2),
            ("w_steps", conv.out_height * conv.out_width * INTERLEAVE, p.w_steps // 2))


class Products:
    """Emits convolutions. Each half of X and of W is loaded while the array works on the other one.

    Args:
        emitter: gets the instructions.

    Attributes:
        kinds: place in the program of each MM, with what it is for: ff, bp or wu.
    """

    def __init__(self, params: TrainParams, emitter: Emitter) -> None:
        self.params, self.emitter = params, emitter
        self.turn = {"x": 0, "w": 0}
        self.kinds: list[tuple[int, str]] = []

    def forward(self, conv: Convolution, images: int, x: int, weights: Compact, y: int) -> None:
        """Y of X in memory, words `y` and `x` on: NHWC, 16 bits.

        Raises:
            DoesNotFitError: an image in half of X, or the weights of a tile's columns in W.
        """
        of_image, of_out = _words(self.params, conv.height, conv.width, conv.inputs), _words(
            self.params, conv.out_height, conv.out_width, conv.outputs)
        self._products("ff", lambda some: [conv.forward(self.params, some, weights.slots)], images, of_image, of_out, x,
                       weights, y, conv.taps * conv.inputs // GROUP, conv.outputs)

    def input_gradient(self, conv: Convolution, images: int, dy: int, weights: Compact, dx: int,
                       pattern: tuple[int, int] = DENSE) -> None:
        """dX of dY, of which N:M of the channels of a pixel are taken; `weights` have the output channels as k's, the
        input channels as columns. Raises as `forward`."""
        of_image, of_out = _words(self.params, conv.out_height, conv.out_width, conv.outputs), _words(
            self.params, conv.height, conv.width, conv.inputs)
        self._products("bp", lambda some: list(conv.input_gradient(self.params, some, weights.slots)), images, of_image,
                       of_out, dy, weights, dx, conv.taps * conv.outputs // GROUP, conv.inputs, pattern)

    def weight_gradient(self, conv: Convolution, images: int, x: int, dy: int, dw: int) -> None:
        """dW in binary32, a part of `part_images` images after the other, for all of which there must be room; in it a
        tile of output channels after the other (see `Convolution.weight_gradient`).

        Raises:
            DoesNotFitError: an image in half of X, or all its pixels of dY in half of W.
        """
        p, at_once = self.params, part_images(self.params, conv, images)
        for name, of_image, half in _image_sizes(p, conv):
            require(name, of_image, half, REMEDY)
        of_image = _words(p, conv.height, conv.width, conv.inputs)
        of_out = _words(p, conv.out_height, conv.out_width, conv.outputs)
        for first in range(0, images, at_once):
            self._weight_gradient(conv, min(at_once, images - first), x + first * of_image, dy + first * of_out, dw)
            dw += 2 * conv.taps * conv.inputs * conv.outputs // p.word

    def _weight_gradient(self, conv: Convolution, images: int, x: int, dy: int, dw: int) -> None:
        p, pixels = self.params, images * conv.out_height * conv.out_width
        x_half = self._load_x(x, images * _words(p, conv.height, conv.width, conv.inputs))
        part, row_words = conv.weight_gradient(p, images), p.tile_columns // p.word
        size = conv.taps * conv.inputs * p.tile_columns * 2 // p.word
        for tile in range(conv.outputs // p.tile_columns):
            w_half = self._half("w")
            start = dy + tile * row_words
            stride = conv.outputs // p.word
            self.emitter.add("LDW", {"address": start, "words": row_words, "runs": pixels, "stride": stride,
                                     "to": w_half.start},
                             reads=[Region("memory", start, start + (pixels - 1) * stride + row_words)],
                             writes=[Region("w", w_half.start, w_half.start + pixels * INTERLEAVE)])
            self._multiply("wu", part, x_half, w_half, dw + tile * size, size)

    def _products(self, kind, parts_of, images, of_image, of_out, x, weights, y, groups, channels,
                  pattern=DENSE) -> None:
        p = self.params
        steps = groups * weights.slots * INTERLEAVE
        require("x_words", of_image, p.x_words // 2, REMEDY)
        at_once = min(images, p.x_words // 2 // of_image)
        tiles, w_half = channels // p.tile_columns, None
        for first in range(0, images, at_once):
            some = min(at_once, images - first)
            x_half = self._load_x(x + first * of_image, some * of_image, pattern)
            for tile in range(tiles):
                if tiles > 1 or w_half is None:
                    w_half = self._load_weights(weights, tile, steps)
                for part in parts_of(some):
                    at = y + first * of_out + tile * (p.tile_columns // p.word)
                    self._multiply(kind, part, x_half, w_half, at, some * of_out)

    def _half(self, place: str) -> Region:
        size = (self.params.x_words if place == "x" else self.params.w_steps) // 2
        start = self.turn[place] * size
        self.turn[place] ^= 1
        return Region(place, start, start + size)

    def _load_x(self, address: int, words: int, pattern: tuple[int, int] = DENSE) -> Region:
        half, (n, m) = self._half("x"), pattern_logs(*pattern)
        self.emitter.add("LDX", {"address": address, "words": words, "runs": 1, "to": half.start, "n": n, "m": m},
                         reads=[Region("memory", address, address + words)], writes=[half])
        return half

    def _load_weights(self, weights: Compact, tile: int, steps: int) -> Region:
        """Where a tile's steps are: in half of W, or in all of it, which the array then waits for. A few steps' indices
        may begin amid a memory word."""
        p, further, before, words, rows = self.params, 0, 0, 0, steps
        if weights.slots < GROUP:
            of_word = 4 * p.word // p.columns
            before, further = divmod(tile * steps, of_word)
            words = -(-(further + steps) // of_word)
            rows = words * of_word
        require("w_steps", rows, p.w_steps, REMEDY)
        half = self._half("w") if rows <= p.w_steps // 2 else Region("w", 0, p.w_steps)
        if words:
            self._load_w(weights.index + before, words, half, half.start, index=1)
        words = steps * p.columns // p.word
        self._load_w(weights.values + tile * words, words, half, half.start + further, index=0)
        return Region("w", half.start + further, half.end)

    def _load_w(self, address: int, words: int, half: Region, to: int, *, index: int) -> None:
        self.emitter.add("LDW", {"address": address, "words": words, "runs": 1, "to": to, "index": index},
                         reads=[Region("memory", address, address + words)], writes=[half])

    def _multiply(self, kind: str, part: Part, x_half: Region, w_half: Region, out: int, size: int) -> None:
        fields = {**part.fields, "x": x_half.start + part.x & ROW_MASK, "w": w_half.start + part.w,
                  "out": out + part.out}
        self.kinds.append((len(self.emitter.instructions), kind))
        self.emitter.add("MM", fields, reads=[x_half, w_half], writes=[Region("memory", out, out + size)])


def _words(p: TrainParams, height: int, width: int, channels: int) -> int:
    return height * width * channels // p.word
