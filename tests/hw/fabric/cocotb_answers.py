"""Instructions write, responses come: when the watch says that one has finished."""

import random
from collections import deque

import cocotb
from cocotb.triggers import FallingEdge, RisingEdge

from hw.fabric.answers import AnswerWatch
from tests.hw.fabric.fabric_bench import ANSWERS
from tests.hw.harness import start, watchdog

PORTS = range(ANSWERS["ports"])


@cocotb.test()
@cocotb.parametrize(rate=[0.05, 0.3, 1.0])
async def finished_when_answered(dut, rate):
    """Some ports answer late: in order, never too early, and two cycles after it is the oldest and answered."""
    await start(dut, inputs={f"answers__{name}": 0 for name in ("sent", "answered", "close")})
    rng = random.Random(f"answers {rate}")
    in_flight = [deque() for _ in PORTS]  # the instruction of each write
    waiting = deque()  # closed instructions
    current = {}  # writes of each instruction that are not answered

    async def run():
        number = finished = cycle = since = 0  # since: the oldest closed instruction is the oldest, and answered
        while finished < 100:
            sent = [p for p in PORTS if len(in_flight[p]) < AnswerWatch.OUTSTANDING and rng.random() < 0.3]
            answered = [p for p in PORTS if in_flight[p] and rng.random() < rate * (p + 1) / len(PORTS)]
            close = not sent and len(waiting) < ANSWERS["depth"] and rng.random() < 0.3
            dut.answers__sent.value = sum(1 << p for p in sent)
            dut.answers__answered.value = sum(1 << p for p in answered)
            dut.answers__close.value = int(close)
            await FallingEdge(dut.clk)
            assert int(dut.answers__room.value) == (len(waiting) < ANSWERS["depth"])
            assert int(dut.answers__busy.value) == (len(waiting) > 0)
            if int(dut.answers__finished.value):
                done = waiting.popleft()
                assert current.pop(done) == 0, f"instruction {done} has writes that are not answered"
                assert cycle - since <= 2, f"instruction {done} finished {cycle - since} cycles late"
                finished, since = finished + 1, cycle
            for p in answered:
                owner = in_flight[p].popleft()
                current[owner] -= 1
                if waiting and owner == waiting[0]:
                    since = cycle
            for p in sent:
                in_flight[p].append(number)
                current[number] = current.get(number, 0) + 1
            if close:
                current.setdefault(number, 0)
                since = since if waiting else cycle
                waiting.append(number)
                number += 1
            await RisingEdge(dut.clk)
            cycle += 1

    await watchdog(run(), 100_000)
