"""cocotb side of `bench.sim_speed`."""

import json
import logging
import time
from pathlib import Path

import cocotb

from bench.sim_speed import IMAGE, PRODUCTS, PROGRAM, workload
from golden.params import LlmParams
from hw.llm.engine import LlmEngine
from tests.hw.harness import parameters, start
from tests.hw.shell.axi_top import HALTED, Engine


@cocotb.test()
async def products(dut):
    """parameters: params, result (JSON file for [cycles, seconds])."""
    options = parameters()
    params = LlmParams.from_dict(options["params"])
    engine = Engine(dut, LlmEngine, params, image_bytes=IMAGE)
    logging.getLogger("cocotb.axi_top").setLevel("WARNING")  # a line of log a burst would be counted too
    await start(dut)
    images, program, _ = workload(params)
    await engine.prepare(images, len(program), PROGRAM)
    await engine.write("argument_0", PRODUCTS["cocotb"])
    began = time.perf_counter()
    assert await engine.run() == HALTED
    seconds = time.perf_counter() - began
    Path(options["result"]).write_text(json.dumps([await engine.read("count_cycles"), seconds]))
