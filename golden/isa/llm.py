"""The instruction set of the LLM engine (FlightLLM's classes LD, ST, MM, MV, MISC, SYS; an encoding of our own).

Length-adaptive by construction: the operands A, B and N of every instruction are `imm + register`, so that one image
serves every position and context length.
"""

from enum import IntEnum

from .formats import Field, Format, InstructionSet

__all__ = ["ISA", "QUEUES", "SCALARS", "SLOTS", "Alu", "Binary", "Put", "Reduce", "Source", "Unary"]

QUEUES = ("LD", "ST", "MV", "MISC", "SYS")
"""The in-order queues. `wait` and `release` are masks over this tuple, bit i = queue i. MV and MM share the array and
the stream of weights, so they share a queue."""
SCALARS = 32
"""Scalar registers of the vector unit."""
SLOTS = 64
"""Exponent slots of quantised vectors."""


class Alu(IntEnum):
    """Scalar operations of SYS, on 32-bit unsigned registers, wrapping."""

    ADD = 0
    SUB = 1
    SHL = 2
    SHR = 3
    AND = 4
    MUL = 5
    MIN = 6
    MAX = 7


class Binary(IntEnum):
    """First stage of a vector operation: t = a OP b."""

    PASS = 0
    ADD = 1
    MUL = 2
    SUB = 3
    SWAPMUL = 4


class Unary(IntEnum):
    """Second stage of a vector operation: u = f(t)."""

    NONE = 0
    EXP = 1
    RECIP = 2
    RSQRT = 3


class Reduce(IntEnum):
    """What the vector unit folds its results into."""

    NONE = 0
    SUM = 1
    MAX = 2


class Source(IntEnum):
    """Where an operand of the vector unit comes from."""

    VECTOR = 0
    SCALAR = 1
    IMMEDIATE = 2


class Put(IntEnum):
    """What PUT writes."""

    SCALAR = 0
    INDEX = 1
    VALUE = 2
    LOWEST = 3


_OPCODE = Field("opcode", 0, 5, "selects the format")
_COMMON = (
    Field("wait", 5, 5, "queues whose release token this instruction consumes before it starts"),
    Field("release", 10, 5, "queues that get a token from this instruction's queue when it has finished"),
    Field("ra", 16, 4, "register added to `a` (register 0 reads as 0)"),
    Field("rb", 20, 4, "register added to `b`"),
    Field("rn", 24, 4, "register added to `n`"),
    Field("a", 32, 32, "operand A"),
    Field("b", 64, 32, "operand B"),
    Field("n", 96, 32, "operand N"),
)
_ALU = Field("alu", 128, 3, "operation: " + ", ".join(f"{op.value} {op.name}" for op in Alu))

_TILE = (
    Field("rows", 128, 7, "rows of a lane, if N gives the blocks"),
    Field("blocks", 136, 10, "blocks a column, if N gives the rows"),
    Field("grow", 146, 1, "N gives 0: the blocks, 1: the rows"),
    Field("group_log2", 148, 3, "blocks in a scale group, log2"),
    Field("scaled", 152, 1, "groups carry a 16-bit scale"),
    Field("minimum", 153, 1, "groups carry a signed 16-bit minimum"),
    Field("raw", 154, 1, "dense INT8 bytes without descriptors (KV cache)"),
    Field("dense", 155, 1, "every block keeps 16 or none: inputs come four a cycle"),
    Field("early", 156, 8, "vector rows of results behind which MISC gets its token (0: all); it touches row i, as "
          "they are counted in being written, at a position above i - `early`"),
    Field("slot", 172, 6, "exponent slot of the vector"),
    Field("beats", 192, 24, "lane words of the tile; what a lane did not use of them is dropped (0: none)"),
)
"""A tile of a matrix, of MV and MM."""

ISA = InstructionSet(
    "llm",
    256,
    _OPCODE,
    _COMMON,
    (
        Format("NOP", 0, "SYS", "Does nothing.", ()),
        Format(
            "LDW",
            1,
            "LD",
            "Streams N lane words, of `lane_words` memory words each, from byte address A of every weight channel, a "
            "multiple of the lane word, into the lanes.",
            (),
        ),
        Format(
            "LDV",
            2,
            "LD",
            "Loads N binary32 numbers from byte address A of the vector channel, a multiple of the memory word, to "
            "vector row B.",
            (),
        ),
        Format(
            "LDG",
            11,
            "LD",
            "Gather: loads N binary32 numbers of a row of the table at byte address `table` of the vector channel to "
            "vector row B; the row's number is the 32-bit word at byte address A, of which 24 bits count.",
            (
                Field("table", 128, 32, "byte address of row 0, a multiple of the memory word"),
                Field("stride", 160, 24, "bytes from a row to the next, a multiple of the memory word"),
            ),
        ),
        Format(
            "STV",
            3,
            "ST",
            "Stores N binary32 numbers from vector row B to byte address A of the vector channel. If A is not a "
            "multiple of a vector row, those N elements of row B that lie at A in its row of memory; they must not "
            "leave it.",
            (),
        ),
        Format(
            "STK",
            4,
            "ST",
            "Appends `count` INT8 numbers of quantised vectors to the KV cache in place: element e of token N + t goes "
            "to its byte of the lane image at byte address A; the vector of token t = 0 .. `repeat` is at block "
            "B + t * `stride_b`. The tokens must not leave the memory words of the first one: K those of "
            "as many row groups as have a lane in it, V the numbers of a lane's share of it.",
            (
                Field("count", 128, 16, "numbers to append, a multiple of 16"),
                Field("value", 160, 1, "0: rows are tokens (K), 1: columns are tokens (V)"),
                Field("rows", 164, 7, "rows a chain in the image's tiles"),
                Field("blocks", 172, 10, "blocks of 16 a column in the image's tiles"),
                Field("repeat", 182, 4, "tokens behind the first one"),
                Field("stride_b", 186, 12, "blocks added to B a token"),
            ),
        ),
        Format(
            "MV",
            5,
            "MV",
            "Matrix times vector: consumes the lanes' stream, writes rows x row groups results to "
            "vector row A as binary32; the vector is at block B of every column; N gives the blocks of 16 that are a "
            "column's share of the inputs, or the rows. N = 0 does nothing.",
            _TILE,
        ),
        Format(
            "MM",
            10,
            "MV",
            "Matrix times `tokens` vectors, which lie at block B of the activation buffers 0, 1, ...: as MV, "
            "vector t has exponent slot `slot` + t and its results go to vector row A + t * `stride`.",
            (
                *_TILE,
                Field("tokens", 216, 5, "vectors, 1 to 2 * mpu_vpus"),
                Field("stride", 224, 20, "vector rows between the results of two vectors"),
            ),
        ),
        Format(
            "VEC",
            6,
            "MISC",
            "u = f(a OP b) over the N > 0 elements of a repetition: vector row A gets u, a reduction goes to "
            "scalar `sd`. Repetition t = 0 .. `repeat` has rows, scalars and elements of its own; none reads what an "
            "earlier one writes. Rows have positions: 0, 1, .. through all repetitions, of at least 8 each if "
            "`chained` or a sum.",
            (
                Field("chained", 28, 1, "start while VECs before it are under way: it reads none of their scalars, and "
                      "a row that one of them writes at a position no earlier"),
                Field("noted", 29, 1, "note the largest exponents of what it stores, for the QNT right behind it; only "
                      "with `store`"),
                Field("binary", 128, 3, ", ".join(f"{op.value} {op.name}" for op in Binary)),
                Field("unary", 131, 2, ", ".join(f"{op.value} {op.name}" for op in Unary)),
                Field("reduce", 133, 2, ", ".join(f"{op.value} {op.name}" for op in Reduce)),
                Field("a_source", 135, 1, "operand a: 0 vector row B, 1 scalar `sa`"),
                Field("b_source", 136, 2, "operand b: 0 vector row `b_row`, 1 scalar `sb`, 2 `immediate`"),
                Field("store", 138, 1, "write u to vector row A"),
                Field("n_step", 139, 1, "elements added to N a repetition"),
                Field("repeat", 140, 4, "repetitions behind the first one"),
                Field("scalar_step", 144, 3, "added to `sa` (bit 0), `sb` (bit 1), `sd` (bit 2) a repetition"),
                Field("sa", 147, 5, "scalar register of a"),
                Field("sb", 152, 5, "scalar register of b"),
                Field("sd", 157, 5, "scalar register of the reduction"),
                Field("b_row", 162, 18, "vector row of b"),
                Field("period", 180, 8, "rows of a repetition after which operand b starts again (0: never)"),
                Field("immediate", 188, 32, "binary32 bits"),
                Field("stride_a", 220, 12, "rows added to A a repetition"),
                Field("stride_b", 232, 12, "rows added to B a repetition"),
                Field("stride_c", 244, 12, "rows added to `b_row` a repetition"),
            ),
        ),
        Format(
            "QNT",
            7,
            "MISC",
            "Quantises N > 0 binary32 numbers at vector row B to INT8 blocks of 16 at block A; the exponent goes to a "
            "slot. Repetition t = 0 .. `repeat` has rows, blocks, slot and scalar of its own. All of them write the "
            "blocks of N + `pad` elements; elements behind a repetition's own are zeros.",
            (
                Field("noted", 29, 1, "the instruction of this queue right before it is a VEC with `noted` whose "
                      "repetitions store what those of this one quantise, as it still is; 2 * `xbuf_blocks` * `ksplit` "
                      "blocks at most, all repetitions together"),
                Field("group_log2", 128, 3, "blocks dealt to a column at a time, log2"),
                Field("flat", 131, 1, "one exponent for all blocks (KV cache)"),
                Field("round_log2", 132, 3, "blocks are padded with zeros to a multiple of 2**round_log2"),
                Field("n_step", 135, 1, "elements added to N a repetition; `repeat` of them must not exceed `pad`"),
                Field("repeat", 136, 4, "repetitions behind the first one"),
                Field("pad", 140, 4, "elements of padding behind N"),
                Field("sd", 149, 5, "scalar register that gets 2**exponent if `flat`; the next one for the next"),
                Field("token", 154, 4, "activation buffer: which of the vectors of an MM"),
                Field("token_step", 158, 1, "added to `token` a repetition"),
                Field("stride_a", 160, 12, "blocks added to A a repetition"),
                Field("stride_b", 172, 12, "rows added to B a repetition"),
                Field("slot", 184, 6, "exponent slot of the first repetition; the next one takes the next"),
            ),
        ),
        Format(
            "AMX",
            8,
            "MISC",
            "Folds N > 0 binary32 numbers at vector row B into the running arg-max; the index of the first is A. The "
            "result word gets the arg-max's index.",
            (
                Field("first", 128, 1, "start a new arg-max"),
                Field("keep", 129, 1, "leave the result word alone"),
            ),
        ),
        Format(
            "PUT",
            9,
            "MISC",
            "Writes a number to element N + t of the vector at row A, t = 0 .. `repeat`.",
            (
                Field("sa", 128, 5, "scalar register of the first one"),
                Field("source", 133, 2, "0 SCALAR `sa` + t, 1 INDEX of the running arg-max, an integer, 2 VALUE of it, "
                      "3 LOWEST: all bits ones, which AMX takes for less than any other number"),
                Field("at_best", 135, 1, "N counts from the element with the running arg-max's index"),
                Field("repeat", 140, 4, "repetitions behind the first one"),
            ),
        ),
        Format(
            "ALU",
            16,
            "SYS",
            "Register `rd` = register ra OP (b + register rb).",
            (_ALU, Field("rd", 132, 4, "destination")),
        ),
        Format(
            "DBNZ",
            17,
            "SYS",
            "Register `rd` -= 1; if not 0 continue at instruction A.",
            (Field("rd", 132, 4, "counter"),),
        ),
        Format("HALT", 18, "SYS", "Waits until all queues are idle, then reports done with code A, 0..255.", ()),
    ),
)
