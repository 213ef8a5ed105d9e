import re

from golden.params import LlmParams
from hw.fabric.dsp import TWIN
from hw.llm.mpe import MPU_MODULE
from hw.shell.top import LLM_TOP
from sim.verilog import llm_verilog
from tests.hw.runner import run_cocotb

PARAMS = {
    "channels": 1, "axi_bits": 256, "planes": 2, "ksplit": 1, "mpu_vpus": 2, "acc_depth": 8, "sfu_lanes": 4,
    "vmem_rows": 128, "xbuf_blocks": 8, "imem_words": 64, "queue_depth": 4, "fifo_depth": 32, "burst_beats": 8,
    "outstanding": 2,
}  # fmt: skip


def with_all_signals(text, beat_bytes):
    """`axi_top`: the engine's top with the AXI signals that it leaves at AXI's defaults and cocotbext-axi asks for."""
    body = re.search(rf"module {LLM_TOP}\(.*?\);(.*?)endmodule", text, re.DOTALL)
    ports = re.findall(r"^  (input|output) (\[\d+:0\] )?(\w+);$", body[1], re.MULTILINE)
    size = (beat_bytes - 1).bit_length()
    outputs = {"awid": (8, 0), "awsize": (3, size), "awburst": (2, 1), "arid": (8, 0), "arsize": (3, size),
               "arburst": (2, 1)}  # fmt: skip
    head, more = [f"{way} {width}{name}" for way, width, name in ports], []
    for port in sorted({name.rpartition("_")[0] for _, _, name in ports if name.startswith("m_axi_")}):
        head += [f"output [{width - 1}:0] {port}_{name}" for name, (width, _) in outputs.items()]
        head += [f"input [7:0] {port}_{name}" for name in ("bid", "rid")]
        more += [f"assign {port}_{name} = {width}'d{value};" for name, (width, value) in outputs.items()]
    connections = ", ".join(f".{name}({name})" for *_, name in ports)
    return "\n".join([f"module axi_top({', '.join(head)});", *more, f"{LLM_TOP} top({connections});", "endmodule", ""])


def test_top():
    params = LlmParams(**PARAMS)
    sources = llm_verilog(params)
    wrapper = with_all_signals(sources[f"{LLM_TOP}.v"], params.beat_bytes)
    run_cocotb(
        "\n".join([*sources.values(), wrapper]), top="axi_top", test_module="tests.hw.shell.cocotb_top",
        parameters={"params": PARAMS}, extra_sources=[TWIN], blocks=[MPU_MODULE],
    )  # fmt: skip
