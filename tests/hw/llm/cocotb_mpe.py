"""The matrix engine runs commands back to back, one vector or several: what it writes equals golden's, row by row."""

import random
from dataclasses import replace

import cocotb
import numpy as np
from cocotb.triggers import FallingEdge, RisingEdge

from golden import float32 as f32
from golden.isa.llm import SLOTS
from golden.llm.encode import encode_lanes
from golden.llm.executor import Executor
from golden.llm.stream import BlockFormat, TileHeader
from golden.params import BLOCK, LlmParams
from hw.llm.layouts import block_layout, lane_layout
from hw.llm.mpe import Mpe
from hw.llm.tiles import tile_command_layout
from tests.hw.harness import parameters, reset, start, watchdog
from tests.hw.llm.lanes import random_lane
from tests.hw.packing import packed

CASES = [
    {"rows": 8, "blocks": 4, "group": 2},
    {"rows": 1, "blocks": 5, "group": 1, "minimum": False},
    {"rows": 5, "blocks": 3, "group": 4, "formats": BlockFormat(8, 4), "minimum": False},
    {"rows": 7, "blocks": 6, "group": 2, "formats": BlockFormat(16, 4), "scaled": False, "minimum": False},
    {"rows": 2, "blocks": 9, "group": 4, "formats": BlockFormat(16, 8), "scaled": False, "minimum": False, "raw": True},
]
DEPTH_MARGIN = 12


def inputs_of(p):
    names = [f"lanes__{chain}" for chain in range(p.chains)]
    return dict.fromkeys([*names, "command__valid", "ahead", "x_valid", "exponents", "peek_block"], 0)


class Bench:
    """`golden`: the executor, whose activation buffers and exponents are random. `stall`: how often a channel has no
    word; `late`: most cycles for which tokens keep back a command at the head of the queue."""

    def __init__(self, dut, params, seed, stall, late=0):
        self.dut, self.p, self.stall, self.late = dut, params, stall, late
        self.rng, self.random = np.random.default_rng(seed), random.Random(seed)
        self.golden = Executor(params, [], {})
        self.words = [[] for _ in range(params.channels)]
        self.written, self.accepted, self.finished, self.expected = [], 0, [], []
        self.results = []  # of every command: its rows, and `early`
        self.cycle, self.tiles, self.wrote, self.all_before = 0, 0, -1, 0

    async def begin(self):
        """Fill the activation buffers; then words and results flow."""
        p, g = self.p, self.golden
        g.q[:] = self.rng.integers(-127, 128, g.q.shape)
        g.shift[:] = self.rng.integers(0, 7, g.shift.shape)
        g.exponents = self.rng.integers(-40, 40, SLOTS).tolist()
        self.dut.exponents.value = sum((e & 0x3FF) << 10 * i for i, e in enumerate(g.exponents))
        layout = block_layout()
        for token, column, block in np.ndindex(g.shift.shape):
            value = {"q": g.q[token, column, block].tolist(), "shift": int(g.shift[token, column, block])}
            self.dut.x_valid.value, self.dut.x_token.value, self.dut.x_block.value = 1 << column, token, block
            self.dut.x_data.value = packed(layout, value)
            await RisingEdge(self.dut.clk)
        self.dut.x_valid.value = 0
        senders = [cocotb.start_soon(self.send(channel)) for channel in range(p.channels)]
        self.tasks = [*senders, cocotb.start_soon(self.watch())]
        assert p.tokens == g.q.shape[0]

    def end(self):
        for task in self.tasks:
            task.cancel()

    async def send(self, channel):
        """A word (one beat a chain) a cycle while every lane of the channel has room, with random gaps."""
        layout, per_channel = lane_layout(self.p), self.p.lanes_per_channel
        first, words = channel * per_channel, self.words[channel]
        while True:
            await FallingEdge(self.dut.clk)
            room = int(self.dut.lane_room.value) >> first & (1 << per_channel) - 1
            now = words and room == (1 << per_channel) - 1 and self.random.random() >= self.stall
            word = words.pop(0) if now else [0] * per_channel
            for i, beat in enumerate(word):
                lane = packed(layout, {"valid": int(bool(now)), "data": beat})
                getattr(self.dut, f"lanes__{first + i}").value = lane

    async def watch(self):
        while True:
            await FallingEdge(self.dut.clk)
            self.cycle += 1
            assert self.dut.error.value == 0
            assert self.dut.illegal.value == 0
            if self.dut.finished.value == 1:
                rows, early = self.results[len(self.finished)]
                assert len(self.written) == self.all_before + min(early or rows, rows)
                self.all_before += rows
                self.finished.append(self.cycle)
            unfinished = self.accepted + int(self.dut.finished.value) > len(self.finished)
            late_rows = len(self.written) < self.all_before or self.wrote == self.cycle - 1
            assert int(self.dut.busy.value) == (unfinished or late_rows)
            if self.dut.write_valid.value == 1:
                self.written.append((int(self.dut.write_row.value), int(self.dut.write_data.value)))
                self.wrote = self.cycle

    def tile(self, case):
        """Fields of an MV of a random tile, whose words join the streams of engine and golden."""
        p, case = self.p, {**case, "rows": min(case["rows"], self.p.acc_depth)}
        raw = case.pop("raw", False)
        header = TileHeader(int(self.rng.integers(-40, 40)), int(self.rng.integers(4)))
        lanes = [replace(random_lane(self.rng, **case), header=header) for _ in range(p.chains)]
        if raw:
            blocks = [lane.q.astype(np.int8).reshape(case["rows"], -1, BLOCK).transpose(1, 0, 2) for lane in lanes]
            encoded = [np.frombuffer(block.tobytes(), "<u2").reshape(-1, p.planes) for block in blocks]
        else:
            encoded = encode_lanes(lanes, p.planes, p.fifo_depth - DEPTH_MARGIN)
        dropped = 0 if raw else int(self.rng.integers(0, 3))
        length = max(map(len, encoded)) + dropped
        stream = np.full((length, p.chains, p.planes), 0xFFFF, np.uint16)
        for chain, beats in enumerate(encoded):
            stream[: len(beats), chain] = beats
        self.golden.lanes.append(self.tiles, stream)
        self.tiles += 1
        for words, part in zip(self.words, np.split(stream, p.channels, axis=1), strict=True):
            words += [[sum(int(h) << 16 * i for i, h in enumerate(beat)) for beat in word] for word in part]
        return {
            "n": case["blocks"], "blocks": case["blocks"], "rows": case["rows"], "grow": 0, "raw": int(raw),
            "dense": int(all(fmt.kept in (0, BLOCK) for lane in lanes for blocks in lane.formats for fmt in blocks)),
            "group_log2": case["group"].bit_length() - 1, "scaled": int(lanes[0].scale is not None),
            "minimum": int(lanes[0].minimum is not None), "beats": 0 if raw else length,
            "b": int(self.rng.integers(p.xbuf_blocks - case["blocks"])), "slot": int(self.rng.integers(SLOTS)),
            "early": 0,
        }  # fmt: skip

    async def command(self, fields, tokens, late=None):
        """A command at the head of the queue, whose tokens come `late` cycles later; until taken. `tokens` = 0: MV."""
        dut = self.dut
        expected = self.expect(fields, tokens)
        self.expected += expected
        self.results.append((len(expected), fields["early"]))
        tile = {name: fields[name] for name in ("rows", "blocks", "group_log2", "scaled", "minimum", "raw", "beats")}
        tile["spread"] = fields["raw"] | fields["dense"]
        payload = {
            "tile": tile | {"shared": int(tokens > 0)}, "out": fields["a"], "stride": fields["stride"],
            "base": fields["b"], "slot": fields["slot"], "tokens": tokens, "early": fields["early"],
            "empty": int(fields["n"] == 0),
        }  # fmt: skip
        while self.accepted - len(self.finished) == Mpe.OVERLAP:
            await RisingEdge(dut.clk)
        dut.command__payload.value = packed(tile_command_layout(self.p), payload)
        dut.ahead.value = 1
        for _ in range(self.random.randint(0, self.late) if late is None else late):
            await RisingEdge(dut.clk)
        dut.command__valid.value = 1
        await FallingEdge(dut.clk)
        while dut.command__ready.value == 0:
            await FallingEdge(dut.clk)
        await RisingEdge(dut.clk)
        self.accepted += 1
        dut.command__valid.value = dut.ahead.value = 0

    async def end_of(self, count):
        """Until so many commands have finished: what was written."""
        while len(self.finished) < count or len(self.written) < self.all_before:
            await RisingEdge(self.dut.clk)
        for _ in range(2):
            await FallingEdge(self.dut.clk)
        assert self.dut.busy.value == 0
        assert not any(self.words)
        assert len(self.written) == len(self.expected)
        for number, (written, wanted) in enumerate(zip(self.written, self.expected, strict=True)):
            assert written == wanted, f"write {number}: row {written[0]}, expected row {wanted[0]}"

    def expect(self, fields, tokens):
        """Rows that golden writes, in order."""
        self.golden._multiply(dict(fields), max(1, tokens), fields["stride"])
        if not fields["n"]:
            return []
        rows = fields["rows"] * self.p.row_groups // self.p.sfu_lanes
        places = [fields["a"] + t * fields["stride"] + row for t in range(max(1, tokens)) for row in range(rows)]
        bits = f32.to_bits(self.golden.vmem)
        return [(row, sum(int(b) << 32 * k for k, b in enumerate(bits[row]))) for row in places]


def place(bench):
    """Destination of a command, and its stride."""
    span = bench.p.acc_depth * bench.p.row_groups // bench.p.sfu_lanes
    return {"a": int(bench.rng.integers(bench.p.vmem_rows - span * (bench.p.tokens + 1))), "stride": span}


async def commands(bench, cases, tokens_of):
    """A tile of each case, of `tokens_of(number)`; now and then an empty one."""
    count = 0
    for number, case in enumerate(cases):
        fields = bench.tile(case) | place(bench) | {"early": int(bench.rng.choice([0, 0, 1, 2, 5, 255]))}
        await bench.command(fields, tokens_of(number))
        count += 1
        if number % 4 == 0:
            await bench.command({**fields, "n": 0}, 0)
            count += 1
    await bench.end_of(count)


@cocotb.test()
@cocotb.parametrize(stall_late=[(0.0, 0), (0.0, 400), (0.4, 0), (0.9, 100)])
async def matrices(dut, stall_late):
    """MVs and MMs in turn."""
    params = LlmParams(**parameters()["params"])
    await start(dut, inputs=inputs_of(params))
    bench = Bench(dut, params, 1, *stall_late)
    await bench.begin()

    def tokens_of(number):
        return [0, params.tokens, 1, 0, int(bench.rng.integers(1, params.tokens + 1))][number * 3 % 5]

    await watchdog(commands(bench, [CASES[i % len(CASES)] for i in range(15)], tokens_of), 200_000)


@cocotb.test()
@cocotb.parametrize(stall_late=[(0.0, 0), (0.0, 100), (0.4, 0), (0.9, 40)])
async def one_tile_after_the_other(dut, stall_late):
    """Runs of MVs and of MMs, which overlap: one block or an odd number, one row or all, results read slower than
    summed."""
    params = LlmParams(**parameters()["params"])
    await start(dut, inputs=inputs_of(params))
    bench = Bench(dut, params, 2, *stall_late)
    await bench.begin()
    cases = [{**CASES[int(bench.rng.integers(len(CASES)))]} for _ in range(24)]
    for case in cases:
        case["blocks"] = int(bench.rng.choice([1, 1, 2, 3, 5, case["blocks"]]))
        case["rows"] = int(bench.rng.choice([1, 2, params.acc_depth, case["rows"]]))
    runs = [0] * 8 + [params.tokens] * 6 + [0] * 2 + [params.tokens, 1, 2] + [0]
    await watchdog(commands(bench, cases, lambda number: runs[number % len(runs)]), 200_000)


@cocotb.test()
async def no_and_too_many_tokens_are_illegal(dut):
    params = LlmParams(**parameters()["params"])
    inputs = inputs_of(params)
    await start(dut, inputs=inputs)
    for tokens in (0, params.tokens + 1):
        await reset(dut, inputs=inputs)
        command = {"tile": {"rows": 1, "blocks": 1, "shared": 1}, "tokens": tokens}
        dut.command__payload.value = packed(tile_command_layout(params), command)
        dut.ahead.value = dut.command__valid.value = 1
        for _ in range(2):
            await FallingEdge(dut.clk)
            assert dut.command__ready.value == 0
        assert dut.illegal.value == 1



async def cycles_of(dut, params, case, count, late=0):
    """Of MVs whose words are there: cycles until the first has finished, whose tokens come `late` cycles after the head
    of the queue, and of the others from finish to finish; the tiles' beats."""
    await reset(dut, inputs=inputs_of(params))
    bench = Bench(dut, params, 4, 0.0)
    await bench.begin()
    tiles = [bench.tile(case) for _ in range(count)]
    for _ in range(40):
        await RisingEdge(dut.clk)
    came = bench.cycle + late
    for fields in tiles:
        await bench.command(fields | place(bench), 0, late if fields is tiles[0] else 0)
    await bench.end_of(count)
    bench.end()
    return np.diff([came, *bench.finished]).tolist(), [fields["beats"] for fields in tiles]


@cocotb.test()
async def cycles_of_a_tile(dut):
    """What Mpe's docstring says."""
    params = LlmParams(**parameters()["params"])
    await start(dut, inputs=inputs_of(params))
    case = {"rows": 1, "blocks": 1, "group": 2, "formats": BlockFormat(8, 4), "minimum": False}
    reads = params.row_groups // params.sfu_lanes
    for late, cycles in ((0, 60), (100, 59)):
        (taken,), _ = await watchdog(cycles_of(dut, params, case, 1, late), 1000)
        assert taken == cycles + reads, f"{late} cycles before: {taken}"
    for minimum in (False, True):
        (_, *taken), _ = await watchdog(cycles_of(dut, params, {**case, "blocks": 5, "minimum": minimum}, 6), 2000)
        assert taken == [5 * BLOCK + 4] * 5
        if params.planes == 1:
            large = {**case, "rows": params.acc_depth, "blocks": 8, "minimum": minimum}
            (_, *taken), beats = await watchdog(cycles_of(dut, params, large, 6), 10_000)
            assert taken == [count + 6 for count in beats[:-1]]
