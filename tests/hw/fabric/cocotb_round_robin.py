"""The grants of a RoundRobin are a model's, at random and when all ask at once."""

import random

import cocotb
from cocotb.triggers import FallingEdge, RisingEdge

from tests.hw.harness import parameters, start

INPUTS = {"requests": 0, "take": 0}


class Model:
    def __init__(self):
        self.count, self.last = parameters()["count"], parameters()["count"] - 1

    def grant(self, requests):
        """Number of the next one behind the last that asks, or None."""
        around = [(self.last + step) % self.count for step in range(1, self.count + 1)]
        return next((number for number in around if requests >> number & 1), None)


async def cycle(dut, model, requests, take):
    """The grant, which is the model's."""
    dut.requests.value, dut.take.value = requests, int(take)
    await FallingEdge(dut.clk)
    granted = model.grant(requests)
    assert int(dut.grant.value) == (0 if granted is None else 1 << granted)
    await RisingEdge(dut.clk)
    if take:
        model.last = model.count - 1 if granted is None else granted
    return granted


@cocotb.test()
@cocotb.parametrize((("asks", "takes"), [(0.1, 1.0), (0.5, 1.0), (0.5, 0.5), (0.9, 0.3)]))
async def random_requests(dut, asks, takes):
    """Who asks does so until it is taken, or gives up."""
    await start(dut, inputs=INPUTS)
    model, rng, requests = Model(), random.Random(f"{asks}-{takes}"), 0
    for _ in range(1000):
        requests |= sum(int(rng.random() < asks) << number for number in range(model.count))
        taken = rng.random() < takes
        granted = await cycle(dut, model, requests, taken)
        if taken and granted is not None:
            requests &= ~(1 << granted)
        if rng.random() < 0.05:
            requests &= rng.randrange(1 << model.count)


@cocotb.test()
async def everyone_has_a_turn(dut):
    """In a round if all ask, in each cycle; who asks alone is granted in each cycle."""
    await start(dut, inputs=INPUTS)
    model = Model()
    everyone = (1 << model.count) - 1
    for _ in range(5):
        assert [await cycle(dut, model, everyone, True) for _ in range(model.count)] == list(range(model.count))
    for number in range(model.count):
        assert [await cycle(dut, model, 1 << number, True) for _ in range(5)] == [number] * 5


@cocotb.test()
async def nobody_waits_longer_than_the_others_turns(dut):
    await start(dut, inputs=INPUTS)
    model, rng = Model(), random.Random(2)
    waited = [0] * model.count
    requests = 0
    for _ in range(1000):
        requests |= rng.randrange(1 << model.count)
        granted = await cycle(dut, model, requests, True)
        waited = [at + 1 if requests >> number & 1 and number != granted else 0 for number, at in enumerate(waited)]
        assert max(waited) < model.count
        if granted is not None:
            requests &= ~(1 << granted)
