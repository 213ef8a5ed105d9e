"""An MPU runs whole tiles, of one vector (MV) and of all its vectors (MM), alone and overlapping: the exact sums are
read back."""

import random

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge

from golden.llm.stream import BlockFormat
from golden.params import LlmParams
from hw.llm.layouts import inputs_layout, tile_layout
from tests.hw.harness import parameters, reset, start, watchdog
from tests.hw.llm.mpu_player import Tile, Tiles, send, side_by_side
from tests.hw.packing import packed

DENSE = {"formats": BlockFormat(16, 8), "scaled": False, "minimum": False}
CASES = [
    {"rows": 16, "blocks": 4, "group": 2, "formats": BlockFormat(16, 8)},
    {"rows": 3, "blocks": 3, "group": 1, "formats": BlockFormat(16, 8), "extreme": True, "minimum": False},
    {"rows": 6, "blocks": 3, "group": 1, "formats": BlockFormat(8, 8), "extreme": True, "minimum": False},
    {"rows": 9, "blocks": 4, "group": 2, "formats": BlockFormat(16, 4, False)},
    {"rows": 32, "blocks": 4, "group": 4, "formats": BlockFormat(8, 4)},
    {"rows": 17, "blocks": 6, "group": 2, "formats": BlockFormat(12, 5)},
    {"rows": 33, "blocks": 4, "group": 1, "formats": BlockFormat(4, 3)},
    {"rows": 33, "blocks": 2, "group": 1, "formats": BlockFormat(2, 3)},
    {"rows": 33, "blocks": 2, "group": 1, "formats": BlockFormat(1, 3)},
    {"rows": 40, "blocks": 4, "group": 2, "formats": BlockFormat(0, 3)},
    {"rows": 1, "blocks": 5, "group": 1, "formats": BlockFormat(16, 2), "scaled": False, "minimum": False},
    {"rows": 1, "blocks": 4, "group": 1, "formats": BlockFormat(8, 4)},
    {"rows": 7, "blocks": 8, "group": 2, "formats": BlockFormat(0, 4), "minimum": False},
    *({"rows": rows, "blocks": 9, "group": 1, "raw": True, **DENSE} for rows in (1, 2, 5)),
    *({"rows": 20 + i, "blocks": 8, "group": 2} for i in range(4)),
]
INPUTS = {"lanes": 0, "start": 0, "fill": 0, "inputs": 0, "tile": 0, "out_row": 0, "out_vector": 0, "out_vpu": 0,
          "out_taken": 0, "out_free": 1}


@cocotb.test()
async def tiles(dut):
    params = LlmParams(**parameters()["params"])
    await start(dut, inputs=INPUTS)
    rng, array = np.random.default_rng(7), Tiles(dut, params)
    for stall in (0.0, 0.4):
        for case in CASES:
            for shared in (False, True):
                await watchdog(array.run([Tile(params, rng, case, stall, shared)]), 60_000)


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.8], wait=[0, 300])
async def overlapping_tiles(dut, stall, wait):
    """Any after any, also of few blocks, groups and rows; MV after MM and back without overlap."""
    params = LlmParams(**parameters()["params"])
    await start(dut, inputs=INPUTS)
    rng, array = np.random.default_rng(11), Tiles(dut, params, wait)
    for shared in (False, True, False, True, True, False):
        cases = [dict(CASES[i]) for i in rng.integers(0, len(CASES), 12)]
        for case in cases:
            case["blocks"], case["rows"] = int(rng.integers(1, 6)), int(rng.choice([1, 2, case["rows"]]))
        await watchdog(array.run([Tile(params, rng, case, stall, shared) for case in cases]), 100_000)
    assert array.overlaps > 50


@cocotb.test()
async def shared_passes_leave_every_cycle(dut):
    """MM is bound by passes, or by words: 32 blocks more cost their passes and next to nothing else."""
    params = LlmParams(**parameters()["params"])
    await start(dut, inputs=INPUTS)
    rng, array = np.random.default_rng(8), Tiles(dut, params)
    for kept in (16, 8):
        cycles, words = [], []
        for blocks in (16, 48):
            case = {"rows": params.acc_depth, "blocks": blocks, "group": 8, "formats": BlockFormat(kept, 4),
                    "minimum": False}
            tile = Tile(params, rng, case, 0.0, True)
            cycles.append(await watchdog(array.run([tile]), 60_000))
            words.append(len(tile.words))
        passes = 32 * params.acc_depth * params.mpu_vpus * kept // 16
        more, bound = cycles[1] - cycles[0], max(passes, words[1] - words[0])
        cocotb.log.info("N = %d: %d cycles, bound %d", kept, more, bound)
        assert more <= bound * 1.03 + 8, f"N = {kept}: {more} cycles for {passes} passes, {words[1] - words[0]} words"


@cocotb.test()
async def results_wait_until_there_is_room(dut):
    """The last walk of a tile keeps the results of the one before until `out_free`, also after `out_taken`."""
    params = LlmParams(**parameters()["params"])
    await start(dut, inputs=INPUTS)
    rng, array = np.random.default_rng(9), Tiles(dut, params)
    for shared in (True, False):
        task = cocotb.start_soon(array.run([Tile(params, rng, CASES[0], 0.0, shared)]))
        await RisingEdge(dut.clk)
        dut.out_free.value = 0
        for _ in range(3000):
            await RisingEdge(dut.clk)
            assert dut.out_ready.value == 0, "results were overwritten"
        dut.out_free.value = 1
        await watchdog(task, 10_000)


@cocotb.test()
async def nothing_is_left_of_a_tile_that_a_reset_ends(dut):
    params = LlmParams(**parameters()["params"])
    await start(dut, inputs=INPUTS)
    rng = np.random.default_rng(10)
    case = {"rows": 64, "blocks": 8, "group": 4, "formats": BlockFormat(16, 8), "minimum": False}
    for shared in (True, False):
        for cycles in (60, 90, 150, 230):
            array = Tiles(dut, params)
            before = [Tile(params, rng, {**case, "blocks": 3}, 0.0, shared) for _ in range(3)]
            task = cocotb.start_soon(array.run(before))
            for _ in range(cycles):
                await RisingEdge(dut.clk)
            task.cancel()
            array.cancel()
            await reset(dut, inputs=INPUTS)
            after = Tile(params, rng, {**case, "formats": BlockFormat(1, 8)}, 0.0, shared)
            await watchdog(Tiles(dut, params).run([after]), 60_000)


@cocotb.test()
@cocotb.parametrize(descriptor=[0x7F, 1 << 7 | BlockFormat(8, 4).code])
async def illegal_descriptor_is_reported(dut, descriptor):
    """One that there is none of, and one that a dense tile must not have."""
    params = LlmParams(**parameters()["params"])
    await start(dut, inputs=INPUTS)
    tile = {"rows": 4, "blocks": 1, "group_log2": 0, "scaled": 0, "minimum": 0, "raw": 0, "spread": 1}
    dut.tile.value = packed(tile_layout(), tile)
    dut.start.value = 1
    await RisingEdge(dut.clk)
    dut.start.value = 0
    for _ in range(3):
        await RisingEdge(dut.clk)
    dut.inputs.value = side_by_side(inputs_layout(), [{"valid": 1}] * params.mpu_vpus)
    await RisingEdge(dut.clk)
    dut.inputs.value = 0
    header = 0
    words = [[header] * params.mpu_vpus, [descriptor] * params.mpu_vpus]
    await watchdog(send(dut, params, words, random.Random(0), 0.0), 100)
    for _ in range(12):
        await RisingEdge(dut.clk)
    assert dut.error.value == 1
