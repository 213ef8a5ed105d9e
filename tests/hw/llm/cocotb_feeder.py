"""Activation buffers are written and fed: every input, shift and running sum, and when they come."""

import random

import cocotb
import numpy as np
from cocotb.triggers import FallingEdge, RisingEdge

from golden.llm.numerics import EX_MAX
from golden.params import BLOCK, LlmParams
from hw.llm.feeder import ColumnFeeder
from hw.llm.layouts import PAIR, PARTIAL_BITS, WAYS, block_layout, fill_layout, inputs_layout, tile_layout
from tests.hw.harness import parameters, start, watchdog
from tests.hw.packing import packed

PORTS = ("write_valid", "write_token", "write_block", "write_data", "peek_block", "tile", "min_shift", "start", "base",
         "room")  # fmt: skip
INPUTS = {f"feeder__{name}": 0 for name in PORTS}


class Feeder:
    """The unit's buffers as arrays, its ports, and what it should send for a tile; reset, halves begin with 0."""

    def __init__(self, dut, params):
        self.dut, self.p = dut, params
        self.half = 0
        self.q = np.zeros((params.tokens, params.xbuf_blocks, BLOCK), np.int64)
        self.shift = np.zeros((params.tokens, params.xbuf_blocks), np.int64)

    def port(self, name):
        return getattr(self.dut, f"feeder__{name}")

    async def write(self, token, block, q, shift):
        self.q[token, block], self.shift[token, block] = q, shift
        value = packed(block_layout(), {"q": [int(x) for x in q], "shift": int(shift)})
        self.port("write_valid").value = 1
        self.port("write_token").value, self.port("write_block").value = token, block
        self.port("write_data").value = value
        await RisingEdge(self.dut.clk)
        self.port("write_valid").value = 0

    async def fill_buffers(self, rng, extreme):
        for token in range(self.p.tokens):
            for block in range(self.p.xbuf_blocks):
                q = rng.choice([-127, 127]) * np.ones(BLOCK) if extreme else rng.integers(-127, 128, BLOCK)
                await self.write(token, block, q.astype(int), EX_MAX if extreme else rng.integers(0, EX_MAX + 1))

    def expected(self, base, blocks, group, min_shift, shared):
        """[(half, value [VPU][2] of every slot, shift [VPU][2], sum [VPU][2])] of every block."""
        vpus = range(self.p.mpu_vpus)
        tokens = [[PAIR * c + i if shared else 0 for i in range(PAIR)] for c in vpus]
        silent = np.array([[0 if shared or i == 0 else 1 for i in range(PAIR)] for c in vpus], bool)
        total = np.zeros(self.p.tokens, np.int64)
        result = []
        for kb in range(blocks):
            at = (base + kb) % self.p.xbuf_blocks
            total = (0 if kb % group == 0 else total) + (self.q[:, at].sum(1) << self.shift[:, at])
            pick = {name: np.where(silent, 0, values[tokens])
                    for name, values in (("shift", self.shift[:, at]), ("sum", total << min_shift))}  # fmt: skip
            values = [np.where(silent, 0, self.q[:, at, slot][tokens]).tolist() for slot in range(BLOCK)]
            result.append(((self.half + kb) % 2, values, pick["shift"].tolist(), pick["sum"].tolist()))
        self.half = (self.half + blocks) % 2
        return result

    def vpu_ports(self, layout, name):
        value = int(self.port(name).value)
        return [layout.from_bits(value >> c * layout.size & (1 << layout.size) - 1) for c in range(self.p.mpu_vpus)]

    async def feed(self, rng, tiles, stall):
        """Run tiles (base, blocks, group_log2, min_shift, shared, spread), each as soon as the one before is fed, with
        room now and then; returns the cycles from the first start to the last sums."""
        dut, cycle, room_before, last_fill = self.dut, 0, False, []
        filling, publishing = [], []  # blocks of the tiles that have started: what to expect of each, and where
        tiles, started = list(tiles), False
        while tiles or started or publishing:
            self.port("start").value = 0
            if tiles and not started:
                base, blocks, group_log2, min_shift, shared, spread = tiles.pop(0)
                where = f"base {base}, {blocks} blocks, group {1 << group_log2}, shared {shared}, spread {spread}"
                expected = [(*block, spread, where, kb)
                            for kb, block in enumerate(self.expected(base, blocks, 1 << group_log2, min_shift, shared))]
                filling, publishing, slot, started = [*expected], [*publishing, *expected], 0, True
                fields = {"blocks": blocks, "group_log2": group_log2, "shared": int(shared), "rows": 1,
                          "spread": int(spread)}
                self.port("tile").value = packed(tile_layout(), fields)
                self.port("min_shift").value, self.port("base").value = min_shift, base
                self.port("start").value = 1
            room = rng.random() >= stall
            self.port("room").value = int(room)
            await FallingEdge(dut.clk)
            assert self.port("start").value == 0 or self.port("idle").value == 1, where
            fills, inputs = self.vpu_ports(fill_layout(), "fill"), self.vpu_ports(inputs_layout(), "inputs")
            if fills[0].valid:
                half, values, _, _, spread, where, kb = filling[0]
                step = WAYS if spread else 1
                assert slot or room_before, f"{where}: block {kb} without room"
                last = slot + step == BLOCK
                sources = range(slot, slot + WAYS) if spread else [slot] * WAYS
                for c, fill in enumerate(fills):
                    got = (fill.valid, fill.half, fill.slot, fill.spread, fill.last, [list(v) for v in fill.value])
                    wanted = (1, half, slot, int(spread), int(last), [values[s][c] for s in sources])
                    assert got == wanted, f"{where}: block {kb} VPU {c}: {got}"
                slot += step
                if last:
                    last_fill.append(cycle)
                    filling.pop(0)
                    slot = 0
            else:
                assert slot == 0, f"{where}: a gap within block {filling[0][-1]}"
            if inputs[0].valid:
                half, _, shift, total, _, where, kb = publishing.pop(0)
                late = cycle - last_fill.pop(0)
                assert late == ColumnFeeder.LATENCY, f"{where}: sums of block {kb} {late} cycles late"
                for c, sums in enumerate(inputs):
                    got = (sums.half, list(sums.shift), list(sums.sum))
                    assert got == (half, shift[c], total[c]), f"{where}: block {kb} VPU {c}: {got}"
            await RisingEdge(dut.clk)
            cycle, room_before = cycle + 1, room
            started = bool(filling)
        await FallingEdge(dut.clk)
        assert self.port("idle").value == 1
        await RisingEdge(dut.clk)
        return cycle - 1


def random_tile(rng, params, blocks, group_log2, shared, spread):
    largest = 127 * BLOCK << group_log2 + EX_MAX  # the sum must fit, which the compiler sees to
    most = min(7, PARTIAL_BITS - 1 - largest.bit_length())
    base = int(rng.integers(params.xbuf_blocks - blocks))
    return base, blocks, group_log2, int(rng.integers(most + 1)), shared, spread


@cocotb.test()
async def feeds(dut):
    params = LlmParams(**parameters()["params"])
    await start(dut, inputs=INPUTS)
    rng, feeder = np.random.default_rng(4), Feeder(dut, params)
    for extreme in (True, False):
        await feeder.fill_buffers(rng, extreme)
        for shared in (False, True):
            for blocks, group_log2 in ((1, 0), (2, 0), (5, 1), (8, 2), (9, 3), (16, 3)):
                for stall in (0.0, 0.9):
                    for spread in (False, True):
                        tile = random_tile(rng, params, blocks, group_log2, shared, spread)
                        cycles = await watchdog(feeder.feed(rng, [tile], stall), 20_000)
                        expected = 2 + (BLOCK // WAYS if spread else BLOCK) * blocks + ColumnFeeder.LATENCY
                        assert stall or cycles == expected, f"{cycles} cycles for {blocks} blocks, spread {spread}"


@cocotb.test()
async def next_tile_starts_while_sums_are_under_way(dut):
    """Three cycles behind the last input of the one before."""
    params = LlmParams(**parameters()["params"])
    await start(dut, inputs=INPUTS)
    rng, feeder = np.random.default_rng(7), Feeder(dut, params)
    await feeder.fill_buffers(rng, False)
    for shared in (False, True):
        shapes = [(int(rng.integers(1, 4)), int(rng.integers(3)), bool(rng.integers(2))) for _ in range(40)]
        tiles = [random_tile(rng, params, blocks, group, shared, spread) for blocks, group, spread in shapes]
        cycles = await watchdog(feeder.feed(rng, tiles, 0.0), 20_000)
        inputs = sum(blocks * (BLOCK // WAYS if spread else BLOCK) for blocks, _, spread in shapes)
        assert cycles == 3 * len(tiles) - 1 + inputs + ColumnFeeder.LATENCY
        await watchdog(feeder.feed(rng, tiles, 0.7), 20_000)


@cocotb.test()
async def next_vector_is_written_while_one_is_fed(dut):
    params = LlmParams(**parameters()["params"])
    await start(dut, inputs=INPUTS)
    rng, feeder = np.random.default_rng(5), Feeder(dut, params)
    await feeder.fill_buffers(rng, False)
    half = params.xbuf_blocks // 2

    async def write_next():
        for block in range(half, params.xbuf_blocks):
            for token in range(params.tokens):
                await feeder.write(token, block, rng.integers(-127, 128, BLOCK), rng.integers(0, EX_MAX + 1))

    writing = cocotb.start_soon(write_next())
    await watchdog(feeder.feed(random.Random(1), [(0, half, 1, 0, True, False)], 0.0), 10_000)
    await writing
    await watchdog(feeder.feed(random.Random(1), [(half, half, 1, 0, True, False)], 0.0), 10_000)


@cocotb.test()
async def peek_shows_vector_0(dut):
    params = LlmParams(**parameters()["params"])
    await start(dut, inputs=INPUTS)
    rng, feeder = np.random.default_rng(6), Feeder(dut, params)
    await feeder.fill_buffers(rng, False)
    for block in rng.permutation(params.xbuf_blocks).tolist():
        dut.feeder__peek_block.value = block
        await RisingEdge(dut.clk)
        await FallingEdge(dut.clk)
        got = block_layout().from_bits(int(dut.feeder__peek_data.value))
        assert (list(got.q), got.shift) == (feeder.q[0, block].tolist(), feeder.shift[0, block]), f"block {block}"
        await RisingEdge(dut.clk)
