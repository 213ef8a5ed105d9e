"""Events and processes of the training engine's cycle model; times are cycles of the engine."""

from collections.abc import Callable, Generator
from heapq import heappop, heappush

__all__ = ["Clock", "Signal", "Steps", "ignored", "spawn"]


class Clock:
    """Events in the order of their times."""

    def __init__(self) -> None:
        self.now, self.events, self.count = 0.0, [], 0

    def at(self, time: float, what: Callable[[], None]) -> None:
        self.count += 1
        heappush(self.events, (time if time > self.now else self.now, self.count, what))

    def run(self) -> None:
        while self.events:
            self.now, _, what = heappop(self.events)
            what()


class Signal:
    """Wakes those who wait, once each time."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []

    def fire(self) -> None:
        waiting, self.waiting = self.waiting, []
        for wake in waiting:
            wake()


Steps = Generator[float | Signal, None, None]
"""A process: yields a time or a signal, and goes on then."""


def spawn(clock: Clock, steps: Steps) -> None:
    """Start a process."""
    def go() -> None:
        until = next(steps, None)
        if isinstance(until, Signal):
            until.waiting.append(go)
        elif until is not None:
            clock.at(until, go)

    go()


def ignored(*_) -> None:
    """For what nobody waits for."""
