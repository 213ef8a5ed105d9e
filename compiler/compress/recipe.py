"""What `compress` is asked to do."""

from __future__ import annotations

from dataclasses import dataclass

from golden.llm.stream import KEPT, WIDTHS
from golden.params import BLOCK

__all__ = ["GROUPS", "METHODS", "Recipe", "RecipeError"]

METHODS = ("magnitude", "wanda", "sparsegpt")
GROUPS = (16, 32, 64, 128)
"""Inputs that may share a scale (golden.llm.stream)."""


class RecipeError(ValueError):
    """A recipe that cannot be carried out; the message starts with the name of the parameter and says the rule."""


def _require(ok: bool, name: str, value: object, rule: str) -> None:
    if not ok:
        raise RecipeError(f"{name} = {value!r}: {rule}")


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How to compress a model. Without sparsity, density, bits and smoothing it stays as it is.

    Attributes:
        method: how weights to prune are chosen: magnitude, wanda, or sparsegpt, which also adjusts those that stay.
        sparsity: "N:16", in all blocks; N one of 1, 2, 4, 8, 12, 16.
        density: instead of sparsity, average share of weights kept, above 0, at most 1; N is chosen block by block.
        bits: width of a weight, 2, 3, 4, 5 or 8; any other number from 2 to 8 is an average of widths chosen for each
            kind of matrix; not given, pruned weights stay float32, and the packer makes 8 bits of them.
        group: inputs that share a scale, 16, 32, 64 or 128.
        minimum: an offset in each group besides the scale; only for dense weights of 2, 3, 4 or 5 bits.
        smoothing: strength of SmoothQuant, 0 to 1; not given, none.
        damping: added to the diagonal of the Gram matrix, as a share of it (sparsegpt).
        sequences: calibration sequences, at most.
        length: tokens of a calibration sequence; a shorter context of the model shortens it.
        head: compress the output head too, and with it the embedding where they are tied.

    Raises:
        RecipeError: a value is of wrong type, out of range, or excluded by another one.
    """

    method: str = "sparsegpt"
    sparsity: str | None = None
    density: float | None = None
    bits: float | None = None
    group: int = 32
    minimum: bool = False
    smoothing: float | None = None
    damping: float = 0.1
    sequences: int = 32
    length: int = 1024
    head: bool = False

    def __post_init__(self) -> None:
        _require(self.method in METHODS, "method", self.method, f"must be one of {', '.join(METHODS)}")
        ratios = [f"{n}:{BLOCK}" for n in KEPT if n]
        if self.sparsity is not None:
            _require(self.sparsity in ratios, "sparsity", self.sparsity, f"must be one of {', '.join(ratios)}")
            _require(self.density is None, "density", self.density, "sparsity is given as well; leave one out")
        for name, low, high in (("density", 0, 1), ("bits", WIDTHS[0], WIDTHS[-1]), ("smoothing", 0, 1)):
            value = getattr(self, name)
            if value is not None:
                _require(_number(value) and low <= value <= high, name, value, f"must be a number from {low} to {high}")
        _require(self.density is None or self.density > 0, "density", self.density, "must be above 0")
        _require(_number(self.damping) and 0 < self.damping <= 1, "damping", self.damping, "must be above 0, at most 1")
        _require(type(self.group) is int and self.group in GROUPS, "group", self.group, f"must be one of {GROUPS}")
        for name in ("minimum", "head"):
            _require(type(getattr(self, name)) is bool, name, getattr(self, name), "must be true or false")
        for name in ("sequences", "length"):
            value = getattr(self, name)
            _require(type(value) is int and value > 0, name, value, "must be a positive integer")
        if self.minimum:
            _require(self.bits in WIDTHS[:-1], "minimum", True, f"needs bits of one of {WIDTHS[:-1]}")
            _require(
                not self.prunes,
                "minimum",
                True,
                "only dense weights can have one: the engine adds it for every input of the group, pruned ones too",
            )
            _require(
                self.method != "sparsegpt",
                "minimum",
                True,
                "method sparsegpt quantises symmetrically; take wanda or magnitude",
            )

    @property
    def prunes(self) -> bool:
        return self.sparsity not in (None, f"{BLOCK}:{BLOCK}") or self.density not in (None, 1)

    @property
    def changes(self) -> bool:
        """Whether there is anything to do."""
        return self.prunes or self.bits is not None or self.smoothing is not None

    @property
    def mixed(self) -> bool:
        """Whether `bits` is an average."""
        return self.bits is not None and self.bits not in WIDTHS

    @property
    def kept(self) -> int | None:
        """N of every block; `None` where it is chosen block by block."""
        if self.density not in (None, 1):
            return None
        return BLOCK if self.sparsity is None else int(self.sparsity.partition(":")[0])

    @property
    def calibrates(self) -> bool:
        """Whether calibration text has an influence."""
        return self.changes and (self.method != "magnitude" or self.smoothing is not None)
