"""The Verilog of an engine: flat Vitis port names, identical modules once."""

import os

from amaranth.back import verilog
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring

from golden.params import LlmParams
from hw.fabric.axi import axi_read, axi_write
from hw.fabric.ram import RAM
from hw.llm.engine import RESULTS, LlmEngine
from hw.llm.mpe import MPU_MODULE
from hw.llm.mpu import Mpu
from hw.llm.sequencer import ARGUMENTS

from .control import Control, axi_lite
from .registers import COUNTERS

__all__ = ["LLM_TOP", "generate_llm"]

LLM_TOP = "lacuna_llm"


class _FlatTop:
    """Control registers and engine behind flat ports (`m_axi_w0_araddr`), as Vivado's IP packager infers them."""

    def __init__(self, params: LlmParams):
        self.params = params
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
        p = self.params
        m.submodules.engine = engine = LlmEngine(p)
        m.submodules.control = control = Control(
            bases=p.channels + 1, arguments=ARGUMENTS, results=RESULTS, counters=COUNTERS
        )
        for c in range(p.channels):
            self._flat(m, f"m_axi_w{c}", engine.read_w[c], axi_read(p.axi_bits), True)
            self._flat(m, f"m_axi_w{c}", engine.write_w[c], axi_write(p.axi_bits), True)
        self._flat(m, "m_axi_v", engine.read_v, axi_read(p.axi_bits), True)
        self._flat(m, "m_axi_v", engine.write_v, axi_write(p.axi_bits), True)
        self._flat(m, "s_axi_ctl", control.axi, axi_lite(), False)
        done = Signal(name="ap_done_o")
        interrupt = Signal(name="interrupt")
        busy = Signal(len(engine.busy), name="busy_o")
        self.ports += [done, interrupt, busy]
        m.d.comb += [
            busy.eq(engine.busy),
            done.eq(control.done_level), interrupt.eq(control.interrupt),
            engine.start.eq(control.start), engine.words.eq(control.program_words),
            engine.address.eq(control.program_address), control.done.eq(engine.done),
            control.status.eq(engine.status), control.pc.eq(engine.pc),
            *(engine.bases[i].eq(control.bases[i]) for i in range(p.channels + 1)),
            *(engine.arguments[i].eq(control.arguments[i]) for i in range(ARGUMENTS)),
            *(control.results[i].eq(engine.results[i]) for i in range(RESULTS)),
            *(control.counters[i].eq(engine.counters[i]) for i in range(len(COUNTERS))),
        ]
        return m


def generate_llm(params: LlmParams) -> dict[str, str]:
    """File name -> Verilog of the LLM engine (without the DSP48E2 primitive)."""
    os.environ["AMARANTH_USE_YOSYS"] = "builtin"
    options = {"emit_src": False, "strip_internal_attrs": True}
    top = _FlatTop(params)
    module = top.build()
    return {
        RAM.name: RAM.read_text(),
        f"{MPU_MODULE}.v": verilog.convert(Mpu(params), name=MPU_MODULE, **options),
        f"{LLM_TOP}.v": verilog.convert(module, name=LLM_TOP, ports=top.ports, **options),
    }
