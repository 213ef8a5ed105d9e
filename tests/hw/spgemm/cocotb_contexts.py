"""Rows walk, finish and are gone at random: windows with a barrier between them, or rows that follow each other."""

import random

import cocotb
from cocotb.triggers import FallingEdge, RisingEdge, Timer

from golden.spgemm.params import SpgemmParams
from hw.spgemm.layouts import SERIAL_BITS
from tests.hw.harness import parameters, start, watchdog

INPUTS = dict.fromkeys(("set_regions", "regions", "take", "finished", "finished_context", "finished_regions", "apart",
                        "last", "over"), 0)  # fmt: skip
LAST_SERIAL = (1 << SERIAL_BITS) - 1


class Player:
    """The units around a ContextRing. A row finishes up to `walks` cycles after it begins, and is gone up to `stays`
    cycles after that. `pauses`: how often nothing more comes for a while. `windows`: rows of each that is over.
    """

    def __init__(self, dut, *, apart, seed=0, walks=20, stays=10, takes=0.7, pauses=0.01):
        self.dut, self.p, self.apart = dut, SpgemmParams(**parameters()["params"]), apart
        self.rng, self.walks, self.stays, self.takes, self.pauses = random.Random(seed), walks, stays, takes, pauses
        self.walking, self.gone_at = [], []  # rows that walk; when those that have finished will be gone
        self.of_window, self.rows_of_window, self.windows, self.skipped = set(), 0, [], set()
        self.now = self.pause = self.size = self.base = self.count = 0
        self.serial, self.must_end = parameters()["first_serial"], False

    async def play(self, rows):
        self.dut.apart.value = int(self.apart)
        target = self.count + rows
        while self.count < target or self.walking or self.gone_at or (self.apart and self.rows_of_window):
            await self.cycle(self.count < target)

    async def cycle(self, comes):
        dut, rng, p = self.dut, self.rng, self.p
        if not self.pause and rng.random() < self.pauses:
            self.pause = rng.randrange(1, 40)
        comes = comes and not self.pause
        self.pause = max(0, self.pause - 1)
        size = rng.randrange(p.contexts.bit_length()) if comes and rng.random() < 0.05 else None
        dut.set_regions.value, dut.regions.value = int(size is not None), size or 0
        dut.last.value = int(not comes)
        self.gone_at = [time for time in self.gone_at if time > self.now]
        over = not self.gone_at and (not self.walking or rng.random() < 0.5)
        dut.over.value = int(over)
        done = next((row for row in self.walking if row[2] <= self.now), None)
        dut.finished.value = int(done is not None)
        dut.finished_context.value, dut.finished_regions.value = done[:2] if done else (0, 0)
        dut.take.value = 0
        await Timer(1, unit="ns")
        dut.take.value = taken = int(comes and size is None and rng.random() < self.takes and int(dut.free.value))
        await FallingEdge(dut.clk)
        self.watch(taken, comes)
        closed = int(dut.closed.value)
        await RisingEdge(dut.clk)
        self.now += 1
        if done:
            self.walking.remove(done)
            self.gone_at.append(self.now + rng.randint(0, self.stays))
        if size is not None:
            before, self.size = self.base, size
            self.base = (before + (1 << size) - 1 >> size << size) % p.contexts
            if before != self.base:
                self.skipped |= set(range(before >> size << size, (before >> size) + 1 << size))
        if taken:
            self.walking.append((self.base, self.size, self.now + rng.randint(0, self.walks)))
            self.of_window |= self.group()
            self.skipped = set()
            self.base = (self.base + (1 << self.size)) % p.contexts
            self.rows_of_window, self.count, self.serial = self.rows_of_window + 1, self.count + 1, self.serial + 1
        if closed and over:
            self.windows.append(self.rows_of_window)
            self.of_window, self.rows_of_window, self.must_end = set(), 0, False
            self.serial = 1 if self.serial > LAST_SERIAL else self.serial

    def group(self):
        return set(range(self.base, self.base + (1 << self.size)))

    def watch(self, taken, comes):
        """Before the edge."""
        closed = int(self.dut.closed.value)
        spent = self.serial > LAST_SERIAL
        blocked = self.of_window & (self.group() | self.skipped)
        full = bool(self.apart and self.rows_of_window and (blocked or not comes)) or spent
        if taken:
            assert int(self.dut.context.value) == self.base
            assert not spent, "no serial is left"
            assert not closed
            walking = {context for at, size, _ in self.walking for context in range(at, at + (1 << size))}
            assert not (self.of_window if self.apart else walking) & self.group()
        if closed:
            assert not self.walking
            assert self.must_end, "a window ends though there is a place for the next row"
        self.must_end |= full


@cocotb.test()
@cocotb.parametrize(
    (("walks", "stays", "takes", "pauses"),
     [(0, 0, 1.0, 0.0), (60, 1, 0.7, 0.01), (5, 60, 1.0, 0.0), (20, 10, 0.1, 0.05), (200, 30, 0.9, 0.0)])
)  # fmt: skip
async def windows(dut, walks, stays, takes, pauses):
    """Over the end of the serials, which ends one."""
    await start(dut, inputs=INPUTS)
    player = Player(dut, apart=True, seed=walks, walks=walks, stays=stays, takes=takes, pauses=pauses)
    await watchdog(player.play(300), 200_000)
    assert sum(player.windows) == 300
    assert max(player.windows) > 1


@cocotb.test()
async def a_window_takes_all_contexts(dut):
    """If rows come as fast as they may, and want one each; the first serials end one of them."""
    await start(dut, inputs=INPUTS)
    player = Player(dut, apart=True, takes=1.0, pauses=0)
    player.rng.random = lambda: 0.5  # no new size
    contexts = player.p.contexts
    before = (LAST_SERIAL + 1 - parameters()["first_serial"]) % contexts
    await watchdog(player.play(300), 100_000)
    whole = [rows for rows in player.windows[:-1] if rows != contexts]
    assert whole == [before] * bool(before)


@cocotb.test()
@cocotb.parametrize(walks=[0, 100])
async def serials_end(dut, walks):
    """Rows that follow each other wait once, until all are gone."""
    await start(dut, inputs=INPUTS)
    player = Player(dut, apart=False, walks=walks, stays=30)
    await watchdog(player.play(300), 50_000)
    assert player.windows == [LAST_SERIAL + 1 - parameters()["first_serial"]]


@cocotb.test()
async def modes_in_turn(dut):
    await start(dut, inputs=INPUTS)
    player = Player(dut, apart=False, stays=30)
    for turn in range(6):
        player.apart = bool(turn % 2)
        player.windows.clear()
        await watchdog(player.play(100), 50_000)
        player.of_window, player.rows_of_window, player.must_end = set(), 0, False
        assert len(player.windows) > 5 if player.apart else len(player.windows) <= 1
