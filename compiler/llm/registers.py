"""Scalar registers of a step's program."""

from enum import IntEnum

__all__ = ["Register"]


class Register(IntEnum):
    """The first three are arguments: token to read, its position, 1: compute the arg-max, 2: leave the head out."""

    TOKEN = 1
    POSITION = 2
    SKIP_HEAD = 3
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
