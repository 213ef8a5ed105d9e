"""Programs through the scheduler: what reaches the queues is what the golden executor would execute, in its order."""

import random

import cocotb
from cocotb.triggers import FallingEdge, RisingEdge

from golden.isa.llm import ISA, QUEUES, Alu
from golden.llm.executor import Executor
from golden.params import LlmParams
from hw.llm.sequencer import ARGUMENTS
from tests.hw.harness import StreamSink, StreamSource, parameters, start, watchdog

UNITS = QUEUES[:-1]
CORNERS = (0, 1, 2, 31, 32, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
ILLEGAL = next(code for code in range(1 << 5) if code not in {fmt.opcode for fmt in ISA.formats})
INPUTS = {
    "start": 0, "words": 0, "available": 0, "idle": 0, "program__valid": 0, "program__payload": 0,
    **{f"arguments__{i}": 0 for i in range(ARGUMENTS)}, **{f"queues__{q}__ready": 0 for q in range(len(UNITS))},
}  # fmt: skip
INPUTS = {f"sequencer__{name}": value for name, value in INPUTS.items()}


class Recorder(Executor):
    """Executes SYS; of all other instructions it keeps the words with resolved operands, by queue."""

    def __init__(self, params, program, images):
        super().__init__(params, program, images)
        self.sent = {name: [] for name in UNITS}
        self.masks = []
        for fmt in ISA.formats:
            if fmt.queue in UNITS:
                setattr(self, f"_{fmt.name.lower()}", lambda v, fmt=fmt: self.sent[fmt.queue].append(
                    ISA.encode(fmt.name, v)))  # fmt: skip

    def _exchange_tokens(self, pc, queue, wait, release):
        if QUEUES[queue] == "SYS":
            self.masks.append((wait, release))

    def _check_tokens(self):
        pass

    def _check_early(self, name, v):
        pass


class Bench:
    def __init__(self, dut, params, seed, stall):
        self.dut, self.p, self.stall, self.seed = dut, params, stall, seed
        self.random = random.Random(seed)

    def port(self, name):
        return getattr(self.dut, f"sequencer__{name}")

    async def tokens(self, masks):
        """Tokens come and go; notes what SYS takes and gives."""
        while True:
            there = self.random.getrandbits(len(QUEUES)) if self.stall else (1 << len(QUEUES)) - 1
            self.port("available").value = there
            await FallingEdge(self.dut.clk)
            take, give = int(self.port("take").value), int(self.port("give").value)
            assert take & ~there == 0, "takes a token that is not there"
            if take or give:
                masks.append((take, give))
            await RisingEdge(self.dut.clk)

    async def collect(self, queue, sent):
        sink = StreamSink(self.dut, f"sequencer__queues__{queue}", seed=self.seed, stall=self.stall)
        while True:
            sent += await sink.receive(1)

    async def load(self, words, arguments, length=None):
        """Start, and stream the program's memory words."""
        per_word = self.p.axi_bits // ISA.bits
        for i, argument in enumerate(arguments):
            self.port(f"arguments__{i}").value = argument
        self.port("words").value, self.port("start").value = len(words) if length is None else length, 1
        await FallingEdge(self.dut.clk)
        loads = int(self.port("load").value)
        await RisingEdge(self.dut.clk)
        self.port("start").value = 0
        if loads:
            padded = words + [random.getrandbits(ISA.bits)] * (-len(words) % per_word)
            lines = [sum(word << ISA.bits * i for i, word in enumerate(padded[at : at + per_word]))
                     for at in range(0, len(padded), per_word)]  # fmt: skip
            await StreamSource(self.dut, "sequencer__program", seed=self.seed, stall=self.stall).send(lines)
        return loads

    async def until(self, name):
        """Cycles until output `name` is high."""
        cycles = 0
        while self.port(name).value == 0:
            await FallingEdge(self.dut.clk)
            cycles += 1
        await RisingEdge(self.dut.clk)
        return cycles

    async def run(self, words, arguments):
        """On both; compares queues, SYS tokens and HALT's code. Returns the cycles from the first fetch to HALT."""
        golden = Recorder(self.p, words, {})
        code = golden.run(arguments)
        masks, sent = [], {name: [] for name in UNITS}
        tasks = [cocotb.start_soon(self.tokens(masks)),
                 *(cocotb.start_soon(self.collect(q, sent[name])) for q, name in enumerate(UNITS))]  # fmt: skip
        await self.load(words, arguments)
        self.port("idle").value = 1
        cycles = await watchdog(self.until("halted"), 200_000)
        for task in tasks:
            task.cancel()
        assert sent == golden.sent
        assert masks == [pair for pair in golden.masks if any(pair)]
        assert int(self.port("code").value) == code
        assert self.port("illegal").value == 0
        assert self.port("too_long").value == 0
        return cycles, golden.trace.instructions


def random_instruction(rng, queue=None):
    fmt = rng.choice([f for f in ISA.formats if f.queue in ([queue] if queue else UNITS)])
    values = {field.name: rng.getrandbits(field.width) for field in ISA.slots(fmt) if field.name != "opcode"}
    return ISA.encode(fmt.name, values)


def random_sys(rng, registers):
    """ALU or NOP; register 15 is left alone."""
    tokens = {name: rng.getrandbits(len(QUEUES)) if rng.random() < 0.3 else 0 for name in ("wait", "release")}
    if rng.random() < 0.1:
        return ISA.encode("NOP", tokens)
    b = rng.choice(CORNERS) if rng.random() < 0.5 else rng.getrandbits(32)
    return ISA.encode("ALU", {
        **tokens, "alu": rng.choice(list(Alu)), "ra": rng.randrange(registers), "rb": rng.randrange(registers), "b": b,
        "rd": rng.randrange(registers),
    })  # fmt: skip


def watch_register(register):
    """An instruction that shows a register in its operands."""
    return ISA.encode("LDV", {"ra": register, "rb": register, "rn": register, "b": 5, "n": 0xFFFFFFFF})


def loop_program(rng, length):
    """Random instructions in a loop of 5; then HALT with a code from a register."""
    body = [random_sys(rng, 15) if rng.random() < 0.5 else random_instruction(rng) for _ in range(length - 5)]
    return [
        ISA.encode("ALU", {"alu": Alu.ADD, "b": 5, "rd": 15}),
        *body,
        ISA.encode("DBNZ", {"rd": 15, "a": 1}),
        ISA.encode("ALU", {"alu": Alu.AND, "ra": 3, "b": 0x7F, "rd": 3}),
        ISA.encode("HALT", {"a": 9, "ra": 3, "wait": 1, "release": 2}),
    ]


@cocotb.test()
@cocotb.parametrize((("seed", "stall"), [(1, 0.0), (2, 0.0), (3, 0.4), (4, 0.4)]))
async def random_programs(dut, seed, stall):
    params = LlmParams(**parameters()["params"])
    await start(dut, inputs=INPUTS)
    rng = random.Random(seed)
    for length in (12, params.imem_words - 1, params.imem_words, 13):
        arguments = tuple(rng.choice(CORNERS) for _ in range(ARGUMENTS))
        await Bench(dut, params, seed, stall).run(loop_program(rng, length), arguments)


@cocotb.test()
async def every_operation_at_the_corners(dut):
    params = LlmParams(**parameters()["params"])
    await start(dut, inputs=INPUTS)
    for a in CORNERS:
        for first in range(0, len(CORNERS), 3):
            program = []
            for b in CORNERS[first : first + 3]:
                for op in Alu:
                    program += [
                        ISA.encode("ALU", {"alu": op, "ra": 1, "rb": 2, "b": b, "rd": 5}),
                        watch_register(5),
                    ]
            await Bench(dut, params, 1, 0.0).run([*program, ISA.encode("HALT", {})], (a, 0, 0, 0))


@cocotb.test()
async def three_cycles_an_instruction_four_after_a_jump(dut):
    params = LlmParams(**parameters()["params"])
    await start(dut, inputs=INPUTS)
    straight = [ISA.encode("NOP", {}), watch_register(1)] * 10 + [ISA.encode("HALT", {})]
    cycles = []
    for words in (straight, straight[2:], straight[4:]):
        taken, instructions = await Bench(dut, params, 1, 0.0).run(words, (0, 0, 0, 0))
        cycles.append(taken - 3 * instructions)
    assert cycles == cycles[:1] * 3
    loop = [ISA.encode("DBNZ", {"rd": 1, "a": 0}), ISA.encode("HALT", {})]
    for count in (1, 2, 7):
        taken, instructions = await Bench(dut, params, 1, 0.0).run(loop, (count, 0, 0, 0))
        assert taken - 3 * instructions == cycles[0] + count - 1


@cocotb.test()
async def jumps_and_halts_take_their_register(dut):
    params = LlmParams(**parameters()["params"])
    await start(dut, inputs=INPUTS)
    program = [
        ISA.encode("DBNZ", {"rd": 1, "a": 1, "ra": 2}),
        ISA.encode("HALT", {"a": 1}),
        watch_register(2),
        ISA.encode("HALT", {"a": 40, "ra": 2}),
    ]
    for arguments in ((1, 1, 0, 0), (2, 1, 0, 0), (2, 2, 0, 0)):
        await Bench(dut, params, 1, 0.0).run(program, arguments)


@cocotb.test()
async def halt_waits_until_all_queues_are_idle(dut):
    params = LlmParams(**parameters()["params"])
    await start(dut, inputs=INPUTS)
    bench = Bench(dut, params, 1, 0.0)
    await bench.load([ISA.encode("HALT", {"a": 3})], ())
    for _ in range(30):
        await FallingEdge(dut.clk)
        assert dut.sequencer__halted.value == 0
    dut.sequencer__idle.value = 1
    await watchdog(bench.until("halted"), 10)
    assert int(dut.sequencer__code.value) == 3


@cocotb.test()
async def illegal_programs_are_reported(dut):
    """An opcode of nothing, a program without HALT, a jump behind the end; then a good one runs."""
    params = LlmParams(**parameters()["params"])
    await start(dut, inputs=INPUTS)
    nop, halt = ISA.encode("NOP", {}), ISA.encode("HALT", {})
    far = [ISA.encode("DBNZ", {"rd": 1, "a": target}) for target in (3, params.imem_words, 1 << 16, 1 << 31)]
    for words, pc in [([nop, nop, ILLEGAL, halt], 3), ([nop], 1), ([nop] * 5, 5), ([nop] * params.imem_words, None),
                      *(([nop, jump, halt], None) for jump in far)]:  # fmt: skip
        bench = Bench(dut, params, 1, 0.0)
        assert await bench.load(words, (5,))
        await watchdog(bench.until("illegal"), 8 * len(words) + 20)
        assert dut.sequencer__halted.value == 0
        assert pc is None or int(dut.sequencer__pc.value) == pc
        await bench.run([watch_register(1), halt], (7, 0, 0, 0))


@cocotb.test()
async def program_of_no_or_too_many_instructions(dut):
    params = LlmParams(**parameters()["params"])
    await start(dut, inputs=INPUTS)
    for length in (0, params.imem_words + 1, 1 << 31):
        bench = Bench(dut, params, 1, 0.0)
        assert not await bench.load([], (), length)
        await watchdog(bench.until("too_long"), 5)
        await bench.run([watch_register(1), ISA.encode("HALT", {})], (7, 0, 0, 0))
