"""Which results of the array the vector unit may begin with while the rest is written (`early` of MV and MM)."""

from collections.abc import Sequence
from dataclasses import dataclass

from golden.isa.llm import ISA

from .rows import Rows

__all__ = ["EarlyResults", "InOrder"]

MOST = ISA.by_name("MV").field("early").maximum


@dataclass(frozen=True)
class InOrder:
    """What a vector instruction touches: `count` vectors of at most `rows` rows, row after row; `least` rows of each at
    least. `varies`: how many is known when the program runs."""

    at: Rows
    rows: int
    count: int = 1
    least: int = 1
    varies: bool = False


@dataclass
class _Results:
    """Of an MV or MM: `count` vectors of `rows` rows from `out` on.

    `spare`: rows of a vector at most that vectors whose length varies with it lack. `begun`: position at which MISC
    takes the token, once it is known that it does. `early`: rows that must be there then.
    """

    fields: dict[str, int]
    out: Rows
    rows: int
    count: int
    spare: int | None
    begun: int | None = None
    early: int = 1


class EarlyResults:
    """Sets `early` of products, from what the vector instructions behind them touch and when.

    The array writes a row a cycle, and a vector instruction takes at least a cycle for each row that it reads: see
    `golden.llm.early`, which checks the same of a program that runs.
    """

    def __init__(self) -> None:
        self.products: dict[int, _Results] = {}
        self.position = 0

    def made(self, index: int, fields: dict[str, int], out: Rows, rows: int, count: int, spare: int | None) -> None:
        """Instruction `index` is a product with such results."""
        self.products[index] = _Results(fields, out, rows, count, spare)

    def taken(self, index: int) -> None:
        """The next vector instruction waits for product `index`: those before it are through."""
        for other in [i for i in self.products if i <= index]:
            if other < index or self.products[other].begun is not None:
                del self.products[other]
        if index in self.products:
            self.products[index].begun = self.position

    def whole(self, index: int, fields: dict[str, int]) -> None:
        """Others than MISC wait for product `index`, which has these fields."""
        self.products.pop(index, None)
        fields.pop("early", None)

    def end(self) -> None:
        """What comes later takes all results for written."""
        for results in self.products.values():
            begun = self.position if results.begun is None else results.begun
            if results.early + self.position - begun < results.rows * results.count:
                results.fields.pop("early", None)
        self.products = {}

    def touch(self, operands: Sequence[InOrder]) -> None:
        """The next vector instruction, what it waits for being told, touches these."""
        for results in self.products.values():
            if results.begun is None:
                continue
            for operand in operands:
                results.early = max(results.early, self._needed(results, results.begun, operand))
            every = results.rows * results.count
            if results.early < min(every, MOST + 1):
                results.fields["early"] = results.early
            else:
                results.fields.pop("early", None)
        self.position += max((operand.count * operand.least for operand in operands), default=0)

    def _needed(self, results: _Results, begun: int, operand: InOrder) -> int:
        """Rows that must be there when MISC takes the token."""
        before = self.position - begun
        if operand.varies and results.spare is not None and operand.at == results.out:
            return (operand.count - 1) * results.spare + 1 - before
        needed = 0
        for t in range(operand.count):
            first = operand.at.first + t * operand.at.stride
            for u in range(results.count):
                start = results.out.first + u * results.out.stride
                meet = max(first, start)
                if meet < min(first + operand.rows, start + results.rows):
                    number = u * results.rows + meet - start
                    needed = max(needed, number - (before + t * operand.least + meet - first) + 1)
        return needed
