"""Masters that write at random through one port: the first one who has a word writes, words keep their order, answers
find who waits for them."""

import random
from collections import deque

import cocotb
from cocotb.triggers import FallingEdge, RisingEdge

from hw.fabric.answers import AnswerWatch
from tests.hw.harness import parameters, start, watchdog

WORDS = 300


async def play(dut, stall):
    """Cycles in which each master's words left."""
    masters, rng = range(parameters()["masters"]), random.Random(7)
    ports = {name: [getattr(dut, f"masters__{k}__{name}") for k in masters] for name in ("payload", "valid", "ready")}
    await start(dut, inputs={f"masters__{k}__valid": 0 for k in masters} | {"port__ready": 0, "port_answered": 0})
    sent, answers, waiting = [[] for _ in masters], [0 for _ in masters], deque()
    valid = [False for _ in masters]
    most = 0
    for cycle in range(20 * WORDS):
        for k in masters:
            valid[k] = len(sent[k]) < WORDS and (valid[k] or rng.random() >= stall)
            ports["valid"][k].value, ports["payload"][k].value = int(valid[k]), k << 12 | len(sent[k])
        answered = bool(waiting) and waiting[0][0] <= cycle and rng.random() >= stall
        dut.port_answered.value = int(answered)
        dut.port__ready.value = int(len(waiting) < AnswerWatch.OUTSTANDING and rng.random() >= stall)
        await FallingEdge(dut.clk)
        assert int(dut.answered.value) == (1 << waiting[0][1] if answered else 0)
        if answered:
            answers[waiting.popleft()[1]] += 1
        taken = [k for k in masters if valid[k] and int(ports["ready"][k].value)]
        assert len(taken) == int(int(dut.port__ready.value) and any(valid))
        assert taken in ([], [k for k in masters if valid[k]][:1])
        for k in taken:
            assert int(dut.port__valid.value) == 1
            assert int(dut.port__payload.value) == k << 12 | len(sent[k])
            sent[k].append(cycle)
            waiting.append((cycle + 25, k))
            valid[k] = False
        most = max(most, len(waiting))
        await RisingEdge(dut.clk)
        if answers == [WORDS for _ in masters]:
            return sent, most
    raise AssertionError(f"answers: {answers}")


@cocotb.test()
async def answers_find_their_words(dut):
    await watchdog(play(dut, 0.4), 20 * WORDS + 10)


@cocotb.test()
async def all_at_once(dut):
    """Whoever always has a word keeps the others waiting; as many words as may wait for answers do."""
    sent, most = await watchdog(play(dut, 0.0), 20 * WORDS + 10)
    assert most <= AnswerWatch.OUTSTANDING
    assert most >= 25
    together = sorted((cycle, k) for k, cycles in enumerate(sent) for cycle in cycles)
    assert [k for _, k in together] == [k for k in range(len(sent)) for _ in range(WORDS)]
