"""A prompt as a run of the program sees it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from .registers import PREFILL, WHOLE

__all__ = ["PromptPlan"]


@dataclass(frozen=True)
class PromptPlan:
    """How a program takes a prompt: whole chunks, then what is left, if it is little, alone.

    Attributes:
        tokens: of a whole chunk. rest: of the chunk behind the whole ones, 0 if the program has none.
        row_stride: vector rows from a token of a chunk to the next.
        prompt_at: byte address of the token numbers in the vector channel.
    """

    tokens: int
    rest: int
    row_stride: int
    prompt_at: int

    @classmethod
    def of(cls, manifest: Mapping) -> "PromptPlan":
        """Of a program with this manifest."""
        return cls(**manifest["prefill"])

    def to_dict(self) -> dict[str, int]:
        return asdict(self)

    def _chunks(self, count: int) -> tuple[int, bool]:
        """Whole chunks of a prompt of `count` tokens, and whether one of `rest` tokens follows."""
        whole, left = divmod(count, self.tokens)
        alone = 0 < left <= self.rest
        return whole + (left > 0 and not alone), alone

    def padded(self, count: int) -> int:
        """Token numbers that the run reads."""
        whole, alone = self._chunks(count)
        return whole * self.tokens + alone * self.rest

    def arguments(self, count: int) -> tuple[int, int, int]:
        """Of the run that reads a prompt of `count` tokens; see `compiler.llm.registers`."""
        whole, alone = self._chunks(count)
        last = count - 1 - (whole - (not alone)) * self.tokens
        return whole + 1, 0, PREFILL + last * self.row_stride + (0 if alone else WHOLE)
