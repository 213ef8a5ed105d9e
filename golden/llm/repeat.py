"""Repetitions of VEC: their operands, and what makes them independent of each other."""

from collections.abc import Sequence

from golden.isa.llm import SCALARS, Binary, Source

__all__ = ["check_independent", "repetitions"]


def repetitions(v: dict[str, int]) -> list[dict[str, int]]:
    """Fields of VEC as every repetition has them."""
    step = v["scalar_step"]
    return [
        v
        | {
            "n": v["n"] + t * v["n_step"],
            "a": v["a"] + t * v["stride_a"],
            "b": v["b"] + t * v["stride_b"],
            "b_row": v["b_row"] + t * v["stride_c"],
            **{name: (v[name] + t * (step >> bit & 1)) % SCALARS for bit, name in enumerate(("sa", "sb", "sd"))},
        }
        for t in range(v["repeat"] + 1)
    ]


def check_independent(parts: Sequence[dict[str, int]], lanes: int) -> None:
    """The vector unit reads for a repetition before it has written those before.

    Raises:
        ValueError: a repetition reads a row or a scalar that an earlier one writes.
    """
    written: set[tuple[str, int]] = set()
    for t, r in enumerate(parts):
        count = -(-r["n"] // lanes)
        reads: set[tuple[str, int]] = set()
        if r["a_source"] == Source.SCALAR:
            reads.add(("scalar", r["sa"]))
        else:
            reads.update(("row", r["b"] + i) for i in range(count))
        if r["binary"] != Binary.PASS and r["b_source"] == Source.SCALAR:
            reads.add(("scalar", r["sb"]))
        elif r["binary"] != Binary.PASS and r["b_source"] == Source.VECTOR:
            reads.update(("row", r["b_row"] + i) for i in range(min(count, r["period"] or count)))
        if written & reads:
            space, index = min(written & reads)
            raise ValueError(f"repetition {t} reads {space} {index}, which an earlier one writes")
        if r["store"]:
            written.update(("row", r["a"] + i) for i in range(count))
        if r["reduce"]:
            written.add(("scalar", r["sd"]))
