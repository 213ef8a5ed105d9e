"""Emits instructions and keeps the chain of tokens that orders them."""

from golden.isa.llm import ISA, QUEUES, Alu, Binary, Reduce, Source, Unary

__all__ = ["Emitter"]


class Emitter:
    """Instruction list under construction.

    Chained instructions run one after the other across the queues: where the queue changes, the previous one releases
    a token that the next one waits for. Weight loads are not chained: they run ahead as far as the lanes' FIFOs allow.
    """

    def __init__(self) -> None:
        self.instructions: list[tuple[str, dict[str, int]]] = []
        self.last: int | None = None

    def _queue(self, index: int) -> int:
        return QUEUES.index(ISA.by_name(self.instructions[index][0]).queue)

    def add(self, name: str, chained: bool = True, **fields: int) -> int:
        """Append; returns the instruction's number."""
        self.instructions.append((name, dict(fields)))
        here = len(self.instructions) - 1
        if chained and ISA.by_name(name).queue != "SYS":
            if self.last is not None and self._queue(self.last) != self._queue(here):
                before, now = self.instructions[self.last][1], self.instructions[here][1]
                before["release"] = before.get("release", 0) | 1 << self._queue(here)
                now["wait"] = now.get("wait", 0) | 1 << self._queue(self.last)
            self.last = here
        return here

    def alu(self, op: Alu, rd: int, ra: int = 0, b: int = 0, rb: int = 0) -> None:
        self.add("ALU", alu=op, rd=rd, ra=ra, b=b & 0xFFFFFFFF, rb=rb)

    def vec(
        self,
        dst: int | None,
        a: int,
        n: int,
        *,
        rn: int = 0,
        binary: Binary = Binary.PASS,
        b: int | None = None,
        scalar: int | None = None,
        immediate: int | None = None,
        unary: Unary = Unary.NONE,
        reduce: Reduce = Reduce.NONE,
        to: int = 0,
        from_scalar: int | None = None,
    ) -> None:
        """dst = unary(a binary (row b | scalar | immediate)); a reduction goes to scalar `to`."""
        fields: dict[str, int] = {
            "b": a,
            "n": n,
            "rn": rn,
            "binary": binary,
            "unary": unary,
            "reduce": reduce,
            "sd": to,
        }
        if dst is not None:
            fields |= {"a": dst, "store": 1}
        if b is not None:
            fields |= {"b_source": Source.VECTOR, "b_row": b}
        if scalar is not None:
            fields |= {"b_source": Source.SCALAR, "sb": scalar}
        if immediate is not None:
            fields |= {"b_source": Source.IMMEDIATE, "immediate": immediate}
        if from_scalar is not None:
            fields |= {"a_source": Source.SCALAR, "sa": from_scalar}
        self.add("VEC", True, **fields)

    def pause(self) -> int:
        """An empty vector instruction. One stands before a loop, at its start, at its end and behind it: the chain then
        crosses the loop's edges inside one queue, without tokens."""
        self.vec(None, 0, 1)
        return len(self.instructions) - 1

    def words(self) -> list[int]:
        return [ISA.encode(name, fields) for name, fields in self.instructions]
