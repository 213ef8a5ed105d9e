"""A VPU runs whole tiles: decode, multiply, accumulate; read back the exact sums."""

import random

import cocotb
import numpy as np
from cocotb.triggers import FallingEdge, RisingEdge

from golden.llm.stream import BlockFormat, encode_lane
from golden.params import BLOCK, LlmParams
from hw.llm.chain import fill_layout
from hw.llm.layouts import tile_layout
from hw.llm.vpu import Vpu
from tests.hw.harness import parameters, start, watchdog
from tests.hw.llm.lanes import random_lane

CASES = [
    {"rows": 16, "blocks": 4, "group": 2, "formats": BlockFormat(16, 8)},
    {"rows": 3, "blocks": 3, "group": 1, "formats": BlockFormat(16, 8), "extreme": True, "minimum": False},
    {"rows": 9, "blocks": 4, "group": 2, "formats": BlockFormat(16, 4, False)},
    {"rows": 32, "blocks": 4, "group": 4, "formats": BlockFormat(8, 4)},
    {"rows": 17, "blocks": 6, "group": 2, "formats": BlockFormat(12, 5)},
    {"rows": 33, "blocks": 2, "group": 1, "formats": BlockFormat(1, 3)},
    {"rows": 40, "blocks": 4, "group": 2, "formats": BlockFormat(0, 3)},
    {"rows": 1, "blocks": 5, "group": 1, "formats": BlockFormat(16, 2), "scaled": False, "minimum": False},
    {"rows": 7, "blocks": 8, "group": 2, "formats": BlockFormat(0, 4), "minimum": False},
    *({"rows": 20 + i, "blocks": 8, "group": 2} for i in range(4)),
]


async def send(dut, words, rng, stall):
    """A word a cycle while there is room, with random gaps."""
    for word in words:
        while dut.lane_room.value != 1 or rng.random() < stall:
            dut.lane.value = 0
            await RisingEdge(dut.clk)
        dut.lane.value = 1 | word << 1
        await RisingEdge(dut.clk)
    dut.lane.value = 0


async def feed(dut, q, shift, sums):
    """Plays the column's feeder: fills the halves when there is room."""
    layout = fill_layout()
    for block, values in enumerate(q):
        while True:
            await FallingEdge(dut.clk)
            if dut.room.value == 1:
                break
        half = block % 2
        for slot, value in enumerate(values):
            await RisingEdge(dut.clk)
            fill = {"valid": 1, "half": half, "slot": slot, "value": int(value)}
            dut.fill.value = layout.const(fill).as_value().value
        getattr(dut, f"shift__{half}").value = int(shift[block])
        getattr(dut, f"input_sum__{half}").value = int(sums[block])
        await RisingEdge(dut.clk)
        dut.fill.value = 0
        dut.filled.value = 1
        await RisingEdge(dut.clk)
        dut.filled.value = 0


async def run_tile(dut, params, rng, case, stall):
    lane = random_lane(rng, **case)
    scaled, minimum = lane.scale is not None, lane.minimum is not None
    blocks, group, rows = case["blocks"], case["group"], case["rows"]
    low = -128 if case.get("extreme") else -127
    q = np.full((blocks, BLOCK), -128) if case.get("extreme") else rng.integers(low, 128, (blocks, BLOCK))
    shift = rng.integers(0, 7, blocks)
    x = q << shift[:, None]
    min_shift = 3
    sums = np.concatenate([np.cumsum(x[g : g + group].sum(1)) for g in range(0, blocks, group)]) << min_shift

    weights = np.where(lane.keep, lane.q, 0).astype(np.int64)
    expected = np.zeros(rows, np.int64)
    for g in range(-(-blocks // group)):
        part = slice(g * group * BLOCK, (g + 1) * group * BLOCK)
        inner = weights[:, part] @ x.reshape(-1)[part]
        expected += inner * (lane.scale[:, g].astype(np.int64) if scaled else 1)
        if minimum:
            expected += lane.minimum[:, g].astype(np.int64) * sums[min((g + 1) * group, blocks) - 1]

    tile = {
        "rows": rows, "blocks": blocks, "group_log2": group.bit_length() - 1,
        "scaled": int(scaled), "minimum": int(minimum), "raw": 0,
    }
    beats = encode_lane(lane, params.planes)
    words = [sum(int(h) << 16 * i for i, h in enumerate(beat)) for beat in beats]
    words += [0xFFFF] * int(rng.integers(0, 3))
    tile["beats"] = len(words)
    dut.tile.value = tile_layout().const(tile).as_value().value
    await RisingEdge(dut.clk)
    dut.start.value = 1
    await RisingEdge(dut.clk)
    dut.start.value = 0
    feeder = cocotb.start_soon(feed(dut, q, shift, sums))
    await send(dut, words, random.Random(int(rng.integers(1 << 30))), stall)
    await feeder
    while dut.busy.value == 1:
        await FallingEdge(dut.clk)
    assert dut.error.value == 0
    for r in range(rows):
        dut.row.value = r
        for _ in range(Vpu.READ_LATENCY):
            await RisingEdge(dut.clk)
        await FallingEdge(dut.clk)
        assert dut.acc.value.to_signed() == expected[r], f"{case}: row {r}"


@cocotb.test()
async def tiles(dut):
    options = parameters()
    params = LlmParams(**options["params"])
    random.seed(1)
    await start(dut, inputs={"lane": 0, "start": 0, "filled": 0, "fill": 0, "row": 0, "tile": 0})
    rng = np.random.default_rng(7)
    for stall in (0.0, 0.4):
        for case in CASES:
            await watchdog(run_tile(dut, params, rng, case, stall), 60_000)


@cocotb.test()
async def illegal_descriptor_is_reported(dut):
    await start(dut, inputs={"lane": 0, "start": 0, "filled": 0, "fill": 0, "row": 0, "tile": 0})
    tile = {"rows": 4, "blocks": 1, "group_log2": 0, "scaled": 0, "minimum": 0, "raw": 0}
    dut.tile.value = tile_layout().const(tile).as_value().value
    for strobe in (dut.start, dut.filled):
        strobe.value = 1
        await RisingEdge(dut.clk)
        strobe.value = 0
    header = 0
    await watchdog(send(dut, [header, 0x7F], random.Random(0), 0.0), 100)
    for _ in range(12):
        await RisingEdge(dut.clk)
    assert dut.error.value == 1
