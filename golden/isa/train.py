"""The instruction set of the training engine: a step of training as one stream of instructions.

Addresses in memory are memory words, those in buffers are rows of these: of `word` 16-bit numbers in X, of the columns'
weights of a step in W. docs/units/train.md tells how an MM walks.
"""

from enum import IntEnum

from .formats import Field, Format, InstructionSet

__all__ = ["ARGUMENTS", "ISA", "QUEUES", "Channel"]

QUEUES = ("LD", "MM", "VEC", "UPD", "SYS")
"""The in-order queues. `wait` and `release` are masks over the first four, bit i = queue i."""


ARGUMENTS = {
    "sgd": ("rate", "momentum", "decay", "unscale", "pruned_decay", "share"),
    "adam": ("rate", "momentum", "unscale", "square_momentum", "epsilon", "share", "decay", "pruned_decay"),
}
"""Of a run, by optimiser: bit patterns of binary32, from argument 1 on. `share` is loss scale / images, others are
numbers of `golden.train.update`. CHN reaches the first seven: updates of channels have no decay."""


class Channel(IntEnum):
    """Operations on binary32 numbers of channels, `golden.floats` and `golden.functions`."""

    MUL = 0
    ADD = 1
    SUB = 2
    MAX = 3
    RSQRT = 4
    RECIP = 5
    EXP = 6


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
    ("to", 16, "first row of the buffer, of W a multiple of the steps in a memory word; rows follow each other"),
)  # fmt: skip

MOVES = (
    ("address", 32, "first word in memory"), ("rows", 12, "at least 1"), ("row", 12, "the first one"),
    ("half", 1, "16-bit numbers in memory, a word a row; else binary32, two words a row"),
    ("turn", 1, "with `half`: word i of memory is lane i of as many rows as a word has numbers; `rows` are such words"),
    ("stride", 16, "with `turn`: words in memory from one to the next"),
)

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
        Format("LDX", 1, "LD", "Runs of memory words to the X buffer.", _fields(
            16, *RUNS, ("n", 2, "log2 of N, where of each M numbers N stay and others become +0; dense is 1:1"),
            ("m", 3, "log2 of M"))),
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
        Format("LDC", 4, "VEC", "Memory to rows of the channel file.", _fields(16, *MOVES)),
        Format("STC", 5, "VEC", "Rows of the channel file to memory.", _fields(16, *MOVES)),
        Format("CHN", 6, "VEC", "d = a OP b for rows of the channel file; RSQRT, RECIP and EXP take a alone.", _fields(
            16, ("op", 3, "0 MUL, 1 ADD, 2 SUB, 3 MAX, 4 RSQRT, 5 RECIP, 6 EXP"), ("rows", 12, "at least 1"),
            ("a", 12, "first row"), ("b", 12, "first row"), ("d", 12, "first row; not another one of a or b"),
            ("constant", 1, "b is `value` everywhere"), ("value", 32, "binary32"),
            ("argument", 3, "with `constant`: b is this argument of the run instead, from 1 on"),
            ("same", 1, "b is one row, for all of a"))),
        Format("VEC", 7, "VEC", "A pass over tensors: golden/train/vector.py.", _fields(
            16,
            ("a", 32, "first word in memory"), ("b", 32, "likewise, if it is read"), ("out", 32, "likewise"),
            ("pixels", 24, "whole segments"), ("segment", 24, "pixels of one"), ("words", 8, "of a pixel"),
            ("gate", 1, "a counts where b c0 + c1 > 0"), ("relu", 1, "of the output"),
            ("outputs", 1, "16-bit numbers leave"), ("sums", 1, "sums of each segment leave"),
            ("b_is_a", 1, "b is a"), ("b_none", 1, "b is +0"),
            *((f"c{n}", 12, "first of its rows in the channel file, one a word") for n in range(5)),
            ("s", 12, "first row for the sums: of each segment s0 of its words, then s1"),
        )),
        Format("UPD", 8, "UPD", "Updates the weights of a tile of outputs, makes compact ones of them.", _fields(
            16,
            ("gradient", 32, "first word of dW's blocks, tap by tap, 16 inputs by 16 inputs, 16 outputs by 16 outputs"),
            ("masters", 32, "first word of the blocks of master weights and the optimiser's states, a word of each"),
            ("taps", 8, "at least 1"), ("groups", 12, "of 16 inputs, at least 1"),
            ("ff", 1, "compact weights for FF are written"), ("bp", 1, "those for BP are"),
            ("ff_n", 2, "log2 of N of FF's groups, along the inputs; dense is 1:1"), ("ff_m", 3, "log2 of M"),
            ("bp_n", 2, "log2 of N of BP's groups, along the outputs; dense is 1:1"), ("bp_m", 3, "log2 of M"),
            ("ff_values", 32, "tap 0, inputs 0, outputs 0 of the tile: place in memory, of 32 bytes"),
            ("ff_index", 32, "the same of the indices: place of 8 bytes; unused if dense"),
            ("bp_values", 32, "as for FF"), ("bp_index", 32, ""),
            ("bp_tap", 24, "pieces, so places, from a tap to the next in BP's weights"),
            ("bp_tile", 32, "from a tile of inputs to the next in BP's weights"),
            ("parts", 8, "of which dW is the sum, at least 1"), ("part", 32, "words from a part of dW to the next"),
            ("masked", 1, "weights that FF's indices, before they are written, do not name decay as pruned ones"),
        )),
        Format("POOL", 9, "VEC", "Largest numbers of windows, or their gradients: golden/train/pool_unit.py.", _fields(
            16,
            ("x", 32, "first word in memory"), ("out", 32, "first word of y, or of dX: its pixels lie as those of x"),
            ("dy", 32, "first word, if `back`"), ("back", 1, "dX of the pixels in windows, else y"),
            ("kernel", 4, "lines of a window, and pixels of a line; at least 1"),
            ("step", 8, "pixels from a window to the next, both ways; at least 1, `kernel` if `back`"),
            ("nx", 12, "windows of a line, at least 1"), ("ny", 12, "lines of windows, at least 1"),
            ("images", 20, "at least 1"), ("words", 8, "of a pixel, at least 1"),
            ("line", 20, "words from a line of x to the next"), ("image", 28, "words from an image of x to the next"),
        )),
    ),
)  # fmt: skip
