"""What a VEC leaves in the global buffer: who may read it while more of it comes, and who quantises just that."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from golden.llm.noted import blocks_of
from golden.params import LlmParams

from .rows import Region, Rows

__all__ = ["StoredVectors"]


@dataclass(frozen=True)
class StoredVectors:
    """Of a VEC.

    Attributes:
        index: its instruction. out: None if it stores nothing. each: rows of a vector at most. count: vectors.
        length: N, its register, and what is added to N from vector to vector. scalars: that it writes.
    """

    index: int
    out: Rows | None
    each: int
    length: tuple[int, int, int]
    count: int
    scalars: frozenset[int]

    def before(self, operand: Rows, other: "StoredVectors") -> bool:
        """Whether `other` reads each row of `operand` no earlier than this one writes it, if it does."""
        if self.out is None:
            return True
        ahead = self.out.first - operand.first
        longer = other.length == self.length or (
            self.length[1:] == other.length[1:] == (0, 0) and self.length[0] <= other.length[0]
        )
        return self.count == other.count and longer and ahead >= 0 and (
            self.count == 1 or (self.out.stride == operand.stride and ahead < operand.stride)
        )

    def meets(self, regions: Iterable[Region]) -> bool:
        own = self.out.spans(self.each, self.count) if self.out is not None else []
        return any(
            space == "vmem" and first < own_end and own_first < end
            for space, first, end in regions for _, own_first, own_end in own
        )

    def counts_in(self, register: int) -> bool:
        """Whether `register` (0: none) is part of N."""
        return register == self.length[1] != 0

    def changed_by(self, register: int, writes: Iterable[Region]) -> bool:
        """Whether an instruction that writes `register` (0: none) and `writes` makes something else of vectors or N."""
        return self.counts_in(register) or self.meets(writes)

    def may_be_noted(self, params: LlmParams, source: Rows, elements: int, count: int,
                     fields: Mapping[str, int]) -> bool:
        """Whether a QNT right behind quantises just these vectors, and exponents of so many blocks are kept.

        Args:
            source, elements, count: its vectors, the most elements of one, how many. fields: its other fields.
        """
        if self.out is None or fields.get("rb"):
            return False
        *length, n_step = self.length
        alike = count == 1 or (
            self.out.stride == source.stride >= self.each and n_step == fields.get("n_step", 0)
        )
        blocks = count * blocks_of(elements, fields.get("pad", 0), fields.get("round_log2", 0))
        return (
            (self.out.first, self.count, length) == (source.first, count, [fields.get("n", 0), fields.get("rn", 0)])
            and alike and blocks <= params.noted_blocks
        )
