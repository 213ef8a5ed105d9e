"""Norms and activations as sequences of vector instructions (docs/numerics.md)."""

import struct

from golden.functions import GELU_CUBIC, GELU_LINEAR
from golden.isa.llm import Binary, Reduce, Unary

from .emit import Emitter, Rows

__all__ = ["activate", "normalise"]


def bits(value: float) -> int:
    return int(struct.unpack("<I", struct.pack("<f", value))[0])


def normalise(e: Emitter, norm: str, out: Rows, x: Rows, gain: Rows, elements: int, eps: float, *, count: int,
              scalar: int) -> None:
    """Norms of `count` vectors: "rms" is x * gain / sqrt(mean(x^2) + eps), where x * gain is in `out` already (the
    product before it makes it while it goes on); "layer" is the same of x - mean(x), all of it made here.

    Args:
        scalar: the first of `count` scalar registers to work in.
    """
    if norm == "layer":
        e.vec(None, x, elements, count=count, reduce=Reduce.SUM, to=scalar)
        _divide(e, elements, count, scalar)
        e.vec(out, x, elements, count=count, binary=Binary.SUB, scalar=scalar)
        x = out
    e.vec(None, x, elements, count=count, binary=Binary.MUL, b=x, reduce=Reduce.SUM, to=scalar)
    _divide(e, elements, count, scalar)
    e.vec(None, None, 1, count=count, from_scalar=scalar, binary=Binary.ADD, immediate=bits(eps), unary=Unary.RSQRT,
          reduce=Reduce.MAX, to=scalar)
    if norm == "layer":
        e.vec(out, out, elements, count=count, binary=Binary.MUL, b=gain)
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
