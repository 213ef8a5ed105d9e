"""Records that cross the units of the LLM engine."""

import functools

from amaranth.hdl import signed, unsigned
from amaranth.lib import data

from golden.params import BLOCK, LlmParams

__all__ = [
    "PAIR", "PARTIAL_BITS", "ROW_BITS", "WAYS", "block_layout", "fill_layout", "inputs_layout", "lane_layout",
    "numbered_side_layout", "pass_layout", "product_layout", "side_layout", "tile_layout",
]

ROW_BITS = 6
PAIR = 2
"""Vectors that a VPU multiplies at once: two products a DSP48E2."""
WAYS = 4
"""Inputs that a fill carries, where each goes to slots of its own."""
PARTIAL_BITS = 27
"""A group's integer sum after the block shifts: the DSP48E2's A port. The compiler checks that it fits."""


@functools.cache
def tile_layout() -> data.StructLayout:
    """What the MV or MM instruction says of a tile; constant while it runs. `shared`: MM. `spread`: no slot takes
    another's input, so that inputs come WAYS at once."""
    return data.StructLayout({
        "rows": unsigned(7),
        "blocks": unsigned(10),
        "group_log2": unsigned(3),
        "scaled": unsigned(1),
        "minimum": unsigned(1),
        "raw": unsigned(1),
        "spread": unsigned(1),
        "beats": unsigned(24),
        "shared": unsigned(1),
    })


@functools.cache
def lane_layout(params: LlmParams) -> data.StructLayout:
    """A lane's part of a memory word, on its way to the lane's FIFO; who sends it has seen that there is room."""
    return data.StructLayout({"valid": unsigned(1), "data": unsigned(params.lane_bits)})


@functools.cache
def block_layout() -> data.StructLayout:
    """A quantised block: 16 INT8 values and their shift."""
    return data.StructLayout({"q": data.ArrayLayout(signed(8), BLOCK), "shift": unsigned(3)})


@functools.cache
def fill_layout() -> data.StructLayout:
    """Inputs of the block in half `half`, of both vectors of a VPU.

    Input `slot` to every sparse MUX (all of `value` are the same); or, with `spread`, input `slot` + w = `value[w]` to
    the MUXes of the slots s with s % WAYS = w: enough where every slot takes its own input. `last`: of the block.
    """
    return data.StructLayout({
        "valid": unsigned(1),
        "last": unsigned(1),
        "half": unsigned(1),
        "spread": unsigned(1),
        "slot": unsigned(4),
        "value": data.ArrayLayout(data.ArrayLayout(signed(8), PAIR), WAYS),
    })


@functools.cache
def inputs_layout() -> data.StructLayout:
    """Strobe behind the last input of a block, of both vectors: its shift, and its group's sum of q << shift so far,
    << min_shift."""
    return data.StructLayout({
        "valid": unsigned(1),
        "half": unsigned(1),
        "shift": data.ArrayLayout(unsigned(3), PAIR),
        "sum": data.ArrayLayout(signed(PARTIAL_BITS), PAIR),
    })


@functools.cache
def tags_layout() -> data.StructLayout:
    """What rides along a pass through the chain.

    `row`: of the first half's result, or of both (`whole`); `second`: the other half has a result, of `second_row`.
    """
    return data.StructLayout({
        "valid": unsigned(1),
        "row": unsigned(ROW_BITS),
        "whole": unsigned(1),
        "second": unsigned(1),
        "second_row": unsigned(ROW_BITS),
        "half": unsigned(1),
        "bank": unsigned(1),
        "block_last": unsigned(1),
        "group_last": unsigned(1),
        "tile_last": unsigned(1),
    })


@functools.cache
def pass_layout() -> data.StructLayout:
    """One cycle of a chain: 16 weights (0 where a slot belongs to no row) and where their inputs lie."""
    return data.StructLayout({
        "weights": data.ArrayLayout(signed(8), BLOCK),
        "index": data.ArrayLayout(unsigned(4), BLOCK),
        "tags": tags_layout(),
    })


@functools.cache
def product_layout() -> data.StructLayout:
    """A chain's exact results for both vectors: of all 16 products (`tags.whole`) or of the first eight; of the last
    eight."""
    return data.StructLayout({
        "first": data.ArrayLayout(signed(20), PAIR),
        "second": data.ArrayLayout(signed(19), PAIR),
        "tags": tags_layout(),
    })


@functools.cache
def side_layout(params: LlmParams) -> data.StructLayout:
    """A beat of scales or minima from a lane: `planes` rows, word `word`."""
    return data.StructLayout({
        "valid": unsigned(1),
        "minimum": unsigned(1),
        "bank": unsigned(1),
        "word": unsigned(ROW_BITS),
        "data": unsigned(params.lane_bits),
    })


@functools.cache
def numbered_side_layout(params: LlmParams) -> data.StructLayout:
    """The same on its way to an accumulator, with the lane it comes from (MV: 0)."""
    return data.StructLayout({**side_layout(params).members, "lane": unsigned(3)})
