"""Instructions of the training engine, in order, with the tokens that what they read and write asks for."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field

from golden.isa.train import ISA, QUEUES

__all__ = ["Emitter", "Region"]


@dataclass(frozen=True)
class Region:
    """Words `start` to `end` - 1 of a place: memory, x or w."""

    place: str
    start: int
    end: int

    def meets(self, other: "Region") -> bool:
        return self.place == other.place and self.start < other.end and other.start < self.end


@dataclass
class _Instruction:
    name: str
    fields: dict[str, int]
    reads: tuple[Region, ...]
    writes: tuple[Region, ...]
    queue: int
    waits: set[int] = field(default_factory=set)
    releases: set[int] = field(default_factory=set)

    def reads_of(self, before: "_Instruction") -> bool:
        """It reads what the other writes."""
        return any(mine.meets(other) for mine in self.reads for other in before.writes)


class _Latest:
    """Positions, each later than all before: the latest one of every word of a place. Spans of words that have the same
    one do not overlap, so that what is asked or noted costs the spans it meets, not the program."""

    def __init__(self) -> None:
        self.starts: list[int] = []
        self.ends: list[int] = []
        self.positions: list[int] = []

    def _met(self, start: int, end: int) -> tuple[int, int]:
        return bisect_right(self.ends, start), bisect_left(self.starts, end)

    def note(self, start: int, end: int, position: int) -> None:
        if start >= end:
            return
        first, last = self._met(start, end)
        spans = [(start, end, position)]
        if first < last:  # what juts out on both sides
            left, right = (self.starts[first], start, self.positions[first]), (
                end, self.ends[last - 1], self.positions[last - 1])
            spans = [span for span in (left, spans[0], right) if span[0] < span[1]]
        for mine, column in zip((self.starts, self.ends, self.positions), zip(*spans, strict=True), strict=True):
            mine[first:last] = column

    def among(self, start: int, end: int) -> int:
        """The latest position of words from `start` to `end` - 1; -1: there is none."""
        first, last = self._met(start, end)
        return max(self.positions[first:last], default=-1) if start < end else -1


class Emitter:
    """Collects instructions; queues run beside each other, and only tokens order them.

    An instruction waits for the last one of each other queue on which it depends: it takes a token, which that one
    releases, unless an instruction of its own queue has waited for that one, or a later one, before. In its own queue
    it waits for the one before, if it reads what that writes: that one's words may still be on their way.
    """

    def __init__(self) -> None:
        self.instructions: list[_Instruction] = []
        self.waited: dict[tuple[int, int], int] = {}  # (queue, other) -> position of the last one waited for
        self.last: dict[int, int] = {}  # position of a queue's last one
        self.latest: dict[tuple[int, str, str], _Latest] = {}  # of a queue, a place, reads or writes

    def add(self, name: str, fields: dict[str, int], *, reads: Iterable[Region] = (),
            writes: Iterable[Region] = ()) -> None:
        mine = _Instruction(name, fields, tuple(reads), tuple(writes), QUEUES.index(ISA.by_name(name).queue))
        position = len(self.instructions)
        for other in range(len(QUEUES) - 1):
            self._wait(mine, other)
        self.instructions.append(mine)
        self.last[mine.queue] = position
        for kind, regions in (("reads", mine.reads), ("writes", mine.writes)):
            for region in regions:
                latest = self.latest.setdefault((mine.queue, region.place, kind), _Latest())
                latest.note(region.start, region.end, position)

    def _wait(self, mine: _Instruction, other: int) -> None:
        if other == mine.queue:
            position = self.last.get(other, -1)
            if position >= 0 and not mine.reads_of(self.instructions[position]):
                return
        else:  # it reads what that writes, or writes what that reads or writes
            position = max((self._latest(other, kind, region) for regions, kinds in (
                (mine.reads, ("writes",)), (mine.writes, ("reads", "writes")))
                for region in regions for kind in kinds), default=-1)  # fmt: skip
        if position > self.waited.get((mine.queue, other), -1):
            self.instructions[position].releases.add(mine.queue)
            mine.waits.add(other)
            self.waited[mine.queue, other] = position

    def _latest(self, queue: int, kind: str, region: Region) -> int:
        latest = self.latest.get((queue, region.place, kind))
        return latest.among(region.start, region.end) if latest else -1

    def words(self) -> list[int]:
        """The program, with HALT at its end."""
        return [ISA.encode(one.name, {**one.fields, "wait": _mask(one.waits), "release": _mask(one.releases)})
                for one in self.instructions] + [ISA.encode("HALT", {})]


def _mask(queues: Iterable[int]) -> int:
    return sum(1 << queue for queue in queues)
