"""Modules that are emitted once and instantiated by name."""

from amaranth.hdl import ClockSignal, Instance, ResetSignal
from amaranth.lib.wiring import In

__all__ = ["instantiate"]


def instantiate(m, module, signature, name):
    """The ports of an instance of `module`, the Verilog of a component with this signature, as an interface.

    Args:
        name: of the submodule in `m`.
    """
    ports = signature.create(path=(name,))
    wires = {
        ("i_" if member.flow == In else "o_") + "__".join(map(str, path)): wire
        for path, member, wire in signature.flatten(ports)
    }
    m.submodules[name] = Instance(module, i_clk=ClockSignal(), i_rst=ResetSignal(), **wires)
    return ports
