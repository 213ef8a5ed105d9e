"""Where vectors lie in the global buffer."""

from typing import NamedTuple

__all__ = ["Rows"]


class Rows(NamedTuple):
    """Vectors in the global buffer: the first row of the first one, and the rows from one to the next."""

    first: int
    stride: int = 0

    def __add__(self, rows: object) -> "Rows":
        """The same vectors from `rows` rows further on."""
        assert isinstance(rows, int)
        return Rows(self.first + rows, self.stride)
