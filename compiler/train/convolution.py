"""A convolution as matrix instructions: forward, the gradient of its input, that of its weights."""

from collections.abc import Iterator
from dataclasses import dataclass

from golden.params import check
from golden.train.params import GROUP, INTERLEAVE, TrainParams

__all__ = ["Convolution", "Part"]

ROW_MASK = (1 << 16) - 1


@dataclass(frozen=True)
class Part:
    """An MM without its places in buffers and memory.

    Attributes:
        fields: of the instruction. x, w: rows beyond the first one of the image, of the weights. out: words beyond the
            first one of the result.
    """

    fields: dict[str, int]
    x: int
    w: int
    out: int


@dataclass(frozen=True, kw_only=True)
class Convolution:
    """Channels are those of memory: multiples of a memory word's numbers; outputs of a tile's columns, too.

    Attributes:
        height, width: of the input. inputs, outputs: channels. kernel, stride, padding: the same both ways.
        kernel_x: taps of a line, where these are others than a column's, `kernel`.
    """

    height: int
    width: int
    inputs: int
    outputs: int
    kernel: int = 1
    stride: int = 1
    padding: int = 0
    kernel_x: int | None = None

    def __post_init__(self) -> None:
        check(min(self.taps_of) >= 1 and max(self.taps_of) <= 15, "kernel", self.taps_of, "must be 1..15")
        check(1 <= self.stride <= 15, "stride", self.stride, "must be 1..15")
        check(0 <= self.padding < min(self.taps_of), "padding", self.padding, f"must be below kernel = {self.taps_of}")
        for name, taps in zip(("height", "width"), self.taps_of, strict=True):
            size = getattr(self, name)
            check(taps <= size + 2 * self.padding and size < 4096, name, size,
                  "must hold the kernel, and be below 4096")

    @property
    def taps_of(self) -> tuple[int, int]:
        """Taps of a column, and of a line."""
        return self.kernel, self.kernel if self.kernel_x is None else self.kernel_x

    @property
    def taps(self) -> int:
        """All of them."""
        return self.taps_of[0] * self.taps_of[1]

    @property
    def out_height(self) -> int:
        return (self.height + 2 * self.padding - self.taps_of[0]) // self.stride + 1

    @property
    def out_width(self) -> int:
        return (self.width + 2 * self.padding - self.taps_of[1]) // self.stride + 1

    def forward(self, p: TrainParams, images: int, slots: int) -> Part:
        """Y: rows are its pixels, k's the taps' input channels."""
        words, of_tap = self.inputs // p.word, _steps(self.inputs, slots)
        out_words = self.outputs // p.word
        return Part({
            "slots_log2": slots.bit_length() - 1, "pixels": images * self.out_height * self.out_width,
            "nx": self.out_width, "ny": self.out_height, "step_x": self.stride * words,
            "step_y": self.stride * self.width * words, "step_n": self.height * self.width * words,
            "x0": -self.padding, "y0": -self.padding, "stride_x": self.stride, "stride_y": self.stride,
            "width": self.width, "height": self.height, "taps_x": self.taps_of[1], "taps_y": self.taps_of[0],
            "words": words,
            "tap_dx": 1, "tap_dy": 1, "tap_x": words, "tap_y": self.width * words,
            "w_x": of_tap, "w_y": self.taps_of[1] * of_tap, "out_words": p.tile_columns // p.word,
            "out_x": out_words, "out_y": self.out_width * out_words,
            "out_n": self.out_height * self.out_width * out_words,
        }, x=-self.padding * (self.width + 1) * words, w=0, out=0)  # fmt: skip

    def input_gradient(self, p: TrainParams, images: int, slots: int) -> Iterator[Part]:
        """dX: rows are its pixels, k's the taps' output channels. Lines and columns that meet the same taps, every
        `stride`-th, are a part.
        """
        words, of_tap, out_words = self.outputs // p.word, _steps(self.outputs, slots), self.inputs // p.word
        for line in range(min(self.stride, self.height)):
            for column in range(min(self.stride, self.width)):
                first_y, taps_y, y0 = self._taps(line, 0)
                first_x, taps_x, x0 = self._taps(column, 1)
                none = not taps_y or not taps_x  # zeros, as no tap lies inside of an image without lines
                ny, nx = -(-(self.height - line) // self.stride), -(-(self.width - column) // self.stride)
                yield Part({
                    "slots_log2": slots.bit_length() - 1, "pixels": images * ny * nx, "nx": nx, "ny": ny,
                    "step_x": words, "step_y": self.out_width * words,
                    "step_n": self.out_height * self.out_width * words, "x0": x0, "y0": y0,
                    "stride_x": 1, "stride_y": 1, "width": self.out_width, "height": 0 if none else self.out_height,
                    "taps_x": max(1, taps_x), "taps_y": max(1, taps_y), "words": words, "tap_dx": -1, "tap_dy": -1,
                    "tap_x": -words, "tap_y": -self.out_width * words,
                    "w_x": self.stride * of_tap, "w_y": self.stride * self.taps_of[1] * of_tap,
                    "out_words": p.tile_columns // p.word, "out_x": self.stride * out_words,
                    "out_y": self.stride * self.width * out_words, "out_n": self.height * self.width * out_words,
                }, x=(y0 * self.out_width + x0) * words, w=(first_y * self.taps_of[1] + first_x) * of_tap,
                    out=(line * self.width + column) * out_words)  # fmt: skip

    def weight_gradient(self, p: TrainParams, images: int) -> Part:
        """dW: rows are the input channels of each tap, k's the pixels of Y. Blocks of 16 x 16 in binary32: tap by tap,
        16 inputs after the other, then 16 outputs of the tile, then the block's inputs.
        """
        forward = self.forward(p, images, GROUP)
        piece, pieces = 2 * GROUP // p.word, p.tile_columns // GROUP
        return Part(forward.fields | {
            "spread": 1, "wide": 1, "out_words": piece * pieces, "out_piece": piece * GROUP, "out_x": piece,
            "out_y": piece * pieces * GROUP, "out_n": 0, "w_x": 0, "w_y": 0,
        }, x=forward.x, w=0, out=0)  # fmt: skip

    def _taps(self, line: int, axis: int) -> tuple[int, int, int]:
        """First tap that a line of the input meets, how many `stride` apart there are, line of Y for the first one."""
        first = (line + self.padding) % self.stride
        count = max(0, -(-(self.taps_of[axis] - first) // self.stride))
        return first, count, (line + self.padding - first) // self.stride


def _steps(channels: int, slots: int) -> int:
    """Rows of W for a tap."""
    return channels // GROUP * slots * INTERLEAVE
