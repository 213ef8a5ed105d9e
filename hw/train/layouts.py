"""Words of the units that make compact weights."""

from amaranth.lib import data

from golden.train.params import GROUP

__all__ = ["NUMBER_BITS", "pattern_layout", "piece_layout", "row_layout"]

NUMBER_BITS = 16
PLACE_BITS = GROUP.bit_length() - 1


def pattern_layout() -> data.StructLayout:
    """N:M as `golden.train.prune.pattern_logs` gives it: log2 of each, dense is 1:1."""
    return data.StructLayout({"n": 2, "m": 3})


def row_layout() -> data.ArrayLayout:
    """A number for each lane."""
    return data.ArrayLayout(NUMBER_BITS, GROUP)


def piece_layout() -> data.StructLayout:
    """A slot of each lane: `index` is the place of `values` in the group of 16."""
    return data.StructLayout({"values": row_layout(), "index": data.ArrayLayout(PLACE_BITS, GROUP)})
