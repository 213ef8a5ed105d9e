"""What is written, when done is said, and that it is said once."""

import random

import cocotb
from cocotb.triggers import FallingEdge, RisingEdge

from tests.hw.fabric.cocotb_axi import Memory
from tests.hw.harness import parameters, start

BASE = 0x7_0000_1FF4
INPUTS = {name: 0 for name in ("enabled", "ended", "write__awready", "write__wready", "write__bvalid", "write__bresp")}


async def begin(dut, **memory):
    """Values of the words, and the memory."""
    count, rng = parameters()["words"], random.Random(5)
    values = [rng.getrandbits(32) for _ in range(count)]
    await start(dut, inputs=INPUTS | {"base": BASE} | {f"words__{i}": value for i, value in enumerate(values)})
    slave = Memory(dut, 6, **{"stall": 0.0, **memory}, writes="write__")
    return values, slave


async def ends(dut, most):
    """Strobes `ended`; cycles until `done`, which comes once."""
    dut.ended.value = 1
    for cycle in range(most):
        await FallingEdge(dut.clk)
        done = int(dut.done.value)
        await RisingEdge(dut.clk)
        dut.ended.value = 0
        if done:
            for _ in range(20):
                await FallingEdge(dut.clk)
                assert dut.done.value == 0
                await RisingEdge(dut.clk)
            return cycle
    raise AssertionError("no done")


def expected(values):
    return [(BASE + 4 * number, value, 0xF) for number, value in enumerate(values)]


@cocotb.test()
async def nothing_unless_enabled(dut):
    _, memory = await begin(dut)
    slave = cocotb.start_soon(memory.write())
    assert await ends(dut, 1) == 0
    assert memory.written == []
    slave.cancel()


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.7])
async def words_are_there_when_done_comes(dut, stall):
    values, memory = await begin(dut, stall=stall)
    slave = cocotb.start_soon(memory.write())
    dut.enabled.value = 1
    for run in range(1, 4):
        waited = await ends(dut, 200)
        assert memory.written == run * expected(values)
        assert stall or waited == 2 * len(values) + 2
    slave.cancel()


@cocotb.test()
async def done_also_after_an_error(dut):
    values, memory = await begin(dut, bad=[BASE + 8])
    slave = cocotb.start_soon(memory.write())
    dut.enabled.value = 1
    await ends(dut, 200)
    assert memory.written == expected(values)
    slave.cancel()


@cocotb.test()
async def patience_has_an_end(dut):
    _, _ = await begin(dut)
    dut.enabled.value = 1
    assert parameters()["patience"] <= await ends(dut, parameters()["patience"] + 4)
