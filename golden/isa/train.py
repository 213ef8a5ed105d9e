"""The instruction set of the training engine: a step of training as one stream of instructions.

Addresses in memory are memory words, those in buffers are rows of these: of `word` 16-bit numbers in X, of the columns'
weights of a step in W. docs/units/train.md tells how an MM walks.
"""

from .formats import Field, Format, InstructionSet

__all__ = ["ISA", "QUEUES"]

QUEUES = ("LD", "MM", "SYS")
"""The in-order queues. `wait` and `release` are masks over this tuple, bit i = queue i."""


def _fields(start: int, *fields: tuple) -> tuple[Field, ...]:
    """Fields (name, width, doc, signed or nothing) one after the other from bit `start` on."""
    made = []
    for name, width, doc, *signed in fields:
        made.append(Field(name, start, width, doc, bool(signed)))
        start += width
    return tuple(made)


SIGNED = True
RUNS = (
    ("address", 32, "first word in memory"), ("words", 16, "of a run"), ("runs", 16, "at least 1"),
    ("stride", 24, "words in memory from one run to the next"),
    ("to", 16, "first row of the buffer; rows follow each other"),
)  # fmt: skip

ISA = InstructionSet(
    name="train",
    bits=512,
    opcode=Field("opcode", 0, 8, "selects the instruction"),
    common=(
        Field("wait", 8, 4, "takes a token of each of these queues before it starts"),
        Field("release", 12, 4, "gives each of these queues a token when it is finished"),
    ),
    formats=(
        Format("HALT", 0, "SYS", "Ends the run with status 256 + `code`.", _fields(16, ("code", 8, "of the end"))),
        Format("LDX", 1, "LD", "Runs of memory words to the X buffer.", _fields(16, *RUNS)),
        Format("LDW", 2, "LD", "Runs of memory words to the W buffer: values or indices of one step after the other.",
               _fields(16, *RUNS, ("index", 1, "4-bit indices, else 16-bit values"))),
        Format("MM", 3, "MM", "Products of tiles: rows out of X, columns out of W, to memory.", _fields(
            16,
            ("spread", 1, "rows are the numbers of a word and k's are pixels; else rows are pixels"),
            ("stationary", 1, "weights stay in the array; only if not `spread`, for one tile of columns"),
            ("slots_log2", 3, "of a group's slots: 1, 2, 3, or 4: dense, without indices"),
            ("wide", 1, "sums leave in binary32, else in 16 bits"),
            ("x", 16, "row of X: pixel 0, tap 0"), ("w", 16, "row of W: step 0"),
            ("pixels", 20, "at least 1"), ("nx", 12, "pixels of a line"), ("ny", 12, "lines of an image"),
            ("step_x", 12, "rows of X to the next pixel"), ("step_y", 16, "to the next line"),
            ("step_n", 20, "to the next image"),
            ("x0", 8, "position of pixel 0 in the image that X holds", SIGNED), ("y0", 8, "", SIGNED),
            ("stride_x", 4, "positions to the next pixel"), ("stride_y", 4, "to the next line"),
            ("width", 12, "of the image; beyond it are zeros"), ("height", 12, "of the image"),
            ("taps_x", 4, "at least 1"), ("taps_y", 4, "at least 1"), ("words", 8, "of a tap, at least 1"),
            ("tap_dx", 4, "positions to the next tap of a line", SIGNED),
            ("tap_dy", 4, "to the next line of taps", SIGNED),
            ("tap_x", 16, "rows of X to the next tap of a line", SIGNED),
            ("tap_y", 20, "to the next line of taps", SIGNED),
            ("w_x", 16, "rows of W to the next tap of a line, if not `spread`"),
            ("w_y", 16, "to the next line of taps"),
            ("out", 32, "word in memory: row 0 of the sums"), ("out_words", 8, "that a row writes, at least 1"),
            ("out_x", 20, "words to the next row of a line; with `spread`, to the next row"),
            ("out_y", 24, "to the next line; with `spread`, to the next 16 rows"), ("out_n", 28, "to the next image"),
            ("out_piece", 16, "words to the next 16 sums of a row, if `wide`"),
        )),
    ),
)  # fmt: skip
