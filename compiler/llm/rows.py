"""Where vectors lie in the global buffer, and what an instruction touches."""

from typing import NamedTuple

__all__ = ["Region", "Rows"]

Region = tuple[str, int, int]
"""What an instruction touches: a space ("vmem" rows, "xbuf" blocks, "cache" images) and a half-open interval in it."""


class Rows(NamedTuple):
    """Vectors in the global buffer: the first row of the first one, and the rows from one to the next."""

    first: int
    stride: int = 0

    def __add__(self, rows: object) -> "Rows":
        """The same vectors from `rows` rows further on."""
        assert isinstance(rows, int)
        return Rows(self.first + rows, self.stride)

    def spans(self, each: int, count: int) -> list[Region]:
        """Of `count` vectors of `each` rows."""
        starts = [self.first + t * self.stride for t in range(count if self.stride else 1)]
        return [("vmem", start, start + each) for start in starts]
