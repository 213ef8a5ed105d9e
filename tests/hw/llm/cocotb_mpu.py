"""An MPU runs whole tiles, of one vector (MV) and of all its vectors (MM): the exact sums are read back."""

import random

import cocotb
import numpy as np
from cocotb.triggers import FallingEdge, RisingEdge

from golden.llm.encode import encode_lanes
from golden.llm.stream import BlockFormat
from golden.params import BLOCK, LlmParams
from hw.llm.feeder import ColumnFeeder
from hw.llm.layouts import WAYS, fill_layout, inputs_layout, lane_layout, tile_layout
from hw.llm.mpu import Mpu
from tests.hw.harness import parameters, reset, start, watchdog
from tests.hw.llm.lanes import random_lane

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
MIN_SHIFT = 3
INPUTS = {"lanes": 0, "start": 0, "fill": 0, "inputs": 0, "tile": 0, "out_row": 0, "out_vector": 0, "out_vpu": 0,
          "out_free": 1}


def packed(layout, values):
    """Several records side by side."""
    return sum(layout.const(value).as_value().value << layout.size * i for i, value in enumerate(values))


async def send(dut, params, words, rng, stall):
    """A word (one beat a lane) a cycle while there is room in every lane, with random gaps."""
    lane = lane_layout(params)
    for beats in words:
        while int(dut.lane_room.value) != (1 << params.mpu_vpus) - 1 or rng.random() < stall:
            dut.lanes.value = 0
            await RisingEdge(dut.clk)
        dut.lanes.value = packed(lane, [{"valid": 1, "data": beat} for beat in beats])
        await RisingEdge(dut.clk)
    dut.lanes.value = 0


async def feed(dut, params, vectors, spread):
    """Plays the column's feeder: fills the halves of every VPU when there is room, four inputs a cycle if `spread`.

    `vectors`: (q [blocks, 16], shift [blocks], running sums [blocks]) of each.
    """
    pairs = range(params.mpu_vpus)
    for block in range(len(vectors[0][0])):
        while True:
            await FallingEdge(dut.clk)
            if dut.room.value == 1:
                break
        half = block % 2
        step = WAYS if spread else 1
        for slot in range(0, BLOCK, step):
            await RisingEdge(dut.clk)
            sources = range(slot, slot + WAYS) if spread else [slot] * WAYS
            inputs = [[[int(vectors[2 * c + i][0][block][s]) for i in (0, 1)] for s in sources] for c in pairs]
            dut.fill.value = packed(fill_layout(), [
                {"valid": 1, "last": int(slot + step == BLOCK), "half": half, "spread": int(spread), "slot": slot,
                 "value": value}
                for value in inputs
            ])
        cocotb.start_soon(publish(dut, packed(inputs_layout(), [
            {"valid": 1, "half": half, "shift": [int(vectors[2 * c + i][1][block]) for i in (0, 1)],
             "sum": [int(vectors[2 * c + i][2][block]) for i in (0, 1)]}
            for c in pairs
        ])))
        await RisingEdge(dut.clk)
        dut.fill.value = 0


async def publish(dut, inputs):
    """Behind the last input of a block."""
    for _ in range(ColumnFeeder.LATENCY):
        await RisingEdge(dut.clk)
    dut.inputs.value = inputs
    await RisingEdge(dut.clk)
    dut.inputs.value = 0


def raw_beats(lane, params):
    """uint16 [beats, planes]: INT8, block by block, row by row."""
    rows, inputs = lane.q.shape
    blocks = lane.q.astype(np.int8).reshape(rows, inputs // BLOCK, BLOCK).transpose(1, 0, 2)
    return np.frombuffer(blocks.tobytes(), "<u2").reshape(-1, params.planes)


def random_vector(rng, case):
    blocks, group = case["blocks"], case["group"]
    q = np.full((blocks, BLOCK), -128) if case.get("extreme") else rng.integers(-127, 128, (blocks, BLOCK))
    shift = rng.integers(0, 7, blocks)
    x = q << shift[:, None]
    sums = np.concatenate([np.cumsum(x[g : g + group].sum(1)) for g in range(0, blocks, group)]) << MIN_SHIFT
    return q, shift, sums


def expected_sums(lane, case, vector):
    """int64 [rows]"""
    q, shift, sums = vector
    group, blocks = case["group"], case["blocks"]
    x = (q << shift[:, None]).reshape(-1)
    weights = np.where(lane.keep, lane.q, 0).astype(np.int64)
    result = np.zeros(case["rows"], np.int64)
    for g in range(-(-blocks // group)):
        part = slice(g * group * BLOCK, (g + 1) * group * BLOCK)
        inner = weights[:, part] @ x[part]
        result += inner * (1 if lane.scale is None else lane.scale[:, g].astype(np.int64))
        if lane.minimum is not None:
            result += lane.minimum[:, g].astype(np.int64) * sums[min((g + 1) * group, blocks) - 1]
    return result


class Tile:
    """A random tile: its lanes, vectors and memory words."""

    def __init__(self, params, rng, case, stall, shared):
        self.p, self.shared, self.stall = params, shared, stall
        self.case = {**case, "rows": min(case["rows"], params.acc_depth)}
        self.raw = self.case.pop("raw", False)
        count = params.mpu_vpus
        self.lanes = [random_lane(rng, **self.case) for _ in range(count)]
        self.vectors = [random_vector(rng, self.case) for _ in range(2 * count)]
        if not shared:
            silent = tuple(np.zeros_like(part) for part in self.vectors[0])
            self.vectors = [self.vectors[0], silent] * count
        formats = {fmt.kept for lane in self.lanes for blocks in lane.formats for fmt in blocks}
        self.spread = self.raw or formats <= {0, BLOCK}
        if self.raw:
            encoded = [raw_beats(lane, params) for lane in self.lanes]
        else:
            encoded = encode_lanes(self.lanes, params.planes, params.fifo_depth - 12)
        length = max(map(len, encoded)) + int(rng.integers(0, 3))
        self.words = [
            [sum(int(h) << 16 * i for i, h in enumerate(beats[n])) if n < len(beats) else 0xFFFF for beats in encoded]
            for n in range(length)
        ]
        self.random = random.Random(int(rng.integers(1 << 30)))

    async def begin(self, dut):
        """Start it; the tasks that feed lanes and sparse MUXes."""
        case, lane = self.case, self.lanes[0]
        dut.tile.value = tile_layout().const({
            "rows": case["rows"], "blocks": case["blocks"], "group_log2": case["group"].bit_length() - 1,
            "scaled": int(lane.scale is not None), "minimum": int(lane.minimum is not None),
            "raw": int(self.raw), "spread": int(self.spread),
            "beats": len(self.words), "shared": int(self.shared),
        }).as_value().value
        await RisingEdge(dut.clk)
        dut.start.value = 1
        await RisingEdge(dut.clk)
        dut.start.value = 0
        feeder = cocotb.start_soon(feed(dut, self.p, self.vectors, self.spread))
        return cocotb.start_soon(send(dut, self.p, self.words, self.random, self.stall)), feeder

    async def check(self, dut):
        count = self.p.mpu_vpus
        for i, lane in enumerate(self.lanes):
            for token in range(2 * count if self.shared else 1):
                expected = expected_sums(lane, self.case, self.vectors[token])
                for r in range(self.case["rows"]):
                    dut.out_row.value, dut.out_vector.value = (r * count + i, token % 2) if self.shared else (r, 0)
                    dut.out_vpu.value = token // 2 if self.shared else i
                    for _ in range(Mpu.READ_LATENCY):
                        await RisingEdge(dut.clk)
                    await FallingEdge(dut.clk)
                    where = f"{self.case}, shared={self.shared}: lane {i} row {r} vector {token}"
                    assert dut.out.value.to_signed() == expected[r], where


async def run_tile(dut, params, rng, case, stall, shared):
    """Returns (cycles from `start` until the sums are there, memory words)."""
    tile = Tile(params, rng, case, stall, shared)
    cycles = 0
    for task in await tile.begin(dut):
        while not task.done():
            await FallingEdge(dut.clk)
            cycles += 1
    for _ in range(4):
        await FallingEdge(dut.clk)
    while dut.busy.value == 1:
        await FallingEdge(dut.clk)
        cycles += 1
    assert dut.error.value == 0
    await tile.check(dut)
    return cycles, len(tile.words)


@cocotb.test()
async def tiles(dut):
    params = LlmParams(**parameters()["params"])
    random.seed(1)
    await start(dut, inputs=INPUTS)
    rng = np.random.default_rng(7)
    for stall in (0.0, 0.4):
        for case in CASES:
            for shared in (False, True):
                await watchdog(run_tile(dut, params, rng, case, stall, shared), 60_000)


@cocotb.test()
async def shared_passes_leave_every_cycle(dut):
    """MM is bound by passes, or by words: 32 blocks more cost their passes and next to nothing else."""
    params = LlmParams(**parameters()["params"])
    await start(dut, inputs=INPUTS)
    rng = np.random.default_rng(8)
    for kept in (16, 8):
        cycles, words = [], []
        for blocks in (16, 48):
            case = {"rows": params.acc_depth, "blocks": blocks, "group": 8, "formats": BlockFormat(kept, 4),
                    "minimum": False}
            taken, length = await watchdog(run_tile(dut, params, rng, case, 0.0, True), 60_000)
            cycles.append(taken)
            words.append(length)
        passes = 32 * params.acc_depth * params.mpu_vpus * kept // 16
        more, bound = cycles[1] - cycles[0], max(passes, words[1] - words[0])
        cocotb.log.info("N = %d: %d cycles, bound %d", kept, more, bound)
        assert more <= bound * 1.03 + 8, f"N = {kept}: {more} cycles for {passes} passes, {words[1] - words[0]} words"


@cocotb.test()
async def results_wait_until_there_is_room(dut):
    """The last walk of a tile keeps the results of the one before until `out_free`."""
    params = LlmParams(**parameters()["params"])
    await start(dut, inputs=INPUTS)
    rng = np.random.default_rng(9)
    case = CASES[0]
    task = cocotb.start_soon(run_tile(dut, params, rng, case, 0.0, True))
    await RisingEdge(dut.clk)
    dut.out_free.value = 0
    for _ in range(3000):
        await RisingEdge(dut.clk)
    assert dut.busy.value == 1, "results were overwritten"
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
            tasks = await Tile(params, rng, case, 0.0, shared).begin(dut)
            for _ in range(cycles):
                await RisingEdge(dut.clk)
            for task in tasks:
                task.cancel()
            await reset(dut, inputs=INPUTS)
            await watchdog(run_tile(dut, params, rng, {**case, "formats": BlockFormat(1, 8)}, 0.0, shared), 60_000)


@cocotb.test()
@cocotb.parametrize(descriptor=[0x7F, 1 << 7 | BlockFormat(8, 4).code])
async def illegal_descriptor_is_reported(dut, descriptor):
    """One that there is none of, and one that a dense tile must not have."""
    params = LlmParams(**parameters()["params"])
    await start(dut, inputs=INPUTS)
    tile = {"rows": 4, "blocks": 1, "group_log2": 0, "scaled": 0, "minimum": 0, "raw": 0, "spread": 1}
    dut.tile.value = tile_layout().const(tile).as_value().value
    dut.start.value = 1
    await RisingEdge(dut.clk)
    dut.start.value = 0
    for _ in range(3):
        await RisingEdge(dut.clk)
    dut.inputs.value = packed(inputs_layout(), [{"valid": 1}] * params.mpu_vpus)
    await RisingEdge(dut.clk)
    dut.inputs.value = 0
    header = 0
    words = [[header] * params.mpu_vpus, [descriptor] * params.mpu_vpus]
    await watchdog(send(dut, params, words, random.Random(0), 0.0), 100)
    for _ in range(12):
        await RisingEdge(dut.clk)
    assert dut.error.value == 1
