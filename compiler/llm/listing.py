"""The largest logits, with their token numbers, to memory."""

from golden.isa.llm import Alu, Put

from .emit import Emitter
from .registers import Register

__all__ = ["list_largest"]


def list_largest(e: Emitter, logits: int, vocab: int, top: int, count: int, address: int) -> None:
    """The `count` largest of `vocab` logits, with their numbers, to vector row `top` and from there to byte `address`.

    The first is the running arg-max as the folds have left it. Each gives way to LOWEST, then the next one is sought.
    The loop needs no tokens: it stays in MISC, which has waited for all logits.
    """
    span = e.span(top, 2 * count)

    def note() -> int:
        first = e.add("PUT", [], [span], a=top, rn=Register.ADDRESS, n=0, source=Put.INDEX)
        e.add("PUT", [], [span], a=top, rn=Register.ADDRESS, n=1, source=Put.VALUE)
        return first

    e.alu(Alu.ADD, Register.LISTED, 0, count - 1)
    e.alu(Alu.ADD, Register.ADDRESS)
    again = note()
    e.add("PUT", a=logits, at_best=1, source=Put.LOWEST)
    e.add("AMX", b=logits, n=vocab, first=1, keep=1)
    e.alu(Alu.ADD, Register.ADDRESS, Register.ADDRESS, 2)
    e.add("DBNZ", a=again, rd=Register.LISTED)
    note()
    e.add("STV", [span], a=address, b=top, n=2 * count)
