"""Max pooling of tensors in memory, forward and back."""

from dataclasses import dataclass

from golden.params import check

from .emit import Region
from .vectors import Vectors

__all__ = ["Pooling"]


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
        check(1 <= self.kernel <= min(self.height, self.width, 15), "kernel", self.kernel,
              f"must be 1 to 15 and fit the image, {self.height} x {self.width}")

    @property
    def windows(self) -> tuple[int, int]:
        """Lines of them, and those of a line."""
        return (self.height - self.kernel) // self.step + 1, (self.width - self.kernel) // self.step + 1

    def forward(self, x: int, y: int) -> None:
        """Y of X, words in memory."""
        self._pool(x, y, {}, reads=[self._tensor(x)], writes=[self._outputs(y)])

    def backward(self, dy: int, x: int, dx: int) -> None:
        """dX of dY and X, words in memory: +0 where no window is.

        Raises:
            ValueError: windows that overlap.
        """
        check(self.step >= self.kernel, "step", self.step,
              f"gradients of windows that overlap: must be at least kernel = {self.kernel}")
        covered = tuple(count * self.kernel for count in self.windows) == (self.height, self.width)
        if not covered:  # a pass whose gate is nowhere open and whose constants are zero, whatever it reads
            pixels = self.images * self.height * self.width
            self.vectors.passed(x, out=dx, pixels=pixels, words=self.words, gate=1, b_none=1)
        self._pool(x, dx, {"back": 1, "dy": dy}, reads=[self._tensor(x), self._outputs(dy)], writes=[self._tensor(dx)])

    def _pool(self, x: int, out: int, fields: dict[str, int], *, reads: list[Region], writes: list[Region]) -> None:
        line, (ny, nx) = self.width * self.words, self.windows
        self.vectors.emitter.add("POOL", {
            "x": x, "out": out, "kernel": self.kernel, "step": self.step, "nx": nx, "ny": ny, "images": self.images,
            "words": self.words, "line": line, "image": self.height * line, **fields,
        }, reads=reads, writes=writes)

    def _tensor(self, at: int) -> Region:
        return Region("memory", at, at + self.images * self.height * self.width * self.words)

    def _outputs(self, at: int) -> Region:
        ny, nx = self.windows
        return Region("memory", at, at + self.images * ny * nx * self.words)
