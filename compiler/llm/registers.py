"""Scalar registers of a step's program."""

from enum import IntEnum

__all__ = ["DECODE", "PREFILL", "WHOLE", "Register"]

DECODE, PREFILL = 1, 2
"""MODE of a run: one token; a prompt, where the vector row of the last token (in its chunk) is added."""
WHOLE = 1 << 24
"""Added to MODE where a prompt ends with a whole chunk."""


class Register(IntEnum):
    """The first three are arguments: decode: token to read, its position, MODE; prefill: whole chunks + 1, position 0,
    MODE. LISTED counts the logits that are still to be listed, once the tokens have been read."""

    TOKEN = 1
    CHUNKS = 1
    LISTED = 1
    POSITION = 2
    MODE = 3
    LAYERS = 4
    WEIGHTS = 5
    NORMS = 6
    CACHE = 7
    SCALES = 8
    LENGTH = 9
    K_ROWS = 10
    K_BEATS = 11
    V_BLOCKS = 12
    V_BEATS = 13
    SCALE_ROW = 14
    ADDRESS = 15
