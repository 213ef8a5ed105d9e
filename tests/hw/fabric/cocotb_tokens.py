"""Counters of tokens, queues that wait and release, and the end of an instruction."""

import random
from collections import deque

import cocotb
from cocotb.triggers import FallingEdge, ReadOnly, RisingEdge

from hw.fabric.tokens import TokenTable
from tests.hw.fabric.fabric_bench import ORDER, QUEUES
from tests.hw.harness import StreamSource, start, watchdog

MASKS = 1 << QUEUES


def table_ports(dut, name):
    return [getattr(dut, f"table__{name}__{q}") for q in range(QUEUES)]


def idle_inputs(dut):
    inputs = {f"table__{name}__{q}": 0 for name in ("take", "release") for q in range(QUEUES)}
    for queue in ("one", "two"):
        inputs |= {f"{queue}__{name}": 0 for name in ("wait", "release", "available", "accept", "finished")}
        inputs |= {f"{queue}__i__valid": 0}
    return inputs | {"order__taken": 0, "order__kind": 0, "order__through": 0}


@cocotb.test()
async def table_counts(dut):
    """Random releases, and takes of what is there, up to the largest count and back to none."""
    await start(dut, inputs=idle_inputs(dut))
    rng = random.Random(1)
    take, release, available = (table_ports(dut, name) for name in ("take", "release", "available"))
    counts = [[0] * QUEUES for _ in range(QUEUES)]  # [source][destination]
    most = (1 << TokenTable.BITS) - 1
    for cycle in range(4000):
        rising = (cycle // 200) % 2 == 0
        masks = {"take": [0] * QUEUES, "release": [0] * QUEUES}
        for source in range(QUEUES):
            for destination in range(QUEUES):
                down = counts[source][destination] > 0 and rng.random() < (0.2 if rising else 0.9)
                up = counts[source][destination] + 1 - down <= most and rng.random() < (0.9 if rising else 0.2)
                masks["take"][destination] |= down << source
                masks["release"][source] |= up << destination
                counts[source][destination] += up - down
        for q in range(QUEUES):
            take[q].value, release[q].value = masks["take"][q], masks["release"][q]
        await RisingEdge(dut.clk)
        for q in range(QUEUES):
            take[q].value = release[q].value = 0
        await FallingEdge(dut.clk)
        for q in range(QUEUES):
            expected = sum((counts[source][q] > 0) << source for source in range(QUEUES))
            assert int(available[q].value) == expected, f"cycle {cycle}, queue {q}"
        assert dut.table__error.value == 0, f"cycle {cycle}"


@cocotb.test()
async def table_overflow_is_an_error(dut):
    await start(dut, inputs=idle_inputs(dut))
    release, take = table_ports(dut, "release")[1], table_ports(dut, "take")[2]
    release.value = 1 << 2
    for _ in range((1 << TokenTable.BITS) - 1):
        await RisingEdge(dut.clk)
    take.value = 1 << 1  # one in, one out: full, no overflow
    await RisingEdge(dut.clk)
    take.value = 0
    await FallingEdge(dut.clk)
    assert dut.table__error.value == 0
    await RisingEdge(dut.clk)
    release.value = 0
    for _ in range(3):
        await FallingEdge(dut.clk)
        assert dut.table__error.value == 1
        await RisingEdge(dut.clk)


class QueueModel:
    """Plays unit and token table beside a queue; checks order, tokens and how many run at once."""

    def __init__(self, dut, name, overlap, seed, stall):
        self.dut, self.name, self.overlap, self.stall = dut, name, overlap, stall
        self.rng = random.Random(f"{seed}-{name}")
        self.tokens = [0] * QUEUES
        self.running, self.taken, self.given = deque(), [], []

    def port(self, name):
        return getattr(self.dut, f"{self.name}__{name}")

    async def run(self, words):
        clk = self.dut.clk
        age = deque()
        while len(self.given) < len(words):
            for source in range(QUEUES):
                self.tokens[source] += self.rng.random() < (0.2 if self.stall else 1)
            accept = self.rng.random() >= self.stall
            finish = bool(self.running) and age[0] >= 1 and self.rng.random() >= self.stall
            self.port("available").value = sum((count > 0) << i for i, count in enumerate(self.tokens))
            self.port("accept").value, self.port("finished").value = int(accept), int(finish)
            await FallingEdge(clk)
            head = int(self.port("head").value)
            wait, release = head % MASKS, head // MASKS % MASKS
            self.port("wait").value, self.port("release").value = wait, release  # as the engine cuts them
            await ReadOnly()
            go, take = int(self.port("go").value), int(self.port("take").value)
            give = int(self.port("give").value)
            ahead, stalled = int(self.port("ahead").value), int(self.port("stalled").value)
            assert ahead == (go or stalled), f"{self.name}: ahead {ahead}, go {go}, stalled {stalled}"
            if ahead:
                assert len(self.running) < self.overlap, f"{self.name}: {len(self.running)} run already"
                assert head == words[len(self.taken)], f"{self.name}: instruction {len(self.taken)} is ahead"
            if go and accept:
                assert len(self.running) < self.overlap, f"{self.name}: {len(self.running)} run already"
                assert head == words[len(self.taken)], f"{self.name}: instruction {len(self.taken)}"
                assert take == wait, f"{self.name}: takes {take:b}, waits for {wait:b}"
                assert all(self.tokens[i] for i in range(QUEUES) if wait >> i & 1), f"{self.name}: no token"
            else:
                assert take == 0, f"{self.name}: takes without starting"
            if stalled:
                assert any(not self.tokens[i] for i in range(QUEUES) if wait >> i & 1), f"{self.name}: stalled"
            assert give == (self.running[0] if finish else 0), f"{self.name}: gives {give:b}"
            assert self.port("idle").value == 0 or not self.running
            await RisingEdge(clk)
            age = deque(cycles + 1 for cycles in age)
            if finish:
                self.given.append(self.running.popleft())
                age.popleft()
            if go and accept:
                for i in range(QUEUES):
                    self.tokens[i] -= wait >> i & 1
                self.taken.append(head)
                self.running.append(release)
                age.append(0)
        self.port("accept").value = self.port("finished").value = 0
        await FallingEdge(clk)
        assert self.port("idle").value == 1
        await RisingEdge(clk)


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.5])
async def queues_start_in_order_and_release_at_the_end(dut, stall):
    await start(dut, inputs=idle_inputs(dut))
    for name, overlap in (("one", 1), ("two", 2)):
        rng = random.Random(f"{name}-words")
        words = [rng.randrange(1 << 16) for _ in range(400)]
        model = QueueModel(dut, name, overlap, 5, stall)
        source = cocotb.start_soon(StreamSource(dut, f"{name}__i", seed=6, stall=stall / 2).send(words))
        await watchdog(model.run(words), 20_000)
        await source
        assert model.given == [word // MASKS % MASKS for word in words]


@cocotb.test()
async def overlapping_queue_starts_before_the_end(dut):
    """Two instructions run at once where overlap allows it, and not where it does not."""
    await start(dut, inputs=idle_inputs(dut))
    for name, most in (("one", 1), ("two", 2)):
        await StreamSource(dut, f"{name}__i").send([0, 0, 0])
        getattr(dut, f"{name}__accept").value = 1
        started = 0
        for _ in range(20):
            await FallingEdge(dut.clk)
            started += int(getattr(dut, f"{name}__go").value)
            await RisingEdge(dut.clk)
        assert started == most
        assert getattr(dut, f"{name}__ahead").value == 0
        assert getattr(dut, f"{name}__stalled").value == 0, "waits for the unit, not for tokens"
        assert getattr(dut, f"{name}__idle").value == 0


@cocotb.test()
async def finish_order(dut):
    """Kinds overtake each other; the strobes come in the order of the starts, at once when the oldest is through."""
    await start(dut, inputs=idle_inputs(dut))
    rng = random.Random(2)
    under_way, through, left, late = deque(), [0] * ORDER["kinds"], 200, 0
    while left or under_way:
        take = left > 0 and len(under_way) < ORDER["depth"] and rng.random() < 0.5
        kind = rng.randrange(ORDER["kinds"])
        dut.order__taken.value, dut.order__kind.value = int(take), kind
        strobes = [rng.random() < 0.2 and under_way.count(k) > through[k] for k in range(ORDER["kinds"])]
        dut.order__through.value = sum(int(strobe) << k for k, strobe in enumerate(strobes))
        await FallingEdge(dut.clk)
        oldest_is_through = bool(under_way) and through[under_way[0]] > 0
        assert dut.order__finished.value == int(oldest_is_through)
        assert dut.order__busy.value == int(len(under_way) > oldest_is_through)
        assert dut.order__room.value == int(len(under_way) < ORDER["depth"])
        late += any(through) and not oldest_is_through
        await RisingEdge(dut.clk)
        if oldest_is_through:
            through[under_way.popleft()] -= 1
        if take:
            under_way.append(kind)
            left -= 1
        through = [count + strobe for count, strobe in zip(through, strobes, strict=True)]
    assert late > 20, "some were through before the oldest"


@cocotb.test()
async def head_is_ahead_of_its_tokens(dut):
    await start(dut, inputs=idle_inputs(dut))
    await StreamSource(dut, "one__i").send([5, 6])
    dut.one__accept.value = 1
    for head, wait in ((5, 1), (6, 2)):
        dut.one__wait.value, dut.one__available.value = wait, 0
        for _ in range(10):
            await FallingEdge(dut.clk)
            assert (dut.one__ahead.value, dut.one__go.value, int(dut.one__head.value)) == (1, 0, head)
            await RisingEdge(dut.clk)
        dut.one__available.value = wait
        await FallingEdge(dut.clk)
        assert (dut.one__ahead.value, dut.one__go.value) == (1, 1)
        await RisingEdge(dut.clk)
        await FallingEdge(dut.clk)
        assert dut.one__ahead.value == 0, "the unit takes no other"
        await RisingEdge(dut.clk)
        dut.one__finished.value = 1
        await RisingEdge(dut.clk)
        dut.one__finished.value = 0
