"""Norms and activations as sequences of vector instructions (docs/numerics.md)."""

import struct

from golden.functions import GELU_CUBIC, GELU_LINEAR
from golden.isa.llm import Binary, Reduce, Unary

from .emit import Emitter
from .rows import Rows

__all__ = ["activate", "normalise"]


def bits(value: float) -> int:
    return int(struct.unpack("<I", struct.pack("<f", value))[0])


def normalise(e: Emitter, norm: str, out: Rows, x: Rows, gain: Rows, elements: int, eps: float, *, count: int,
              scalar: int, weighed: int) -> None:
    """Norms of `count` vectors: "rms" is x * gain / sqrt(mean(x^2) + eps); "layer" is the same of x - mean(x).

    Args:
        scalar: the first of `count` scalar registers to work in.
        weighed: elements before this one whose x * gain is in `out` already, if "rms" (the product before the norm
            makes it while it goes on); a multiple of the vector rows. The others are weighed while the sum is folded.
    """
    if norm == "layer":
        e.vec(None, x, elements, count=count, reduce=Reduce.SUM, to=scalar)
        _divide(e, elements, count, scalar)
        e.vec(out, x, elements, count=count, binary=Binary.SUB, scalar=scalar)
        x = out
    e.vec(None, x, elements, count=count, binary=Binary.MUL, b=x, reduce=Reduce.SUM, to=scalar)
    row = weighed // e.lanes if norm == "rms" else 0
    e.vec(out + row, x + row, elements - row * e.lanes, count=count, binary=Binary.MUL, b=gain + row)
    _divide(e, elements, count, scalar)
    e.vec(None, None, 1, count=count, from_scalar=scalar, binary=Binary.ADD, immediate=bits(eps), unary=Unary.RSQRT,
          reduce=Reduce.MAX, to=scalar)
    e.vec(out, out, elements, count=count, binary=Binary.MUL, scalar=scalar)


def _divide(e: Emitter, elements: int, count: int, scalar: int) -> None:
    """A sum becomes a mean. A single element is its own maximum, and that is there sooner than a sum."""
    e.vec(None, None, 1, count=count, from_scalar=scalar, binary=Binary.MUL, immediate=bits(1 / elements),
          reduce=Reduce.MAX, to=scalar)


def activate(e: Emitter, activation: str, out: Rows, x: Rows, elements: int, *, count: int) -> None:
    """out = x / (1 + exp(-z)) of `count` vectors, with z = x ("silu") or that of the tanh form ("gelu")."""
    if activation == "gelu":
        e.vec(out, x, elements, count=count, binary=Binary.MUL, b=x)
        e.vec(out, out, elements, count=count, binary=Binary.MUL, immediate=bits(float(GELU_CUBIC)))
        e.vec(out, out, elements, count=count, binary=Binary.ADD, immediate=bits(float(GELU_LINEAR)))
        e.vec(out, out, elements, count=count, binary=Binary.MUL, b=x, unary=Unary.EXP)
    else:
        e.vec(out, x, elements, count=count, binary=Binary.MUL, immediate=bits(-1.0), unary=Unary.EXP)
    e.vec(out, out, elements, count=count, binary=Binary.ADD, immediate=bits(1.0), unary=Unary.RECIP)
    e.vec(out, out, elements, count=count, binary=Binary.MUL, b=x)
