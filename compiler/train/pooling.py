"""Max pooling of tensors in memory, forward and back."""

from dataclasses import dataclass

from golden.params import check
from golden.train.pooling import phases

from .emit import Region
from .memory import Memory
from .vectors import Vectors

__all__ = ["LARGEST", "Pooling"]

LARGEST = 15
"""Kernel of a POOL."""


@dataclass(frozen=True, kw_only=True)
class Pooling:
    """Emits the pooling of `images` of `height` x `width` pixels of `words` memory words each.

    Attributes:
        kernel: lines and pixels of a line of a window. step: pixels from one window to the next.

    Raises:
        ValueError: windows that do not fit the image.
    """

    vectors: Vectors
    images: int
    height: int
    width: int
    words: int
    kernel: int
    step: int

    def __post_init__(self) -> None:
        check(1 <= self.kernel <= min(self.height, self.width, LARGEST), "kernel", self.kernel,
              f"must be 1 to {LARGEST} and fit the image, {self.height} x {self.width}")

    @property
    def windows(self) -> tuple[int, int]:
        """Lines of them, and those of a line."""
        return (self.height - self.kernel) // self.step + 1, (self.width - self.kernel) // self.step + 1

    def forward(self, x: int, y: int) -> None:
        """Y of X, words in memory."""
        self._emit(x, y, self._image, self.windows, reads=[self._tensor(x)], writes=[self._outputs(y)])

    def backward(self, dy: int, x: int, dx: int, memory: Memory) -> None:
        """dX of dY and X, words in memory: +0 where no window is. Windows that overlap take room of two tensors of X's
        size and one of dY's."""
        (ny, nx), line = self.windows, self.width * self.words
        sets = list(phases(self.windows, self.kernel, self.step))
        if len(sets) == 1:
            self._gradient(dy, x, dx, self.windows, self.step)
            return
        part, total, some = memory.room(self._size), memory.room(self._size), memory.room(self._outputs(0).end)
        totals = [dx, total] if len(sets) % 2 else [total, dx]  # the last sum is dX
        for number, (i, j, apart) in enumerate(sets):
            windows = -(-(ny - i) // apart), -(-(nx - j) // apart)
            self._emit(dy + (i * nx + j) * self.words, some, (ny * nx * self.words, nx * self.words), windows, kernel=1,
                       step=apart, reads=[self._outputs(dy)], writes=[self._outputs(some)])
            to = part if number else totals[0]
            self._gradient(some, x, to, windows, apart * self.step, i * self.step * line + j * self.step * self.words)
            if number:
                self.vectors.add(totals[0], part, totals[1], pixels=self._pixels, words=self.words)
                totals.reverse()

    def _gradient(self, dy: int, x: int, dx: int, windows: tuple[int, int], step: int, corner: int = 0) -> None:
        """dX of windows that do not overlap, the first one `corner` words from X's beginning."""
        if corner or tuple(count * self.kernel for count in windows) != (self.height, self.width):
            # a pass whose gate is nowhere open and whose constants are zero, whatever it reads
            self.vectors.passed(x, out=dx, pixels=self._pixels, words=self.words, gate=1, b_none=1)
        self._emit(x + corner, dx + corner, self._image, windows, step=step, back=1, dy=dy,
                   reads=[self._tensor(x), self._outputs(dy)], writes=[self._tensor(dx)])

    def _emit(self, x: int, out: int, image: tuple[int, int], windows: tuple[int, int], *, reads: list[Region],
              writes: list[Region], **fields: int) -> None:
        """image: words from one to the next, and from line to line."""
        ny, nx = windows
        self.vectors.emitter.add("POOL", {
            "x": x, "out": out, "kernel": self.kernel, "step": self.step, "nx": nx, "ny": ny, "images": self.images,
            "words": self.words, "image": image[0], "line": image[1], **fields,
        }, reads=reads, writes=writes)

    @property
    def _pixels(self) -> int:
        return self.images * self.height * self.width

    @property
    def _size(self) -> int:
        """Words of X."""
        return self._pixels * self.words

    @property
    def _image(self) -> tuple[int, int]:
        return self.height * self.width * self.words, self.width * self.words

    def _tensor(self, at: int) -> Region:
        return Region("memory", at, at + self._size)

    def _outputs(self, at: int) -> Region:
        ny, nx = self.windows
        return Region("memory", at, at + self.images * ny * nx * self.words)
