"""Numeric contract of the vector unit: order of operations of VEC and AMX, bit exact (docs/numerics.md)."""

from collections.abc import Callable

import numpy as np

from golden import float32 as f32
from golden import functions
from golden.isa.llm import Binary, Reduce, Unary

__all__ = ["LOWEST", "PARTIALS", "arg_max", "binary", "reduce_max", "reduce_sum", "unary", "value_bits"]

PARTIALS = 8
"""Interleaved partial sums of a reduction: row r of the vector is added to partial r mod 8."""
LOWEST = 0xFFFFFFFF
"""Pattern with the lowest ordering key; no operation of the engine makes it."""


def binary(op: Binary, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """float32 [n]: first stage. SWAPMUL multiplies b with a whose neighbours 2i, 2i + 1 have changed places."""
    match op:
        case Binary.PASS:
            return a
        case Binary.ADD:
            return f32.add(a, b)
        case Binary.SUB:
            return f32.sub(a, b)
        case Binary.MUL:
            return f32.mul(a, b)
        case Binary.SWAPMUL:
            return f32.mul(a.reshape(-1, 2)[:, ::-1].reshape(-1), b)


def unary(op: Unary, t: np.ndarray) -> np.ndarray:
    """float32 [n]: second stage."""
    match op:
        case Unary.NONE:
            return t
        case Unary.EXP:
            return functions.exp(t)
        case Unary.RECIP:
            return functions.recip(t)
        case Unary.RSQRT:
            return functions.rsqrt(t)


def reduce_sum(u: np.ndarray, lanes: int, add: Callable[..., np.ndarray] = f32.add) -> np.ndarray:
    """Sum in the order of the hardware: a tree over neighbouring lanes of a row (+0 beyond the end), rows in order
    into PARTIALS interleaved sums that start at +0, and a tree over neighbouring partials.

    Args:
        u: float32 [n, ...]; further axes count vectors, and are those of the result.
        add: binary32 addition.
    """
    rows = -(-len(u) // lanes)
    padded = np.zeros((rows, lanes, *u.shape[1:]), np.float32)
    padded.reshape(rows * lanes, *u.shape[1:])[: len(u)] = u
    while padded.shape[1] > 1:
        padded = add(padded[:, 0::2], padded[:, 1::2])
    partial = np.zeros((PARTIALS, *u.shape[1:]), np.float32)
    for first in range(0, rows, PARTIALS):
        part = padded[first : first + PARTIALS, 0]
        partial[: len(part)] = add(partial[: len(part)], part)
    while len(partial) > 1:
        partial = add(partial[0::2], partial[1::2])
    return partial.reshape(u.shape[1:])


def reduce_max(u: np.ndarray) -> np.float32:
    """Largest element; -0 < +0. Order does not matter."""
    key = _key(u)
    return u[int(key.argmax())]


def arg_max(values: np.ndarray, first_index: int, best: tuple[int, int] | None) -> tuple[int, int]:
    """(ordering key, index) after `values`; ties go to the lower index."""
    key = _key(values)
    at = int(key.argmax())
    found = (int(key[at]), first_index + at)
    return found if best is None or found[0] > best[0] else best


def value_bits(key: int) -> int:
    """Of the number with this ordering key."""
    return key - (1 << 31) if key >> 31 else 0xFFFFFFFF - key


def _key(x: np.ndarray) -> np.ndarray:
    bits = f32.to_bits(x).astype(np.int64)
    return np.where(bits >> 31, 0xFFFFFFFF - bits, bits + (1 << 31))


def reduce(op: Reduce, u: np.ndarray, lanes: int) -> np.float32:
    return np.float32(reduce_sum(u, lanes)) if op == Reduce.SUM else reduce_max(u)
