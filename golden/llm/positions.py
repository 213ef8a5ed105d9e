"""When vector instructions touch which rows; what makes repetitions of VEC and chained VECs independent."""

from collections.abc import Sequence

from golden.isa.llm import SCALARS, Binary, Reduce, Source

from .vector import PARTIALS

__all__ = ["UnderWay", "check_independent", "repetitions", "touched"]

Place = tuple[str, int]
"""A scalar or a row of the global buffer."""


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


def _reads(r: dict[str, int], lanes: int) -> dict[Place, int]:
    """What a repetition reads, and the row of the repetition that reads it first."""
    count = -(-r["n"] // lanes)
    reads: dict[Place, int] = {}
    operands = []
    if r["a_source"] == Source.VECTOR:
        operands.append((r["b"], count))
    if r["binary"] != Binary.PASS and r["b_source"] == Source.VECTOR:
        operands.append((r["b_row"], min(count, r["period"] or count)))
    for first, rows in operands:
        for i in range(rows):
            reads["row", first + i] = min(i, reads.get(("row", first + i), i))
    if r["a_source"] == Source.SCALAR:
        reads["scalar", r["sa"]] = 0
    if r["binary"] != Binary.PASS and r["b_source"] == Source.SCALAR:
        reads["scalar", r["sb"]] = 0
    return reads


def _writes(r: dict[str, int], lanes: int) -> dict[Place, int]:
    """What a repetition writes, and its row that does."""
    writes: dict[Place, int] = {}
    if r["store"]:
        writes |= {("row", r["a"] + i): i for i in range(-(-r["n"] // lanes))}
    if r["reduce"]:
        writes["scalar", r["sd"]] = 0
    return writes


def _length(r: dict[str, int], lanes: int) -> int:
    """Positions of a repetition."""
    rows = -(-r["n"] // lanes)
    return max(rows, PARTIALS) if r["chained"] or r["reduce"] == Reduce.SUM else rows


def touched(name: str, v: dict[str, int], lanes: int) -> tuple[dict[int, int], int]:
    """Rows of the global buffer that an instruction of MISC reads or writes, with the first position at which it does,
    and its positions in all. `v`: its fields, A, B and N resolved."""
    rows: dict[int, int] = {}
    first = 0

    def touch(places: dict[int, int]) -> None:
        for row, position in places.items():
            rows[row] = min(first + position, rows.get(row, first + position))

    match name:
        case "VEC":
            for r in repetitions(v):
                for places in (_reads(r, lanes), _writes(r, lanes)):
                    touch({index: position for (space, index), position in places.items() if space == "row"})
                first += _length(r, lanes)
        case "QNT":
            for t in range(v["repeat"] + 1):
                count = -(-(v["n"] + t * v["n_step"]) // lanes)
                touch({v["b"] + t * v["stride_b"] + i: i for i in range(count)})
                first += count
        case "AMX":
            count = -(-v["n"] // lanes)
            touch({v["b"] + i: i for i in range(count)})
            first += count
        case "PUT":
            touch({v["a"] + (v["n"] + t) // lanes: 0 for t in range(v["repeat"] + 1)})
    return rows, first


def check_independent(parts: Sequence[dict[str, int]], lanes: int) -> None:
    """The vector unit reads for a repetition before it has written those before.

    Raises:
        ValueError: a repetition reads a row or a scalar that an earlier one writes.
    """
    written: set[Place] = set()
    for t, r in enumerate(parts):
        if both := written & _reads(r, lanes).keys():
            space, index = min(both)
            raise ValueError(f"repetition {t} reads {space} {index}, which an earlier one writes")
        written.update(_writes(r, lanes))


class UnderWay:
    """What a VEC that is not chained, and the chained ones behind it, write, and at which positions."""

    def __init__(self, lanes: int) -> None:
        self.lanes = lanes
        self.written: dict[Place, int] = {}

    def enter(self, parts: Sequence[dict[str, int]]) -> None:
        """The repetitions of the next VEC.

        Raises:
            ValueError: it is chained, and reads a scalar of those under way, or a row before they have written it.
        """
        chained = bool(parts[0]["chained"])
        if not chained:
            self.written = {}
        first, written = 0, {}
        for r in parts:
            reads = _reads(r, self.lanes) if chained else {}
            for space, index in reads.keys() & self.written.keys():
                if space == "scalar" or first + reads[space, index] < self.written[space, index]:
                    raise ValueError(f"chained: it reads {space} {index} before one under way has written it")
            written |= {place: first + row for place, row in _writes(r, self.lanes).items()}
            first += _length(r, self.lanes)
        self.written |= written
