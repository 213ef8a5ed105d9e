"""The engine's top between cocotbext-axi's models of memories and of a host."""

import random
import re

from cocotb.triggers import RisingEdge
from cocotbext.axi import AxiBus, AxiLiteBus, AxiLiteMaster, AxiRam

from golden.execution import HALTED
from golden.params import EngineParams
from hw.shell.core import EngineCore
from hw.shell.kernel import CONTROL, generate_kernel, kernel_name
from hw.shell.top import top_name
from sim.verilog import engine_verilog
from tests.hw.runner import run_cocotb

__all__ = ["HALTED", "START", "Engine", "run_top"]

START = 1


def run_top(core: type[EngineCore], params: EngineParams, test_module, *, parameters, slices=None, testcase=None,
            optimise="-O0"):
    """`run_cocotb` of a whole engine, as `axi_top`; `parameters` get `params`. slices: of the kernel around it."""
    sources, top = dict(engine_verilog(core.NAME, params)), top_name(core)
    name = top if slices is None else kernel_name(core)
    if slices is not None:
        sources[f"{name}.v"] = generate_kernel(core, params, slices)
    wrapper = with_all_signals(name, sources[f"{name}.v"], core.masters(params))
    run_cocotb(
        "\n".join([*sources.values(), wrapper]), top="axi_top", test_module=test_module, testcase=testcase,
        parameters={"params": params.to_dict(), **parameters}, extra_sources=core.TWINS, blocks=list(core.BLOCKS),
        optimise=optimise,
    )  # fmt: skip


KERNEL = {"ap_clk": "clk", "ap_rst_n": "!rst"}
"""What the wrapper connects to a kernel's ports."""


def with_all_signals(top, text, masters):
    """`axi_top`: the engine's top or kernel with the AXI signals that it leaves at AXI's defaults and cocotbext-axi
    asks for, under the top's names. masters: see `EngineCore.masters`."""
    body = re.search(rf"module {top}\(.*?\);(.*?)endmodule", text, re.DOTALL)
    ports = re.findall(r"^  (input|output) (\[\d+:0\] )?(\w+);$", body[1], re.MULTILINE)
    names = {name: KERNEL.get(name, name.replace(CONTROL, "s_axi_ctl")) for _, _, name in ports}
    head = [f"{way} {width}{names[name]}" for way, width, name in ports if name not in KERNEL]
    more = []
    if KERNEL.keys() & names.keys():
        head += ["input clk", "input rst", "output ap_done_o"]
        more.append("assign ap_done_o = top.engine.ap_done_o;")
    for port, bits in ((f"m_axi_{name}", bits) for name, bits in masters.items()):
        size = (bits // 8).bit_length() - 1
        outputs = {"awid": (8, 0), "awsize": (3, size), "awburst": (2, 1), "arid": (8, 0), "arsize": (3, size),
                   "arburst": (2, 1)}  # fmt: skip
        missing = {name: value for name, value in outputs.items() if f"{port}_{name}" not in names}
        head += [f"output [{width - 1}:0] {port}_{name}" for name, (width, _) in missing.items()]
        head += [f"input [7:0] {port}_{name}" for name in ("bid", "rid")]
        more += [f"assign {port}_{name} = {width}'d{value};" for name, (width, value) in missing.items()]
    connections = ", ".join(f".{name}({outside})" for name, outside in names.items())
    return "\n".join([f"module axi_top({', '.join(head)});", *more, f"{top} top({connections});", "endmodule", ""])


class Engine:
    """The design between its memories and a master for its registers; `stall`: chance of a pause on every channel."""

    def __init__(self, dut, core: type[EngineCore], params: EngineParams, *, image_bytes, stall=0.0, seed=1):
        self.dut = dut
        registers = core.base_registers(params)
        self.bases = {port: (registers[port], (3 + i) << 33) for i, port in enumerate(registers)}
        self.offsets = {register.name: register.offset for register in core.registers(params)}
        self.rams = {port: AxiRam(AxiBus.from_prefix(dut, f"m_axi_{port}"), dut.clk, dut.rst, size=image_bytes)
                     for port in self.bases}  # fmt: skip
        self.control = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axi_ctl"), dut.clk, dut.rst)
        rng = random.Random(seed)

        def pauses():
            while True:
                yield rng.random() < stall

        for model in (*self.rams.values(), self.control):
            channels = [getattr(model.write_if, f"{name}_channel") for name in ("aw", "w", "b")]
            channels += [getattr(model.read_if, f"{name}_channel") for name in ("ar", "r")]
            for channel in channels if stall else ():
                channel.set_pause_generator(pauses())

    async def write(self, name, value):
        response = await self.control.write(self.offsets[name], (value & 0xFFFFFFFF).to_bytes(4, "little"))
        return response.resp

    async def read(self, name):
        return int.from_bytes((await self.control.read(self.offsets[name], 4)).data, "little")

    async def prepare(self, images, words, address):
        """Images to the memories, length and place of the program to the registers."""
        for port, image in images.items():
            self.rams[port].write(0, image.tobytes())
        await self.write("program_words", words)
        await self.write("program_address", address)
        for name, base in self.bases.values():
            await self.write(f"{name}_low", base)
            await self.write(f"{name}_high", base >> 32)

    async def run(self):
        """Start and wait; the status."""
        await self.write("ap_ctrl", START)
        while self.dut.ap_done_o.value == 0:
            await RisingEdge(self.dut.clk)
        return await self.read("status")
