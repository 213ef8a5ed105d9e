"""The instruction set of the SpGEMM engine: what a run multiplies, chunk by chunk."""

from enum import IntEnum

from .formats import Field, Format, InstructionSet

__all__ = ["COUNT_BITS", "ENTRY", "FIRST_BITS", "ISA", "QUEUES", "Hash"]

QUEUES = ("DISPATCH",)
FIRST_BITS, COUNT_BITS = 24, 6
"""Of an entry of A: where its piece of a row of B begins, and how long it is; see `golden.spgemm.piece`."""


class Hash(IntEnum):
    """Which bits of a column choose the slot where probing begins."""

    MULTIPLICATIVE = 0
    LOW = 1
    HIGH = 2


def _word(name: str, lo: int, doc: str) -> Field:
    return Field(name, lo, 32, doc)


ISA = InstructionSet(
    name="spgemm",
    bits=128,
    opcode=Field("opcode", 0, 8, "selects the instruction"),
    common=(),
    formats=(
        Format("HALT", 0, QUEUES[0], "Waits for all row engines, has them write what is left and their counters, "
               "and ends the run with status 256 + `code`.", (Field("code", 8, 8, "of the end"),)),
        Format("SET", 1, QUEUES[0], "Where things lie in every channel, in memory words from the port's base; before "
               "the first CHUNK.", (
                   Field("hash", 8, 2, "slot of a column: 0 multiplicative, 1 low bits, 2 high bits"),
                   Field("shift", 10, 5, "for high bits: zeros above a column's bits in 32"),
                   Field("scan", 15, 1, "a row leaves slot by slot of its tables, not in the order in which elements "
                         "came; only with `apart`"),
                   Field("apart", 16, 1, "rows are hashed until no context is left, then written, then the next ones"),
                   Field("uncached", 17, 1, "every line of B is read from memory"),
                   _word("b", 32, "first word of B"),
                   _word("c", 64, "where C's elements go"),
                   _word("n", 96, "where the counters go, and behind them the rows' lengths"),
               )),
        Format("CHUNK", 2, QUEUES[0], "Rows of A for one row engine.", (
            Field("fixed", 8, 1, "for row engine `engine`; else for the next one that is idle"),
            Field("engine", 9, 7, "its number"),
            Field("id", 16, 16, "comes before the rows' lengths"),
            _word("a", 32, "first word of its entries"),
            _word("n", 64, "entries, at least 1"),
        )),
    ),
)  # fmt: skip

ENTRY = InstructionSet(
    name="spgemm_entry",
    bits=64,
    opcode=Field("last", 63, 1, "the row ends with this entry"),
    common=(),
    formats=tuple(
        Format(name, last, QUEUES[0], "An entry of A, or a directive if `count` is 0: `value` is then the logarithm of "
               "the contexts that each following row takes, or, with `last`, means nothing: a row without entries.", (
                   _word("value", 0, "of the entry; 64-bit numbers follow in 8 bytes of their own"),
                   Field("first", 32, FIRST_BITS, "first element of the piece of a row of B, from the start of B; a "
                         "piece of a line or more begins with a line, and the lowest bits count"),
                   Field("count", 32 + FIRST_BITS, COUNT_BITS, "elements of the piece, if below those of a line, L; "
                         "else the piece has (`count` - L + 1) L elements, and those that `first`'s lowest bits say"),
                   Field("hint", 62, 1, "the line is not asked for again soon"),
               ))
        for last, name in enumerate(("MORE", "LAST"))
    ),
)  # fmt: skip
