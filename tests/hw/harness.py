"""cocotb helpers: clock and reset, stream sources and sinks with random stalls, a watchdog.

Timing convention: inputs are driven just after the rising edge, outputs are read at the falling edge, when
combinational paths have settled; what is seen there is what the next rising edge acts on.
"""

import json
import os
import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, RisingEdge, SimTimeoutError, with_timeout

from tests.hw.runner import PARAMETERS_VARIABLE

PERIOD_NS = 10


def parameters():
    """The `parameters` given to `run_cocotb`."""
    return json.loads(os.environ[PARAMETERS_VARIABLE])


async def start(dut, *, inputs=None):
    """Start the clock, then `reset`. A design without `rst` port is not reset."""
    Clock(dut.clk, PERIOD_NS, unit="ns").start()
    await reset(dut, inputs=inputs)


async def reset(dut, *, inputs=None, cycles=3):
    """Drive `inputs` (name to value; stream valids and readies should be among them) and reset.

    Returns just after the first rising edge with `rst` low.
    """
    for name, value in (inputs or {}).items():
        getattr(dut, name).value = value
    rst = getattr(dut, "rst", None)
    if rst is not None:
        rst.value = 1
    for _ in range(cycles):
        await RisingEdge(dut.clk)
    if rst is not None:
        rst.value = 0
    await RisingEdge(dut.clk)


async def watchdog(coroutine, max_cycles):
    """Await `coroutine`; fail the test when it takes more than `max_cycles` clock cycles."""
    task = cocotb.start_soon(coroutine)
    try:
        return await with_timeout(task, max_cycles * PERIOD_NS, "ns")
    except SimTimeoutError:
        task.cancel()
        raise AssertionError(f"hung: not done after {max_cycles} cycles") from None


class StreamSource:
    """Drives `<name>__payload/__valid/__ready`; `await send(values)` returns when the last one was taken.

    With probability `stall`, drawn before each value and again every cycle, `valid` stays low for a cycle.
    """

    def __init__(self, dut, name, *, seed=0, stall=0.0):
        self.clk = dut.clk
        self.payload, self.valid, self.ready = (_signal(dut, name, part) for part in ("payload", "valid", "ready"))
        self.random, self.stall = random.Random(f"{seed}-{name}-source"), stall
        self.valid.value = 0

    async def send(self, values):
        for value in values:
            while self.stall and self.random.random() < self.stall:
                await RisingEdge(self.clk)
            self.payload.value, self.valid.value = int(value), 1
            while True:
                await FallingEdge(self.clk)
                taken = _is_set(self.ready)
                await RisingEdge(self.clk)
                if taken:
                    break
            self.valid.value = 0


class StreamSink:
    """Takes from `<name>__payload/__valid/__ready`; `await receive(count)` returns the payloads as integers.

    Also checks the stream rules: once `valid`, the payload neither changes nor is withdrawn before `ready`.
    """

    def __init__(self, dut, name, *, seed=0, stall=0.0):
        self.clk, self.name = dut.clk, name
        self.payload, self.valid, self.ready = (_signal(dut, name, part) for part in ("payload", "valid", "ready"))
        self.random, self.stall = random.Random(f"{seed}-{name}-sink"), stall
        self.waiting = None  # payload that was offered and not yet taken
        self.ready.value = 0

    async def receive(self, count):
        taken = []
        while len(taken) < count:
            ready = not (self.stall and self.random.random() < self.stall)
            self.ready.value = int(ready)
            await FallingEdge(self.clk)
            if _is_set(self.valid):
                value = int(self.payload.value)
                assert self.waiting in (None, value), f"{self.name}: payload changed while valid and not ready"
                self.waiting = None if ready else value
                if ready:
                    taken.append(value)
            else:
                assert self.waiting is None, f"{self.name}: valid withdrawn before ready"
            await RisingEdge(self.clk)
        self.ready.value = 0
        return taken


async def exchange(dut, *, sends, receives, seed=0, stall=0.0, max_cycles=100_000):
    """Run sources and sinks at the same time: `sends` name to values, `receives` name to count.

    Returns name to list of payloads. A stream that does not finish within `max_cycles` fails the test.
    """
    async def run():
        tasks = [cocotb.start_soon(StreamSource(dut, name, seed=seed, stall=stall).send(values))
                 for name, values in sends.items()]
        sinks = {name: cocotb.start_soon(StreamSink(dut, name, seed=seed, stall=stall).receive(count))
                 for name, count in receives.items()}
        for task in tasks:
            await task
        return {name: await task for name, task in sinks.items()}
    return await watchdog(run(), max_cycles)


async def clocked_vectors(dut, inputs, output, *, latency, seed=0, stall=0.0):
    """Feed a fixed-latency pipe with `ce`: one vector each enabled cycle; returns what came out for each.

    `inputs`: port name to equally long lists of integers; `output`: port name. Every vector is applied for
    exactly one cycle with `ce` high; with probability `stall` a cycle has `ce` low and unrelated inputs.
    """
    rng = random.Random(f"{seed}-ce")
    names, rows = list(inputs), list(zip(*inputs.values(), strict=True))
    handles, result = [getattr(dut, name) for name in names], []
    enabled = 0
    while len(result) < len(rows):
        stalled = bool(stall) and rng.random() < stall
        row = rows[(enabled * 7 + 3) % len(rows)] if stalled else rows[min(enabled, len(rows) - 1)]
        for handle, value in zip(handles, row, strict=True):
            handle.value = value
        dut.ce.value = int(not stalled)
        await FallingEdge(dut.clk)
        if not stalled:
            if enabled >= latency:
                result.append(int(getattr(dut, output).value))
            enabled += 1
        await RisingEdge(dut.clk)
    return result


def _signal(dut, name, part):
    return getattr(dut, f"{name}__{part}", None)


def _is_set(handle):
    return handle is None or int(handle.value) == 1  # a constant valid or ready has no port
