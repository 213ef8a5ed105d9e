"""An engine's top as Vivado and Vitis take it: their names of clock, reset and ports, and register slices."""

from collections.abc import Iterator

from amaranth.hdl import Cat, ClockDomain, ClockSignal, Instance, Module, ResetSignal, Shape, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import Out

from golden.params import EngineParams
from hw.fabric.axi import axi_read, axi_write
from hw.fabric.register_slice import RegisterSlice

from .control import axi_lite
from .convert import to_verilog
from .core import EngineCore
from .top import top_name

__all__ = ["CONTROL", "generate_kernel", "kernel_module", "kernel_name", "kernel_ports", "port_bus"]

CONTROL = "s_axi_control"
CACHE = 0b0011
"""Bufferable and modifiable, so that interconnects may change widths."""


def kernel_name(engine: type[EngineCore]) -> str:
    return f"{top_name(engine)}_kernel"


def port_bus(port: str) -> str:
    """Name of a memory port's AXI interface."""
    return f"m_axi_{port}"


def _channels(signature: wiring.Signature):
    """(prefix, payload layout, whether the master sends it) of the channels of an AXI signature."""
    for prefix in ("ar", "r", "aw", "w", "b"):
        members = {name: member for name, member in signature.members.items()
                   if name.startswith(prefix) and name not in (f"{prefix}valid", f"{prefix}ready")}
        if members:
            sent = signature.members[f"{prefix}valid"].flow == Out
            yield prefix, data.StructLayout({name: member.shape for name, member in members.items()}), sent


def kernel_ports(engine: type[EngineCore], params: EngineParams) -> Iterator[tuple[str, int, bool]]:
    """(name, bits, whether it comes in) of all ports of a kernel."""
    yield from (("ap_clk", 1, True), ("ap_rst_n", 1, True), ("interrupt", 1, False))
    for name, bits in engine.masters(params).items():
        for signature in (axi_read(bits), axi_write(bits)):
            yield from _bus_ports(port_bus(name), signature, master=True)
        yield from ((f"{port_bus(name)}_{way}{signal}", width, False) for way in ("aw", "ar")
                    for signal, width, _ in _constants(bits))
    yield from _bus_ports(CONTROL, axi_lite(), master=False)


def _bus_ports(bus: str, signature: wiring.Signature, *, master: bool) -> Iterator[tuple[str, int, bool]]:
    for name, member in signature.members.items():
        yield f"{bus}_{name}", Shape.cast(member.shape).width, (member.flow == Out) != master


def _constants(bits: int) -> tuple[tuple[str, int, int], ...]:
    """(signal, bits, value) of what never changes on an address channel."""
    return ("size", 3, (bits // 8).bit_length() - 1), ("burst", 2, 1), ("cache", 4, CACHE), ("prot", 3, 0)


class _Kernel:
    """`slices` register slices between each AXI channel of `lacuna_<engine>` and the outside."""

    def __init__(self, engine: type[EngineCore], params: EngineParams, slices: int) -> None:
        self.engine, self.params, self.slices = engine, params, slices
        self.ports = {name: Signal(width, name=name) for name, width, _ in kernel_ports(engine, params)}

    def build(self) -> Module:
        m = Module()
        self._clocks(m)
        self._inside: dict[str, Signal] = {  # the last two are for simulation
            "o_interrupt": self.ports["interrupt"], "o_ap_done_o": Signal(name="done"),
            "o_busy_o": Signal(len(self.engine.UNITS), name="busy"),
        }
        for name, bits in self.engine.masters(self.params).items():
            bus = port_bus(name)
            for signature in (axi_read(bits), axi_write(bits)):
                self._bus(m, bus, bus, signature, master=True)
            m.d.comb += [self.ports[f"{bus}_{way}{signal}"].eq(value) for way in ("aw", "ar")
                         for signal, _, value in _constants(bits)]
        self._bus(m, CONTROL, "s_axi_ctl", axi_lite(), master=False)
        m.submodules.engine = Instance(top_name(self.engine), i_clk=ClockSignal(), i_rst=ResetSignal(), **self._inside)
        return m

    def _clocks(self, m: Module) -> None:
        """The reset is registered twice: it reaches every control register."""
        m.domains.sync = domain = ClockDomain("sync")
        held = Signal(2, init=3, reset_less=True)
        m.d.comb += [domain.clk.eq(self.ports["ap_clk"]), domain.rst.eq(held[1])]
        m.d.sync += held.eq(Cat(~self.ports["ap_rst_n"], held[0]))

    def _bus(self, m: Module, bus: str, inner: str, signature: wiring.Signature, *, master: bool) -> None:
        """An AXI interface of the engine, named `inner` there and `bus` outside."""
        for prefix, layout, sent in _channels(signature):
            leaves = sent == master
            outer = {name: self.ports[f"{bus}_{name}"] for name in layout.members}
            valid, ready = (self.ports[f"{bus}_{prefix}{way}"] for way in ("valid", "ready"))
            mine = {name: Signal(shape, name=f"{inner}_{name}_inside") for name, shape in layout.members.items()}
            my_valid, my_ready = (Signal(name=f"{inner}_{prefix}{way}_inside") for way in ("valid", "ready"))
            out, back = ("o", "i") if leaves else ("i", "o")
            self._inside |= {f"{out}_{inner}_{name}": signal for name, signal in mine.items()}
            self._inside |= {f"{out}_{inner}_{prefix}valid": my_valid, f"{back}_{inner}_{prefix}ready": my_ready}
            first, last = ((mine, my_valid, my_ready), (outer, valid, ready))
            if not leaves:
                first, last = last, first
            self._sliced(m, f"{bus}_{prefix}", layout, first, last)

    def _sliced(self, m: Module, name: str, layout: data.StructLayout, first, last) -> None:
        fields, valid, ready = first
        payload = Signal(layout, name=f"{name}_payload")
        m.d.comb += [payload[field].eq(signal) for field, signal in fields.items()]
        for number in range(self.slices):
            m.submodules[f"{name}_{number}"] = slice_ = RegisterSlice(layout)
            m.d.comb += [slice_.i.payload.eq(payload), slice_.i.valid.eq(valid), ready.eq(slice_.i.ready)]
            payload, valid, ready = slice_.o.payload, slice_.o.valid, slice_.o.ready
        fields, out_valid, in_ready = last
        m.d.comb += [*(signal.eq(payload[field]) for field, signal in fields.items()),
                     out_valid.eq(valid), ready.eq(in_ready)]


def kernel_module(engine: type[EngineCore], params: EngineParams, slices: int) -> tuple[str, Module, list[Signal]]:
    """(name, what is made, its ports) of the kernel, as `hw.shell.top.components` has them.

    Raises:
        ValueError: a negative number of slices.
    """
    if slices < 0:
        raise ValueError(f"slices = {slices!r}: must not be negative")
    kernel = _Kernel(engine, params, slices)
    return kernel_name(engine), kernel.build(), list(kernel.ports.values())


def generate_kernel(engine: type[EngineCore], params: EngineParams, slices: int = 0) -> str:
    """Verilog of the kernel around `hw.shell.top.generate`'s; see `kernel_module`."""
    name, module, ports = kernel_module(engine, params, slices)
    return to_verilog(module, name, ports)
