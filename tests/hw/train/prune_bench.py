"""Units that make compact weights, in one design; blocks and patterns for them; words of their streams."""

import functools
import random

from golden.float16 import BFLOAT16, BINARY16
from golden.train.params import GROUP, PATTERNS
from golden.train.prune import pattern_logs
from hw.train.pregenerate import Pregenerate
from hw.train.sore import Sore
from hw.train.transpose import Transposer
from tests.hw.runner import run_cocotb, to_verilog
from tests.hw.side_by_side import SideBySide

DENSE = (GROUP, GROUP)
ALL = [*PATTERNS, DENSE]
TAG_BITS = 5
TOP = "prune_units"
FEW = (0x0000, 0x8000, 0x3C00, 0xBC00, 0x3C01)
CORNERS = (*FEW, 0x0001, 0x8001, 0x7BFF, 0xFBFF, 0xFFFF, 0x7FFF,
           *(bits | sign for half in (BINARY16, BFLOAT16) for bits in (half.infinity_bits, half.nan_bits)
             for sign in (0, 0x8000)))  # fmt: skip


def run(test_module, stall=0.0):
    run_cocotb(units(), top=TOP, test_module=test_module, parameters={"stall": stall})


@functools.cache
def units():
    """Verilog."""
    return to_verilog(SideBySide(sore=Sore(), transposer=Transposer(TAG_BITS), pregenerate=Pregenerate()), TOP)


def packed(values, width):
    return sum(int(value) << width * at for at, value in enumerate(values))


def row_words(block, *patterns):
    """Words of a block's rows: numbers, then patterns; those of all rows but the first are not to be looked at."""
    words = []
    for number, row in enumerate(block):
        tail = [code(pattern if not number else random.Random(row[0]).choice(ALL)) for pattern in patterns]
        words.append(packed(row, 16) | packed(tail, TAG_BITS) << 16 * GROUP)
    return words


def code(pattern):
    log_n, log_m = pattern_logs(*pattern)
    return log_n | log_m << 2


def piece_words(pieces):
    """Words of (values, index), both [S, 16]."""
    return [packed(values, 16) | packed(index, 4) << 16 * GROUP for values, index in zip(*pieces, strict=True)]


def blocks(rng, count):
    """Blocks of 16 x 16 bit patterns: any, corners, few with many ties, magnitudes that rise, fall or are all equal."""
    kinds = [lambda at: rng.getrandbits(16), lambda at: rng.choice(CORNERS), lambda at: rng.choice(FEW),
             lambda at: rng.getrandbits(3) | rng.getrandbits(1) << 15, lambda at: at, lambda at: 0x8000 - at,
             lambda at: 0x3C00 | rng.getrandbits(1) << 15]  # fmt: skip
    made = []
    for number in range(count):
        kind = kinds[number % len(kinds)]
        made.append([[kind(row + column) for column in range(GROUP)] for row in range(GROUP)])
    return made
