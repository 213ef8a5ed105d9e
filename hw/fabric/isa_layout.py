"""The hardware's view of an instruction format: the only place where the ISA tables and Amaranth meet."""

from amaranth.hdl import signed, unsigned
from amaranth.lib import data

from golden.isa.formats import InstructionSet

__all__ = ["instruction_layout"]


def instruction_layout(isa: InstructionSet, name: str) -> data.FlexibleLayout:
    """Fields of format `name` at their places in the instruction word."""
    fields = {
        slot.name: data.Field(signed(slot.width) if slot.signed else unsigned(slot.width), slot.lo)
        for slot in isa.slots(isa.by_name(name))
    }
    return data.FlexibleLayout(isa.bits, fields)
