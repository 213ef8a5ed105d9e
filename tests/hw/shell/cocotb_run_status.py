"""Every way in which a run ends, once, and what does not end it."""

import cocotb
from cocotb.triggers import FallingEdge, RisingEdge

from golden.execution import ERROR_CODES, HALTED
from tests.hw.harness import parameters, start

INPUTS = dict.fromkeys(("start", "halted", "code", "errors", "moving"), 0)


async def begin(dut, **inputs):
    await start(dut, inputs=INPUTS | inputs)
    dut.start.value = 1
    await RisingEdge(dut.clk)
    dut.start.value = 0


async def ends(dut, most):
    """(cycles until `done`, status a cycle later, cycles in which the run was on)."""
    running = 0
    for cycle in range(most):
        await FallingEdge(dut.clk)
        running += int(dut.running.value)
        assert int(dut.status.value) == 0
        done = int(dut.done.value)
        await RisingEdge(dut.clk)
        if done:
            await FallingEdge(dut.clk)
            assert (int(dut.done.value), int(dut.running.value)) == (0, 0)
            return cycle, int(dut.status.value), running
    raise AssertionError("the run goes on")


@cocotb.test()
async def halt(dut):
    await begin(dut)
    dut.moving.value = 1
    for _ in range(3 * parameters()["still"]):
        await RisingEdge(dut.clk)
    dut.halted.value, dut.code.value = 1, 0x5A
    cycle, status, _ = await ends(dut, 3)
    assert (cycle, status) == (0, HALTED + 0x5A)
    for _ in range(2):  # its status stays
        await RisingEdge(dut.clk)
    assert int(dut.status.value) == HALTED + 0x5A


@cocotb.test()
async def errors(dut):
    """Each one, and the last one of several; also with a halt."""
    names = parameters()["errors"]
    for mask in range(1, 1 << len(names)):
        for halted in (0, 1):
            await begin(dut, moving=1)
            for _ in range(5):
                await RisingEdge(dut.clk)
            dut.errors.value, dut.halted.value = mask, halted
            _, status, _ = await ends(dut, 3)
            assert status == ERROR_CODES[names[mask.bit_length() - 1]]


@cocotb.test()
async def what_is_left_of_the_run_before(dut):
    """Flags that fall in the two cycles behind the start do not count."""
    await begin(dut, moving=1, halted=1, errors=1)
    for _ in range(2):
        await FallingEdge(dut.clk)
        assert (int(dut.done.value), int(dut.running.value)) == (0, 1)
        await RisingEdge(dut.clk)
    dut.halted.value, dut.errors.value = 0, 0
    for _ in range(10):
        await FallingEdge(dut.clk)
        assert int(dut.done.value) == 0
        await RisingEdge(dut.clk)
    dut.halted.value = 1
    _, status, running = await ends(dut, 3)
    assert status == HALTED
    assert running == 1


@cocotb.test()
async def nothing_moves(dut):
    still = parameters()["still"]
    await begin(dut, moving=1)
    for _ in range(5):
        await RisingEdge(dut.clk)
    dut.moving.value = 0
    for _ in range(still - 2):  # nearly long enough
        await FallingEdge(dut.clk)
        assert int(dut.done.value) == 0
        await RisingEdge(dut.clk)
    dut.moving.value = 1
    await RisingEdge(dut.clk)
    dut.moving.value = 0
    cycle, status, _ = await ends(dut, 2 * still)
    assert (cycle, status) == (still, ERROR_CODES["timeout"])
