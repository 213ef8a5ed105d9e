"""cocotb side of `test_register_slice.py`."""

import cocotb
from cocotb.triggers import FallingEdge, RisingEdge

from hw.fabric.register_slice import RegisterSlice
from tests.hw import harness

IDLE = {"i__valid": 0, "i__payload": 0, "o__ready": 0}


@cocotb.test()
async def passes_in_order(dut):
    parameters = harness.parameters()
    await harness.start(dut, inputs=IDLE)
    values = [(k * 37 + 1) % 4096 for k in range(parameters["count"])]
    taken = await harness.exchange(dut, sends={"i": values}, receives={"o": len(values)}, seed=parameters["seed"],
                                   stall=parameters["stall"], max_cycles=20 * len(values))
    assert taken == {"o": values}


@cocotb.test()
async def one_word_a_cycle(dut):
    await harness.start(dut, inputs=IDLE)
    dut.o__ready.value, dut.i__valid.value = 1, 1
    for number in range(20):
        dut.i__payload.value = number
        await FallingEdge(dut.clk)
        assert dut.i__ready.value == 1
        assert dut.o__valid.value == int(number >= RegisterSlice.LATENCY)
        if number >= RegisterSlice.LATENCY:
            assert dut.o__payload.value == number - RegisterSlice.LATENCY
        await RisingEdge(dut.clk)


@cocotb.test()
async def takes_two_words_and_then_none(dut):
    """Neither side sees the other in the same cycle."""
    await harness.start(dut, inputs=IDLE)
    dut.i__valid.value = 1
    for ready in (1, 1, 0, 0):
        await FallingEdge(dut.clk)
        assert dut.i__ready.value == ready
        await RisingEdge(dut.clk)
    dut.o__ready.value = 1
    for ready in (0, 1, 1):
        await FallingEdge(dut.clk)
        assert dut.i__ready.value == ready
        await RisingEdge(dut.clk)
