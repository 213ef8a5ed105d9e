"""How fast a lane is decoded when nothing else is in the way: to the cycle; a tile is read while the one before waits.
What comes out: cocotb_mpu."""

import cocotb
import numpy as np
from cocotb.triggers import FallingEdge, RisingEdge

from golden.llm.encode import encode_lane
from golden.llm.stream import KEPT, WIDTHS, BlockFormat
from golden.params import BLOCK, LlmParams
from hw.llm.layouts import pass_layout, tile_layout
from tests.hw.harness import parameters, start, watchdog
from tests.hw.llm.lanes import random_lane
from tests.hw.llm.mpu_player import raw_beats
from tests.hw.packing import packed

ROWS = 32
SHORT, LONG = 4, 12
INPUTS = {"lane__valid": 0, "lane__payload": 0, "tile": 0, "start": 0, "filled": 0, "group_free": 0, "grant": 1,
          "side_grant": 1}


async def cycles_of(dut, params, fmt, blocks, raw=False, group=None):
    """From `start` until the last pass: with `group`, a scale for every row of so many blocks."""
    rng = np.random.default_rng(blocks)
    lane = random_lane(rng, rows=ROWS, blocks=blocks, group=group or BLOCK, formats=fmt, scaled=group is not None,
                       minimum=False)
    beats = raw_beats(lane, params) if raw else encode_lane(lane, params.planes)
    words = [sum(int(h) << 16 * i for i, h in enumerate(beat)) for beat in beats]
    dut.tile.value = packed(tile_layout(), {
        "rows": ROWS, "blocks": blocks, "group_log2": (group or BLOCK).bit_length() - 1, "raw": int(raw),
        "scaled": int(group is not None), "minimum": 0, "beats": len(words), "shared": 0,
    })  # fmt: skip
    for name, values in (("start", [1]), ("filled", [1, 1])):
        for value in [*values, 0]:
            getattr(dut, name).value = value
            await RisingEdge(dut.clk)
    cycles, filled, ended = 0, 2, False
    while not ended:
        dut.lane__valid.value, dut.lane__payload.value = int(bool(words)), words[0] if words else 0
        await FallingEdge(dut.clk)
        tags = pass_layout().from_bits(int(dut.passes.value)).tags
        taken, ended = words and dut.lane__ready.value == 1, tags.valid & tags.tile_last
        await RisingEdge(dut.clk)
        dut.filled.value, dut.group_free.value = 0, tags.valid & tags.group_last
        if tags.valid & tags.block_last and filled < blocks:
            dut.filled.value, filled = 1, filled + 1
        if taken:
            words.pop(0)
        cycles += 1
    assert dut.error.value == 0
    assert not words
    dut.lane__valid.value = 0
    await RisingEdge(dut.clk)
    dut.group_free.value = 0
    await FallingEdge(dut.clk)
    assert dut.idle.value == 1
    await RisingEdge(dut.clk)
    return cycles


def cycles_of_rows(params, fmt):
    """Of a block of 16 rows: its bitmaps, then of each kind of bundle a beat, a bundle and a pass a cycle."""
    cycles = BLOCK * fmt.bitmap // params.planes
    for slots, _ in fmt.segments:
        beats = slots * (fmt.width + 4 * fmt.indexed) // params.planes
        passes = slots if slots in (8, BLOCK) else BLOCK // 2
        cycles += max(slots, beats, passes)
    return cycles


@cocotb.test()
async def every_format(dut):
    params = LlmParams(**parameters()["params"])
    await start(dut, inputs=INPUTS)
    for kept in KEPT[1:]:
        for width in WIDTHS:
            fmt = BlockFormat(kept, width)
            taken = [await watchdog(cycles_of(dut, params, fmt, blocks), 10_000) for blocks in (SHORT, LONG)]
            count, cycles = (LONG - SHORT) * ROWS // BLOCK, cycles_of_rows(params, fmt)
            hidden = int(kept == 12)  # while its last four's passes leave, at most
            assert 0 <= count * cycles - (taken[1] - taken[0]) <= count * hidden, f"{fmt}: {taken}"


@cocotb.test()
async def raw_bytes(dut):
    params = LlmParams(**parameters()["params"])
    await start(dut, inputs=INPUTS)
    fmt = BlockFormat()
    taken = [await watchdog(cycles_of(dut, params, fmt, blocks, raw=True), 10_000) for blocks in (SHORT, LONG)]
    assert taken[1] - taken[0] == (LONG - SHORT) * ROWS // BLOCK * cycles_of_rows(params, fmt)


@cocotb.test()
async def scales(dut):
    """A beat a cycle too, and nothing else for a group."""
    params = LlmParams(**parameters()["params"])
    await start(dut, inputs=INPUTS)
    fmt = BlockFormat(16, 4)
    taken = [await watchdog(cycles_of(dut, params, fmt, blocks, group=2), 10_000) for blocks in (SHORT, LONG)]
    block, group = ROWS // BLOCK * cycles_of_rows(params, fmt), ROWS // params.planes
    assert taken[1] - taken[0] == (LONG - SHORT) * block + (LONG - SHORT) // 2 * group


@cocotb.test()
async def next_tile_is_read_while_passes_of_the_last_wait(dut):
    """One block, group and bundle each: halves, banks and the groups that wait go on from tile to tile."""
    params = LlmParams(**parameters()["params"])
    await start(dut, inputs=INPUTS)
    rng, seen = np.random.default_rng(3), []
    passes = BLOCK // 2

    async def cycle():
        """Returns whether the lane takes a beat."""
        await FallingEdge(dut.clk)
        ready = int(dut.lane__ready.value)
        tags = pass_layout().from_bits(int(dut.passes.value)).tags
        if tags.valid:
            seen.append((tags.half, tags.bank, tags.tile_last))
        await RisingEdge(dut.clk)
        return ready

    async def strobe(name):
        getattr(dut, name).value = 1
        await cycle()
        getattr(dut, name).value = 0

    async def read(number, most):
        """Offer a tile's beats for 30 cycles; it takes `most` of them, or all."""
        lane = random_lane(rng, rows=BLOCK, blocks=1, group=1, formats=BlockFormat(1, 4), scaled=False, minimum=False)
        words = [sum(int(h) << 16 * i for i, h in enumerate(beat)) for beat in encode_lane(lane, params.planes)]
        words[0] = words[0] & ~0x3FF | number
        assert dut.idle.value == 1
        dut.tile.value = packed(tile_layout(), {"rows": BLOCK, "blocks": 1, "beats": len(words)})
        await strobe("start")
        taken = 0
        for _ in range(30):
            dut.lane__valid.value = int(taken < len(words))
            dut.lane__payload.value = words[min(taken, len(words) - 1)]
            taken += await cycle() and taken < len(words)
        dut.lane__valid.value = 0
        assert taken == (len(words) if most is None else most), f"tile {number}: {taken} beats"
        assert (dut.header.value, int(dut.exponent.value)) == (1, number)
        assert not seen, "passes without inputs"

    await read(0, None)
    await read(1, None)
    await strobe("filled")
    await strobe("filled")
    for _ in range(30):
        await cycle()
    assert seen == [(half, half, int(i == passes - 1)) for half in (0, 1) for i in range(passes)]
    seen.clear()
    await read(2, 1)
    await strobe("group_free")
    await strobe("filled")
    assert not seen
