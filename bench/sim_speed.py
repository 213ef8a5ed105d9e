"""Speed of simulation, the project's harness against cocotb on the same RTL: `python -m bench.sim_speed --json`.

The engine multiplies one dense tile of 4-bit weights again and again, a word of every weight channel a cycle. Harness:
Verilator with memories in C++ (`sim/`). cocotb: Verilator with cocotbext-axi's memories. The same Verilog, options and
optimisation of the C++ (-O2); builds are not in the times.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np

from compiler.program import Program
from golden.isa.llm import ISA
from golden.llm.encode import encode_lanes
from golden.llm.stream import BlockFormat, LaneMatrix
from golden.params import BLOCK, LlmParams
from hw.llm.engine import LlmEngine
from sim.device import RtlDevice
from tests.hw.shell.axi_top import run_top

SIZES = {
    "128 DSPs": LlmParams(),
    "512 DSPs": LlmParams(channels=2, axi_bits=512, ksplit=1, mpu_vpus=4, acc_depth=16),
}
PROGRAM, TILE, IMAGE = 0, 0, 1 << 18
BLOCKS = 16
PRODUCTS = {"harness": 400, "cocotb": 20}
"""Products of the tile with a vector that each of the two simulates."""


def workload(params: LlmParams) -> tuple[dict[str, np.ndarray], list[int], int]:
    """Images, program (register 1: how many products) and multiplications a product."""
    rng = np.random.default_rng(1)
    shape = (params.acc_depth, BLOCKS * BLOCK)
    formats = ((BlockFormat(16, 4),) * -(-params.acc_depth // BLOCK),) * BLOCKS
    scale = np.ones((params.acc_depth, BLOCKS // 8), np.uint16)
    lanes = [LaneMatrix(rng.integers(-8, 8, shape).astype(np.int16), np.ones(shape, bool), formats, scale, None, 8)
             for _ in range(params.chains)]  # fmt: skip
    words = np.stack(encode_lanes(lanes, params.planes), 1).astype("<u2")
    images = {
        f"w{c}": np.zeros(IMAGE, np.uint8) for c in range(params.channels)
    } | {"v": np.zeros(IMAGE, np.uint8)}  # fmt: skip
    for c in range(params.channels):
        data = words[:, c * params.lanes_per_channel : (c + 1) * params.lanes_per_channel].copy().view(np.uint8).ravel()
        images[f"w{c}"][TILE : TILE + len(data)] = data
    tile = {"rows": params.acc_depth, "group_log2": 3, "scaled": 1, "beats": len(words), "n": BLOCKS}
    program = [
        ISA.encode("LDW", {"a": TILE, "n": len(words)}),
        ISA.encode("MV", tile),
        ISA.encode("DBNZ", {"rd": 1, "a": 0}),
        ISA.encode("HALT", {}),
    ]
    code = np.frombuffer(ISA.image(program), np.uint8)
    images["v"][PROGRAM : PROGRAM + len(code)] = code
    return images, program, params.chains * params.acc_depth * BLOCKS * BLOCK


def harness_run(params: LlmParams) -> tuple[int, float]:
    """(cycles, seconds)"""
    images, program, _ = workload(params)
    device = RtlDevice()
    device.load(Program({"engine": "llm", "params": params.to_dict(), "program_address": PROGRAM}, program, images, {}))
    began = time.perf_counter()
    cycles = device.run((PRODUCTS["harness"],)).cycles
    assert cycles is not None
    return cycles, time.perf_counter() - began


def cocotb_run(params: LlmParams) -> tuple[int, float]:
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        run_top(LlmEngine, params, "bench.cocotb_speed", parameters={"result": str(result)}, optimise="-O2")
        return tuple(json.loads(result.read_text()))


def measure() -> list[dict]:
    rows = []
    for size, params in SIZES.items():
        macs = workload(params)[2]
        for name, run in (("harness", harness_run), ("cocotb", cocotb_run)):
            cycles, seconds = run(params)
            rows.append({
                "size": size, "simulator": name, "cycles": cycles, "seconds": seconds, "cycles_per_s": cycles / seconds,
                "macs_per_s": macs * PRODUCTS[name] / seconds,
            })  # fmt: skip
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="one object on stdout")
    as_json = parser.parse_args().json
    rows = measure()
    if as_json:
        print(json.dumps({"rows": rows}))
        return
    for row in rows:
        print("{size:10}{simulator:9}{cycles_per_s:>12,.0f} cycles/s{macs_per_s:>16,.0f} MAC/s".format(**row))


if __name__ == "__main__":
    main()
