"""Plays the engine around an MPU: lanes' words, the column's feeder, control and read-out, of random tiles."""

import random

import cocotb
import numpy as np
from cocotb.triggers import FallingEdge, RisingEdge

from golden.llm.encode import encode_lanes
from golden.params import BLOCK
from hw.llm.feeder import ColumnFeeder
from hw.llm.layouts import WAYS, fill_layout, inputs_layout, lane_layout, tile_layout
from hw.llm.mpu import Mpu
from tests.hw.llm.lanes import random_lane
from tests.hw.packing import packed

__all__ = ["Tile", "Tiles", "raw_beats", "send", "side_by_side"]

MIN_SHIFT = 3


def side_by_side(layout, values):
    """Several records side by side."""
    return sum(packed(layout, value) << layout.size * i for i, value in enumerate(values))


async def send(dut, params, words, rng, stall):
    """A word (one beat a lane) a cycle while there is room in every lane, with random gaps."""
    lane = lane_layout(params)
    for beats in words:
        while int(dut.lane_room.value) != (1 << params.mpu_vpus) - 1 or rng.random() < stall:
            dut.lanes.value = 0
            await RisingEdge(dut.clk)
        dut.lanes.value = side_by_side(lane, [{"valid": 1, "data": beat} for beat in beats])
        await RisingEdge(dut.clk)
    dut.lanes.value = 0


async def feed(dut, params, vectors, spread, first_half=0):
    """Plays the column's feeder: fills the halves of every VPU when there is room, four inputs a cycle if `spread`.

    `vectors`: (q [blocks, 16], shift [blocks], running sums [blocks]) of each.
    """
    pairs = range(params.mpu_vpus)
    for block in range(len(vectors[0][0])):
        while True:
            await FallingEdge(dut.clk)
            if dut.room.value == 1:
                break
        half = (first_half + block) % 2
        step = WAYS if spread else 1
        for slot in range(0, BLOCK, step):
            await RisingEdge(dut.clk)
            sources = range(slot, slot + WAYS) if spread else [slot] * WAYS
            inputs = [[[int(vectors[2 * c + i][0][block][s]) for i in (0, 1)] for s in sources] for c in pairs]
            dut.fill.value = side_by_side(fill_layout(), [
                {"valid": 1, "last": int(slot + step == BLOCK), "half": half, "spread": int(spread), "slot": slot,
                 "value": value}
                for value in inputs
            ])
        cocotb.start_soon(publish(dut, side_by_side(inputs_layout(), [
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
        dropped = int(rng.integers(0, 3))
        length = max(map(len, encoded)) + dropped
        self.words = [
            [sum(int(h) << 16 * i for i, h in enumerate(beats[n])) if n < len(beats) else 0xFFFF for beats in encoded]
            for n in range(length)
        ]
        self.beats = length if dropped or not self.raw else 0
        self.random = random.Random(int(rng.integers(1 << 30)))

    async def begin(self, dut):
        """Hand it to the lanes."""
        case, lane = self.case, self.lanes[0]
        dut.tile.value = packed(tile_layout(), {
            "rows": case["rows"], "blocks": case["blocks"], "group_log2": case["group"].bit_length() - 1,
            "scaled": int(lane.scale is not None), "minimum": int(lane.minimum is not None),
            "raw": int(self.raw), "spread": int(self.spread),
            "beats": self.beats, "shared": int(self.shared),
        })
        dut.start.value = 1
        await RisingEdge(dut.clk)
        dut.start.value = 0

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


class Tiles:
    """Tiles one after the other, as TileControl has them overlap; `wait`: most cycles before one is read out.

    `half` goes on from tile to tile and is 0 after a reset.
    """

    def __init__(self, dut, params, wait=0):
        self.dut, self.p, self.wait, self.random = dut, params, wait, random.Random(1)
        self.half, self.overlaps = 0, 0

    async def run(self, tiles):
        """Returns the cycles from the first `start` until the last sums are there."""
        self.started, self.fed, self.read, self.cycles = 0, 0, 0, 0
        steps = (self._send(tiles), self._begin(tiles), self._feed(tiles), self._check(tiles))
        self.tasks = [cocotb.start_soon(step) for step in steps]
        while not all(task.done() for task in self.tasks):
            await FallingEdge(self.dut.clk)
        return self.cycles

    def cancel(self):
        for task in self.tasks:
            task.cancel()

    async def _send(self, tiles):
        for tile in tiles:
            await send(self.dut, self.p, tile.words, tile.random, tile.stall)

    async def _begin(self, tiles):
        before = None
        for number, tile in enumerate(tiles):
            most = 2 if before is None or before.shared == tile.shared else 1
            while self.dut.idle.value == 0 or number - self.read == most:
                await FallingEdge(self.dut.clk)
            self.overlaps += number > self.read
            await RisingEdge(self.dut.clk)
            await tile.begin(self.dut)
            self.started, before = number + 1, tile
            for _ in range(3):
                await FallingEdge(self.dut.clk)

    async def _feed(self, tiles):
        for number, tile in enumerate(tiles):
            while self.started <= number:
                await FallingEdge(self.dut.clk)
            await feed(self.dut, self.p, tile.vectors, tile.spread, self.half)
            self.half = (self.half + tile.case["blocks"]) % 2

    async def _check(self, tiles):
        for number, tile in enumerate(tiles):
            while self.started <= number:
                await FallingEdge(self.dut.clk)
            while self.dut.out_ready.value == 0:
                await FallingEdge(self.dut.clk)
                self.cycles += 1
            for _ in range(self.random.randint(0, self.wait)):
                await FallingEdge(self.dut.clk)
                assert self.dut.out_ready.value == 1
            await RisingEdge(self.dut.clk)
            self.dut.out_taken.value = 1
            await RisingEdge(self.dut.clk)
            self.dut.out_taken.value, self.dut.out_free.value = 0, 0
            for _ in range(3):
                await FallingEdge(self.dut.clk)
            self.read = number + 1
            await tile.check(self.dut)
            await RisingEdge(self.dut.clk)
            self.dut.out_free.value = 1
        assert self.dut.error.value == 0
