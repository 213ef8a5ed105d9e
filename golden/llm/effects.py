"""What an instruction of the LLM engine leaves behind, by place: for who compares two engines, not for the executor."""

from dataclasses import dataclass

from golden.isa.llm import SCALARS
from golden.params import LlmParams

from .positions import repetitions
from .stream import kv_offsets

__all__ = ["Written", "written"]


@dataclass(frozen=True)
class Written:
    """Places, in the order of the instruction's elements.

    Attributes:
        vectors: (first, count) of the elements in the global buffer, for each vector. scalars: registers.
        memory: (port, byte address) of each number. width: bytes of a number in memory.
        best: the running arg-max. hidden: something that no instruction can show, the activation buffer.
    """

    vectors: tuple[tuple[int, int], ...] = ()
    scalars: tuple[int, ...] = ()
    memory: tuple[tuple[str, int], ...] = ()
    width: int = 4
    best: bool = False
    hidden: bool = False


def written(params: LlmParams, name: str, v: dict[str, int], arg_max: int = 0) -> Written:
    """Of instruction `name` with fields `v`, whose A, B and N are resolved.

    Args:
        arg_max: index of the running one, which a PUT with `at_best` needs.
    """
    lanes = params.sfu_lanes
    match name:
        case "LDV" | "LDG":
            return Written(((v["b"] * lanes, v["n"]),))
        case "STV":
            return Written(memory=tuple(("v", v["a"] + 4 * i) for i in range(v["n"])))
        case "STK":
            places = kv_offsets(params, v).reshape(-1, 2).tolist()
            return Written(memory=tuple((f"w{channel}", v["a"] + at) for channel, at in places), width=1)
        case "MV" | "MM" if v["n"]:
            count = (v["n"] if v["grow"] else v["rows"]) * params.row_groups
            tokens, stride = (v["tokens"], v["stride"]) if name == "MM" else (1, 0)
            return Written(tuple(((v["a"] + t * stride) * lanes, count) for t in range(tokens)))
        case "VEC":
            parts = repetitions(v)
            vectors = tuple((r["a"] * lanes, r["n"]) for r in parts if v["store"])
            return Written(vectors, tuple(r["sd"] for r in parts if v["reduce"]))
        case "QNT":
            scalars = ((v["sd"] + t) % SCALARS for t in range(v["repeat"] + 1))
            return Written(scalars=tuple(scalars) if v["flat"] else (), hidden=True)
        case "AMX":
            return Written(best=True)
        case "PUT":
            first = v["a"] * lanes + v["n"] + arg_max * v["at_best"]
            return Written(((first, v["repeat"] + 1),))
        case _:
            return Written()
