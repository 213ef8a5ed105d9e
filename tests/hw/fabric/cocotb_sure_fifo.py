"""Random writes, no more than there is room for, and reads: what a deque would give."""

import random
from collections import deque

import cocotb
from cocotb.triggers import FallingEdge, RisingEdge

from tests.hw.harness import parameters, start


@cocotb.test()
@cocotb.parametrize((("writes", "reads"), [(1.0, 1.0), (0.9, 0.3), (0.3, 0.9), (0.5, 0.5)]))
async def random_words(dut, writes, reads):
    await start(dut, inputs={"w_en": 0, "r_en": 0, "w_data": 0})
    depth, width, margin = (parameters()[name] for name in ("depth", "width", "margin"))
    rng, words, most, before, full = random.Random(f"{writes}-{reads}"), deque(), 0, 0, 0
    for _ in range(1000):
        takes = rng.random() < reads
        comes = rng.random() < writes and len(words) < depth + (takes and bool(words))
        word = rng.getrandbits(width)
        dut.w_en.value, dut.w_data.value, dut.r_en.value = int(comes), word, int(takes)
        await FallingEdge(dut.clk)
        assert int(dut.r_rdy.value) == bool(words)
        assert not words or int(dut.r_data.value) == words[0]
        assert int(dut.room.value) == (before + margin <= depth)
        before, full = len(words), full + (before + margin > depth)
        await RisingEdge(dut.clk)
        if takes and words:
            words.popleft()
        if comes:
            words.append(word)
        most = max(most, len(words))
    assert most == depth or writes <= reads
    assert full or margin == 1 or writes <= reads
