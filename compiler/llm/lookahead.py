"""What stands in the program behind tiles that do not need it."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Lookahead"]


@dataclass(frozen=True)
class _Waiting:
    owner: object
    due: int
    emit: Callable[[], None]


class Lookahead:
    """Emits what works on tiles' results, in order, once so many more tiles are in the array's queue, or when their
    owner needs it: a queue that waits for results would keep the array from its next tiles."""

    def __init__(self, tiles: int) -> None:
        self.tiles, self.emitted = tiles, 0
        self.waiting = deque[_Waiting]()

    def add(self, owner: object, emit: Callable[[], None]) -> None:
        """`emit` waits for the next tiles."""
        self.waiting.append(_Waiting(owner, self.emitted + self.tiles, emit))

    def tile(self) -> None:
        """A tile has been emitted."""
        self.emitted += 1
        while self.waiting and self.waiting[0].due <= self.emitted:
            self.waiting.popleft().emit()

    def settle(self, owner: object) -> None:
        """Emit what waits for `owner`, and what stands before it."""
        while any(waiting.owner is owner for waiting in self.waiting):
            self.waiting.popleft().emit()
