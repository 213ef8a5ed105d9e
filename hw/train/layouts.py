"""Words on their way to memory, and of the units that update weights and make compact ones."""

from amaranth.hdl import Cat, Value
from amaranth.lib import data

from golden.isa.train import ISA
from golden.train.params import GROUP, TrainParams
from golden.train.prune import LEGAL_LOGS
from hw.fabric.isa_layout import instruction_layout

__all__ = ["NUMBER_BITS", "addressed_layout", "is_pattern", "masked_layout", "pattern_layout", "piece_layout",
           "row_layout", "update_layout"]

NUMBER_BITS = 16
PLACE_BITS = GROUP.bit_length() - 1


def pattern_layout() -> data.StructLayout:
    """N:M as `golden.train.prune.pattern_logs` gives it: log2 of each, dense is 1:1."""
    return data.StructLayout({"n": 2, "m": 3})


def is_pattern(n: Value, m: Value) -> Value:
    """Whether an instruction's logarithms are those of an N:M that there is."""
    return Cat((n == log_n) & (m == log_m) for log_n, log_m in LEGAL_LOGS).any()


def row_layout() -> data.ArrayLayout:
    """A number for each lane."""
    return data.ArrayLayout(NUMBER_BITS, GROUP)


def piece_layout() -> data.StructLayout:
    """A slot of each lane: `index` is the place of `values` in the group of 16."""
    return data.StructLayout({"values": row_layout(), "index": data.ArrayLayout(PLACE_BITS, GROUP)})


def addressed_layout(params: TrainParams) -> data.StructLayout:
    """A word for memory at word `address`."""
    return data.StructLayout({"address": 32, "data": params.axi_bits})


def masked_layout(params: TrainParams) -> data.StructLayout:
    """Those bytes of a word for memory at word `address` that `strobe` has a bit for."""
    return data.StructLayout({"address": 32, "data": params.axi_bits, "strobe": params.axi_bits // 8})


def update_layout() -> data.FlexibleLayout:
    return instruction_layout(ISA, "UPD")
