"""A resolved instruction of the MISC queue."""

import functools

from amaranth.hdl import unsigned
from amaranth.lib import data

from golden.isa.llm import SCALARS, SLOTS
from golden.params import LlmParams

__all__ = ["Operation", "vector_layout"]


class Operation:
    """What the MISC queue does, by opcode order: VEC, QNT, AMX, PUT."""

    VEC, QNT, AMX, PUT = range(4)


@functools.cache
def vector_layout(params: LlmParams) -> data.StructLayout:
    """A MISC instruction, operands resolved; the fields of docs/llm_isa.md."""
    return data.StructLayout(
        {
            "operation": unsigned(2),
            "a": unsigned(32),
            "b": unsigned(32),
            "n": unsigned(32),
            "chained": unsigned(1),
            "noted": unsigned(1),
            "binary": unsigned(3),
            "unary": unsigned(2),
            "reduce": unsigned(2),
            "a_source": unsigned(1),
            "b_source": unsigned(2),
            "store": unsigned(1),
            "n_step": unsigned(1),
            "repeat": unsigned(4),
            "scalar_step": unsigned(3),
            "sa": range(SCALARS),
            "sb": range(SCALARS),
            "sd": range(SCALARS),
            "b_row": unsigned(18),
            "period": unsigned(8),
            "immediate": unsigned(32),
            "stride_a": unsigned(12),
            "stride_b": unsigned(12),
            "stride_c": unsigned(12),
            "group_log2": unsigned(3),
            "round_log2": unsigned(3),
            "flat": unsigned(1),
            "pad": unsigned(4),
            "slot": range(SLOTS),
            "token": unsigned(4),
            "token_step": unsigned(1),
            "first": unsigned(1),
            "keep": unsigned(1),
            "source": unsigned(2),
            "at_best": unsigned(1),
        }
    )
