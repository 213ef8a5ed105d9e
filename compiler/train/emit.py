"""Instructions of the training engine, in order, with the tokens that what they read and write asks for."""

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

    def depends_on(self, before: "_Instruction") -> bool:
        """It reads what the other writes, or writes what that reads or writes."""
        return self.reads_of(before) or any(
            mine.meets(other) for mine in self.writes for other in before.reads + before.writes)


class Emitter:
    """Collects instructions; queues run beside each other, and only tokens order them.

    An instruction waits for the last one of each other queue on which it depends: it takes a token, which that one
    releases, unless an instruction of its own queue has waited for that one, or a later one, before. In its own queue
    it waits for the one before, if it reads what that writes: that one's words may still be on their way.
    """

    def __init__(self) -> None:
        self.instructions: list[_Instruction] = []
        self.waited: dict[tuple[int, int], int] = {}  # (queue, other) -> position of the last one waited for

    def add(self, name: str, fields: dict[str, int], *, reads: Iterable[Region] = (),
            writes: Iterable[Region] = ()) -> None:
        mine = _Instruction(name, fields, tuple(reads), tuple(writes), QUEUES.index(ISA.by_name(name).queue))
        for other in range(len(QUEUES) - 1):
            self._wait(mine, other)
        self.instructions.append(mine)

    def _wait(self, mine: _Instruction, other: int) -> None:
        known = self.waited.get((mine.queue, other), -1)
        for position in range(len(self.instructions) - 1, known, -1):
            before = self.instructions[position]
            if before.queue != other:
                continue
            if other == mine.queue and not mine.reads_of(before):
                return
            if mine.depends_on(before):
                before.releases.add(mine.queue)
                mine.waits.add(other)
                self.waited[mine.queue, other] = position
                return

    def words(self) -> list[int]:
        """The program, with HALT at its end."""
        return [ISA.encode(one.name, {**one.fields, "wait": _mask(one.waits), "release": _mask(one.releases)})
                for one in self.instructions] + [ISA.encode("HALT", {})]


def _mask(queues: Iterable[int]) -> int:
    return sum(1 << queue for queue in queues)
