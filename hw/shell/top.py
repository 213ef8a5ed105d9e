"""The Verilog of an engine: flat Vitis port names, identical modules once."""

from collections.abc import Iterator

from amaranth.hdl import Elaboratable, Module, Signal
from amaranth.lib import wiring

from golden.params import EngineParams
from hw.fabric.axi import axi_read, axi_write
from hw.fabric.ram import RAM

from .control import Control, axi_lite
from .convert import to_verilog
from .core import REPORT, REPORT_BITS, EngineCore
from .report import Report

__all__ = ["components", "generate", "top_name"]


def top_name(engine: type[EngineCore]) -> str:
    return f"lacuna_{engine.NAME}"


class _FlatTop:
    """Control registers and engine behind flat ports (`m_axi_w0_araddr`), as Vivado's IP packager infers them."""

    def __init__(self, engine: EngineCore):
        self.engine = engine
        self.ports: list[Signal] = []

    def _flat(self, m, prefix, interface, signature, master):
        for name, member in signature.members.items():
            inner = getattr(interface, name)
            port = Signal(member.shape, name=f"{prefix}_{name}")
            self.ports.append(port)
            driven_inside = (member.flow == wiring.Out) == master
            m.d.comb += port.eq(inner) if driven_inside else inner.eq(port)

    def build(self) -> Module:
        m = Module()
        m.submodules.engine = engine = self.engine
        m.submodules.control = control = Control(
            bases=len(engine.ports), arguments=len(engine.arguments), results=engine.RESULTS, counters=engine.COUNTERS
        )
        values = [engine.status, engine.pc, *engine.results, *engine.counters]
        m.submodules.report = report = Report(len(values))
        unread = axi_read(REPORT_BITS).create(path=("unread",))
        for port, read, write in (*zip(engine.ports, engine.read, engine.write, strict=True),
                                  (REPORT, unread, report.write)):
            self._flat(m, f"m_axi_{port}", read, axi_read(len(read.rdata)), True)
            self._flat(m, f"m_axi_{port}", write, axi_write(len(write.wdata)), True)
        self._flat(m, "s_axi_ctl", control.axi, axi_lite(), False)
        done = Signal(name="ap_done_o")
        interrupt = Signal(name="interrupt")
        busy = Signal(len(engine.busy), name="busy_o")
        self.ports += [done, interrupt, busy]
        m.d.comb += [
            busy.eq(engine.busy),
            done.eq(control.done_level), interrupt.eq(control.interrupt),
            engine.start.eq(control.start), engine.words.eq(control.program_words),
            engine.address.eq(control.program_address),
            report.enabled.eq(control.report_enable), report.base.eq(control.report_base), report.ended.eq(engine.done),
            *(word.eq(value) for word, value in zip(report.words, values, strict=True)), control.done.eq(report.done),
            control.status.eq(engine.status), control.pc.eq(engine.pc),
            *(base.eq(word) for base, word in zip(engine.bases, control.bases, strict=True)),
            *(argument.eq(word) for argument, word in zip(engine.arguments, control.arguments, strict=True)),
            *(word.eq(result) for word, result in zip(control.results, engine.results, strict=True)),
            *(word.eq(counter) for word, counter in zip(control.counters, engine.counters, strict=True)),
        ]
        return m


def components(engine: type[EngineCore],
               params: EngineParams) -> Iterator[tuple[str, Elaboratable, list[Signal] | None]]:
    """(name, what is made, its ports if it is no component) of all that are emitted by themselves, the top last."""
    yield from ((block, component(params), None) for block, component in engine.BLOCKS.items())
    top = _FlatTop(engine(params))
    yield top_name(engine), top.build(), top.ports


def generate(engine: type[EngineCore], params: EngineParams) -> dict[str, str]:
    """File name -> Verilog of an engine with these parameters (without vendor primitives)."""
    return {RAM.name: RAM.read_text()} | {f"{name}.v": to_verilog(made, name, ports)
                                          for name, made, ports in components(engine, params)}
