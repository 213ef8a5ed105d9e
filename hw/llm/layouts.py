"""Records that cross the units of the LLM engine."""

from amaranth.hdl import signed, unsigned
from amaranth.lib import data

from golden.params import BLOCK, LlmParams

__all__ = ["ROW_BITS", "lane_layout", "pass_layout", "product_layout", "tile_layout"]

ROW_BITS = 6


def tile_layout() -> data.StructLayout:
    """What the MV instruction says of a tile; constant while it runs."""
    return data.StructLayout({
        "rows": unsigned(7),
        "blocks": unsigned(10),
        "group_log2": unsigned(3),
        "scaled": unsigned(1),
        "minimum": unsigned(1),
        "raw": unsigned(1),
        "beats": unsigned(24),
    })


def lane_layout(params: LlmParams) -> data.StructLayout:
    """A lane's part of a memory word, on its way to the lane's FIFO; who sends it has seen that there is room."""
    return data.StructLayout({"valid": unsigned(1), "data": unsigned(params.lane_bits)})


def tags_layout() -> data.StructLayout:
    """What rides along a pass through the chain."""
    return data.StructLayout({
        "valid": unsigned(1),
        "row": unsigned(ROW_BITS),
        "half": unsigned(1),
        "bank": unsigned(1),
        "block_last": unsigned(1),
        "group_last": unsigned(1),
    })


def pass_layout() -> data.StructLayout:
    """One cycle of a chain: 16 weights (0 where a slot belongs to another row) and where their inputs lie."""
    return data.StructLayout({
        "weights": data.ArrayLayout(signed(8), BLOCK),
        "index": data.ArrayLayout(unsigned(4), BLOCK),
        "tags": tags_layout(),
    })


def product_layout() -> data.StructLayout:
    """A chain's result: the exact sum of 16 products."""
    return data.StructLayout({"sum": signed(20), "tags": tags_layout()})


def side_layout(params: LlmParams) -> data.StructLayout:
    """A beat of scales or minima on its way to the accumulator: `planes` rows, word `word`."""
    return data.StructLayout({
        "valid": unsigned(1),
        "minimum": unsigned(1),
        "bank": unsigned(1),
        "word": unsigned(ROW_BITS),
        "data": unsigned(params.lane_bits),
    })
