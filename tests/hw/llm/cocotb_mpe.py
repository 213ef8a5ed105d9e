"""The matrix engine runs commands back to back, one vector or several: what it writes equals golden's, row by row."""

import random

import cocotb
import numpy as np
from cocotb.triggers import FallingEdge, RisingEdge

from golden import float32 as f32
from golden.isa.llm import SLOTS
from golden.llm.encode import encode_lanes
from golden.llm.executor import Executor
from golden.llm.stream import BlockFormat
from golden.params import BLOCK, LlmParams
from hw.llm.layouts import block_layout, lane_layout
from hw.llm.mpe import tile_command_layout
from tests.hw.harness import StreamSource, parameters, reset, start, watchdog
from tests.hw.llm.lanes import random_lane

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
    return dict.fromkeys([*names, "command__valid", "x_valid", "exponents", "peek_block"], 0)


class Bench:
    """`golden`: the executor, whose activation buffers and exponents are random."""

    def __init__(self, dut, params, seed, stall):
        self.dut, self.p, self.stall = dut, params, stall
        self.rng, self.random = np.random.default_rng(seed), random.Random(seed)
        self.golden = Executor(params, [], {})
        self.words, self.written, self.finished = [], [], 0
        self.commands = StreamSource(dut, "command")

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
            self.dut.x_data.value = layout.const(value).as_value().value
            await RisingEdge(self.dut.clk)
        self.dut.x_valid.value = 0
        self.tasks = [cocotb.start_soon(self.send()), cocotb.start_soon(self.watch())]
        assert p.tokens == g.q.shape[0]

    def end(self):
        for task in self.tasks:
            task.cancel()

    async def send(self):
        """A word (one beat a chain) a cycle while every lane has room, with random gaps."""
        layout = lane_layout(self.p)
        while True:
            await FallingEdge(self.dut.clk)
            room = int(self.dut.lane_room.value) == (1 << self.p.chains) - 1
            now = self.words and room and self.random.random() >= self.stall
            word = self.words.pop(0) if now else [0] * self.p.chains
            for chain, beat in enumerate(word):
                lane = layout.const({"valid": int(bool(now)), "data": beat})
                getattr(self.dut, f"lanes__{chain}").value = lane.as_value().value

    async def watch(self):
        while True:
            await FallingEdge(self.dut.clk)
            assert self.dut.error.value == 0
            assert self.dut.illegal.value == 0
            self.finished += int(self.dut.finished.value)
            if self.dut.write_valid.value == 1:
                self.written.append((int(self.dut.write_row.value), int(self.dut.write_data.value)))

    def tile(self, case):
        """Fields of an MV of a random tile, whose words join the streams of engine and golden."""
        p, case = self.p, {**case, "rows": min(case["rows"], self.p.acc_depth)}
        raw = case.pop("raw", False)
        lanes = [random_lane(self.rng, **case) for _ in range(p.chains)]
        if raw:
            blocks = [lane.q.astype(np.int8).reshape(case["rows"], -1, BLOCK).transpose(1, 0, 2) for lane in lanes]
            encoded = [np.frombuffer(block.tobytes(), "<u2").reshape(-1, p.planes) for block in blocks]
        else:
            encoded = encode_lanes(lanes, p.planes, p.fifo_depth - DEPTH_MARGIN)
        length = max(map(len, encoded)) + int(self.rng.integers(0, 3))
        stream = np.full((length, p.chains, p.planes), 0xFFFF, np.uint16)
        for chain, beats in enumerate(encoded):
            stream[: len(beats), chain] = beats
        self.golden.lanes.append(len(self.golden.lanes.tiles), stream)
        self.words += [[sum(int(h) << 16 * i for i, h in enumerate(beat)) for beat in word] for word in stream]
        return {
            "n": case["blocks"], "blocks": case["blocks"], "rows": case["rows"], "grow": 0, "raw": int(raw),
            "dense": int(all(fmt.kept in (0, BLOCK) for lane in lanes for blocks in lane.formats for fmt in blocks)),
            "group_log2": case["group"].bit_length() - 1, "scaled": int(lanes[0].scale is not None),
            "minimum": int(lanes[0].minimum is not None), "beats": length,
            "b": int(self.rng.integers(p.xbuf_blocks - case["blocks"])), "slot": int(self.rng.integers(SLOTS)),
        }  # fmt: skip

    async def command(self, fields, tokens):
        """Give the engine a command when it is ready for one. `tokens` = 0: MV."""
        tile = {name: fields[name] for name in ("rows", "blocks", "group_log2", "scaled", "minimum", "raw", "beats")}
        tile["spread"] = fields["raw"] | fields["dense"]
        payload = {
            "tile": tile | {"shared": int(tokens > 0)}, "out": fields["a"], "stride": fields["stride"],
            "base": fields["b"], "slot": fields["slot"], "tokens": tokens, "empty": int(fields["n"] == 0),
        }  # fmt: skip
        await self.commands.send([tile_command_layout(self.p).const(payload).as_value().value])

    def expect(self, fields, tokens):
        """Rows that golden writes, in order."""
        self.golden._multiply(dict(fields), max(1, tokens), fields["stride"])
        if not fields["n"]:
            return []
        rows = fields["rows"] * self.p.row_groups // self.p.sfu_lanes
        places = [fields["a"] + t * fields["stride"] + row for t in range(max(1, tokens)) for row in range(rows)]
        bits = f32.to_bits(self.golden.vmem)
        return [(row, sum(int(b) << 32 * k for k, b in enumerate(bits[row]))) for row in places]


async def commands(bench, count):
    p, expected = bench.p, []
    span = p.acc_depth * p.row_groups // p.sfu_lanes
    for number in range(count):
        case = CASES[number % len(CASES)]
        tokens = [0, p.tokens, 1, 0, int(bench.rng.integers(1, p.tokens + 1))][number * 3 % 5]
        fields = bench.tile(case) | {"a": int(bench.rng.integers(p.vmem_rows - span * (p.tokens + 1))), "stride": span}
        expected += bench.expect(fields, tokens)
        await bench.command(fields, tokens)
        if number % 4 == 0:
            await bench.command({**fields, "n": 0}, 0)
    while bench.finished < count + -(-count // 4):
        await RisingEdge(bench.dut.clk)
    await FallingEdge(bench.dut.clk)
    assert bench.dut.busy.value == 0
    assert not bench.words
    assert len(bench.written) == len(expected)
    for number, (written, wanted) in enumerate(zip(bench.written, expected, strict=True)):
        assert written == wanted, f"write {number}: row {written[0]}, expected row {wanted[0]}"


@cocotb.test()
async def matrices(dut):
    params = LlmParams(**parameters()["params"])
    await start(dut, inputs=inputs_of(params))
    for seed, stall in ((1, 0.0), (2, 0.4)):
        bench = Bench(dut, params, seed, stall)
        await bench.begin()
        await watchdog(commands(bench, 20), 100_000)
        bench.end()


@cocotb.test()
async def no_and_too_many_tokens_are_illegal(dut):
    params = LlmParams(**parameters()["params"])
    inputs = inputs_of(params)
    await start(dut, inputs=inputs)
    for tokens in (0, params.tokens + 1):
        await reset(dut, inputs=inputs)
        command = {"tile": {"rows": 1, "blocks": 1, "shared": 1}, "tokens": tokens}
        dut.command__payload.value = tile_command_layout(params).const(command).as_value().value
        dut.command__valid.value = 1
        await RisingEdge(dut.clk)
        dut.command__valid.value = 0
        await FallingEdge(dut.clk)
        assert dut.illegal.value == 1
