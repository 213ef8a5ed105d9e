"""cocotb side of `test_harness.py`."""

import cocotb

from tests.hw import harness


@cocotb.test()
async def passes(dut):
    """A stream of numbers through a register, all in order."""
    parameters = harness.parameters()
    await harness.start(dut, inputs={"i__valid": 0, "i__payload": 0, "o__ready": 0})
    values = [(k * 37) % 256 for k in range(parameters["count"])]
    taken = await harness.exchange(dut, sends={"i": values}, receives={"o": len(values)}, seed=parameters["seed"],
                                   stall=parameters["stall"], max_cycles=20 * len(values))
    assert taken == {"o": values}


@cocotb.test()
async def waits_for_one_too_many(dut):
    await harness.start(dut, inputs={"i__valid": 0, "i__payload": 0, "o__ready": 0})
    await harness.exchange(dut, sends={"i": [1, 2]}, receives={"o": 3}, max_cycles=100)
