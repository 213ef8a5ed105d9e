"""Results that the vector unit may touch while the array still writes the rest of them."""

from collections import deque
from dataclasses import dataclass, replace

from golden.isa.llm import ISA, QUEUES
from golden.params import LlmParams

from .effects import written
from .positions import touched

__all__ = ["EarlyResults"]

MV, MISC = QUEUES.index("MV"), QUEUES.index("MISC")


@dataclass(frozen=True)
class _Results:
    """Of an MV or MM that gives MISC a token. `order`: row of the global buffer -> the how-manieth of `rows` it is.
    `start`: MISC's position when it took the token."""

    order: dict[int, int]
    early: int
    rows: int
    start: int = 0


class EarlyResults:
    """Proves of a program that what `early` allows is in order.

    The array writes a row a cycle. The vector unit takes at least a cycle for each position (see VEC), those of QNT and
    AMX being the rows that they read: so that a row may be touched as many positions after the token as there are rows
    to write before it.
    """

    def __init__(self, params: LlmParams) -> None:
        self.params = params
        self.position = 0
        self.waiting: deque[_Results] = deque()
        self.taken: list[_Results] = []

    def enter(self, name: str, v: dict[str, int]) -> None:
        """The next instruction, A, B and N resolved.

        Raises:
            ValueError: it touches results that may not be there yet, or is an MV or MM with `early` whose token others
                than MISC get.
        """
        match ISA.by_name(name).queue:
            case "MV":
                self._product(name, v)
            case "MISC":
                self._vector(name, v)
            case "LD" | "ST" if name in ("LDV", "LDG", "STV"):
                self._others(range(v["b"], v["b"] + self._rows(v["n"])))

    def _rows(self, elements: int) -> int:
        return -(-elements // self.params.sfu_lanes)

    def _product(self, name: str, v: dict[str, int]) -> None:
        if v["early"] and v["release"] & ~(1 << MISC):
            raise ValueError("early: only MISC may get its token")
        lanes = self.params.sfu_lanes
        rows = [
            row
            for first, count in written(self.params, name, v).vectors
            for row in range(first // lanes, (first + count) // lanes)
        ]
        for results in (*self.waiting, *self.taken):  # behind which this one is written
            for row in rows:
                results.order.pop(row, None)
        if v["release"] >> MISC & 1:
            order = {row: i for i, row in enumerate(rows)} if v["early"] else {}
            self.waiting.append(_Results(order, v["early"], len(rows)))

    def _vector(self, name: str, v: dict[str, int]) -> None:
        if v["wait"] >> MV & 1:
            results = self.waiting.popleft()
            self.taken = [replace(results, start=self.position)] if results.order else []
        if not (self.taken or any(results.order for results in self.waiting)):
            return
        if name == "PUT" and v["at_best"]:
            raise ValueError("at_best: which row that is may not be there yet")
        places, length = touched(name, v, self.params.sfu_lanes)
        for row, position in places.items():
            for results in self.waiting:
                if row in results.order:
                    raise ValueError(f"it touches row {row}, which the array writes, before it takes the token")
            for results in self.taken:
                there = results.early + self.position + position - results.start
                if results.order.get(row, 0) >= there:
                    raise ValueError(
                        f"it may touch row {row} when {there} of the array's rows are there: this one is number "
                        f"{results.order[row]}"
                    )
                results.order.pop(row, None)
        self.position += length
        self.taken = [r for r in self.taken if r.early + self.position - r.start < r.rows]

    def _others(self, rows: range) -> None:
        for results in (*self.waiting, *self.taken):
            if meeting := results.order.keys() & rows:
                raise ValueError(f"it touches row {min(meeting)}, of whose writing by the array only MISC knows")
