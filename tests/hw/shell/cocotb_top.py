"""The whole engine between cocotbext-axi's models: programs in memory, control registers, memory afterwards."""

import random

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles, FallingEdge
from cocotbext.axi import AxiResp

from golden.execution import ERROR_CODES
from golden.isa.llm import ISA, Binary, Reduce, Unary
from golden.llm.encode import encode_lanes
from golden.llm.executor import Executor
from golden.llm.stream import BlockFormat
from golden.params import LlmParams
from hw.llm.engine import LlmEngine
from hw.shell.core import REPORT
from hw.shell.registers import report_words
from tests.hw.harness import parameters, start, watchdog
from tests.hw.llm.lanes import random_lane
from tests.hw.shell.axi_top import HALTED, START, Engine

IMAGE = 1 << 16
PROGRAM, VECTORS, NUMBERS, TABLE, RESULTS_AT = 0x800, 0x2000, 0x2FE0, 0x3000, 0x4000
TILES, K_AT, V_AT = (0xF20, 0x3FA0), 0x8000, 0xC000
DONE, IDLE, READY = 2, 4, 8


def tile_bytes(params, rng, rows, blocks, group, formats):
    lanes = [random_lane(rng, rows=rows, blocks=blocks, group=group, formats=formats) for _ in range(params.chains)]
    encoded = encode_lanes(lanes, params.planes, params.fifo_depth - 12)
    words = np.zeros((max(map(len, encoded)), params.chains, params.planes), "<u2")
    for i, beats in enumerate(encoded):
        words[: len(beats), i] = beats
    return words.view(np.uint8).reshape(-1)


def images_and_program(params, rng):
    """Loads, both kinds of products, vector instructions and stores of every kind; twice, then the KV cache is read."""
    images = {port: np.zeros(IMAGE, np.uint8) for port in ("w0", "v")}
    images["v"][VECTORS:NUMBERS] = rng.standard_normal((NUMBERS - VECTORS) // 4).astype("<f4").view(np.uint8)
    images["v"][TABLE:RESULTS_AT] = rng.standard_normal((RESULTS_AT - TABLE) // 4).astype("<f4").view(np.uint8)
    images["v"][NUMBERS : NUMBERS + 32] = rng.integers(0, 20, 8).astype("<u4").view(np.uint8)
    beats = []
    for at, (rows, blocks, group, formats) in zip(
        TILES, [(8, 4, 2, None), (5, 2, 1, BlockFormat(8, 4))], strict=True
    ):  # fmt: skip
        data = tile_bytes(params, rng, rows, blocks, group, formats)
        images["w0"][at : at + len(data)] = data
        beats.append(len(data) // params.beat_bytes)
    ld, st, mv, misc, sys = (1 << q for q in range(5))
    scaled = "scaled=1 minimum=1"
    lines = [
        "ALU b=2 rd=5",
        # r6 counts the tokens, r7 the bytes of their vectors and results
        f"LDV ra=7 a={VECTORS} b=0 n=75 release={misc}",
        f"LDG a={NUMBERS + 12} b=20 n=30 table={TABLE} stride=128 release={misc}",
        f"LDW a={TILES[0]} n={beats[0]}",
        f"LDW a={TILES[1]} n={beats[1]}",
        f"QNT b=0 a=0 n=64 slot=3 wait={ld} release={mv}",
        f"QNT b=20 a=6 n=30 flat=1 slot=4 sd=7 round_log2=1 wait={ld} release={st}",
        f"QNT b=0 a=4 n=32 slot=8 repeat=3 stride_b=3 token_step=1 release={mv}",
        f"MV a=30 b=0 n=4 rows=8 group_log2=1 slot=3 {scaled} beats={beats[0]} wait={misc} release={misc}",
        f"MM a=64 b=4 n=5 blocks=2 grow=1 slot=8 {scaled} beats={beats[1]} tokens=4 stride=10 wait={misc} release={st}",
        f"STK a={K_AT} b=6 rn=6 count=32 rows=4 blocks=2 wait={misc}",
        f"STK a={V_AT} b=6 rn=6 count=32 rows=4 blocks=2 value=1",
        f"VEC a=46 b=30 b_row=0 n=61 binary={Binary.MUL} reduce={Reduce.SUM} sd=2 store=1 wait={mv}",
        f"VEC a=10 b=46 n=33 unary={Unary.RSQRT} reduce={Reduce.MAX} sd=3 store=1",
        "PUT a=10 n=17 sa=2",
        f"AMX a=100 b=46 n=61 first=1 release={st}",
        f"STV ra=7 a={RESULTS_AT} b=10 n=35 wait={misc}",
        f"STV ra=7 a={RESULTS_AT + 0x208} b=46 n=1",
        f"STV ra=7 a={RESULTS_AT + 0x220} b=64 n=157 wait={mv} release={sys}",
        "ALU ra=6 b=1 rd=6",
        f"ALU ra=7 b=0x600 rd=7 wait={st}",
        "DBNZ rd=5 a=1",
        # K and V as matrices
        f"LDW a={K_AT} n=32",
        f"LDW a={V_AT} n=32",
        "MV a=30 b=0 n=2 rows=4 raw=1 slot=3 beats=32",
        f"MV a=40 b=2 n=2 rows=4 raw=1 slot=3 beats=32 release={st}",
        f"STV a={RESULTS_AT + 0x2000} b=30 n=72 wait={mv}",
        "HALT a=77",
    ]
    words = [ISA.from_text(line) for line in lines]
    images["v"][PROGRAM : PROGRAM + 32 * len(words)] = np.frombuffer(
        b"".join(word.to_bytes(32, "little") for word in words), np.uint8
    )
    return images, words


async def begin(dut, stall, seed=1):
    params = LlmParams(**parameters()["params"])
    engine = Engine(dut, LlmEngine, params, image_bytes=IMAGE, stall=stall, seed=seed)
    await start(dut)
    return params, engine


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.3])
async def program_leaves_memory_as_golden_does(dut, stall):
    params, engine = await begin(dut, stall)
    images, words = images_and_program(params, np.random.default_rng(2))
    golden = Executor(params, words, {port: image.copy() for port, image in images.items()})
    code = golden.run()
    await engine.prepare(images, len(words), PROGRAM)
    reported = False
    for _ in range(2):  # the second run starts from the memory that the first one leaves
        assert await watchdog(engine.run(), 60_000) == HALTED + code
        for port, image in golden.images.items():
            found = np.frombuffer(engine.rams[port].read(0, IMAGE), np.uint8)
            different = np.flatnonzero(found != image)
            assert not len(different), f"port {port}: bytes {different[:8]}"
        assert golden.best is not None
        assert await engine.read("result_0") == golden.best[1]
        golden.run()
        words = report_words(LlmEngine.registers(params))
        found = np.frombuffer(engine.rams[REPORT].read(0, 4 * len(words)), "<u4").tolist()
        assert found == [await engine.read(name) for name in words] if reported else not any(found)
        reported = True
        await engine.write("report_enable", 1)


@cocotb.test()
async def registers(dut):
    """What is written reads back; what is not there answers SLVERR; writing what cannot be written too."""
    params, engine = await begin(dut, 0.3)
    rng = random.Random(3)
    writable = [register for register in LlmEngine.registers(params)
                if register.writable and register.name not in ("ap_ctrl", "gie", "ier", "isr")]  # fmt: skip
    values = {register.name: 1 if register.name == "report_enable" else rng.getrandbits(32) for register in writable}
    for name, value in values.items():
        assert await engine.write(name, value) == AxiResp.OKAY
    for name, value in values.items():
        assert await engine.read(name) == value, name
    for name in ("status", "pc", "result_0", "count_cycles"):
        assert await engine.write(name, 1) == AxiResp.SLVERR, name
    for offset in (0x1C, 0xFFC):
        assert (await engine.control.read(offset, 4)).resp == AxiResp.SLVERR
        assert (await engine.control.write(offset, bytes(4))).resp == AxiResp.SLVERR
    assert await engine.read("ap_ctrl") == IDLE


@cocotb.test()
async def handshake_and_interrupt(dut):
    """`ap_ctrl_hs`: done is cleared by reading, a start while running is ignored, the interrupt by writing 1."""
    _, engine = await begin(dut, 0.0)
    nop, halt = ISA.encode("NOP", {}), ISA.encode("HALT", {"a": 9})
    words = [ISA.encode("ALU", {"b": 200, "rd": 1}), nop, ISA.encode("DBNZ", {"rd": 1, "a": 1}), halt]
    image = np.zeros(IMAGE, np.uint8)
    image[PROGRAM : PROGRAM + 32 * len(words)] = np.frombuffer(
        b"".join(word.to_bytes(32, "little") for word in words), np.uint8
    )
    await engine.prepare({"v": image}, len(words), PROGRAM)
    await engine.write("gie", 1)
    await engine.write("ier", 1)
    await engine.write("ap_ctrl", START)
    assert await engine.read("ap_ctrl") == START
    await engine.write("ap_ctrl", START)
    assert await engine.read("status") == 0
    while dut.ap_done_o.value == 0:
        assert dut.interrupt.value == 0
        await FallingEdge(dut.clk)
    assert dut.interrupt.value == 1
    assert await engine.read("ap_ctrl") == DONE | IDLE | READY
    assert await engine.read("ap_ctrl") == IDLE
    assert await engine.read("status") == HALTED + 9
    cycles = await engine.read("count_cycles")
    assert 200 * 7 < cycles < 200 * 7 + 100
    await engine.write("isr", 1)
    assert dut.interrupt.value == 0
    await ClockCycles(dut.clk, 20)
    assert await engine.read("count_cycles") == cycles


@cocotb.test()
async def errors_end_a_run_with_their_code(dut):
    """After each of them a reset, and a good program runs."""
    params, engine = await begin(dut, 0.0)
    images, words = images_and_program(params, np.random.default_rng(2))
    illegal = {"a VEC of nothing": ISA.encode("VEC", {"reduce": 2}), "an MM of nothing": ISA.encode("MM", {"n": 1}),
               "no opcode": 31}  # fmt: skip
    for name, word in illegal.items():
        image = images["v"].copy()
        image[PROGRAM : PROGRAM + 32] = np.frombuffer(word.to_bytes(32, "little"), np.uint8)
        image[PROGRAM + 32 : PROGRAM + 64] = np.frombuffer(ISA.encode("HALT", {}).to_bytes(32, "little"), np.uint8)
        await engine.prepare({**images, "v": image}, 2, PROGRAM)
        assert await watchdog(engine.run(), 2000) == ERROR_CODES["illegal"], name
        dut.rst.value = 1
        await ClockCycles(dut.clk, 3)
        dut.rst.value = 0
        await ClockCycles(dut.clk, 3)
    golden = Executor(params, words, {port: image.copy() for port, image in images.items()})
    await engine.prepare(images, len(words), PROGRAM)
    assert await watchdog(engine.run(), 60_000) == HALTED + golden.run()
    assert engine.rams["v"].read(0, IMAGE) == golden.images["v"].tobytes()
