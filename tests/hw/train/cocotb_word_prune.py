"""Words of all patterns against `golden.train.prune`, each word with another pattern than the one before."""

import random

import cocotb
import numpy as np
from cocotb.triggers import FallingEdge, RisingEdge

from golden.train.params import GROUP
from golden.train.prune import expand, prune
from hw.train.word_prune import WordPrune
from tests.hw.harness import parameters, start
from tests.hw.train.prune_bench import ALL, blocks, code, packed

EACH = 70


@cocotb.test()
async def a_word_a_cycle(dut):
    rng, groups = random.Random(5), parameters()["axi_bits"] // 16 // GROUP
    await start(dut, inputs={"word": 0, "pattern": 0})
    rows = [row for block in blocks(rng, 2 * EACH * groups) for row in block]
    rng.shuffle(rows)
    patterns = [rng.choice(ALL) for _ in range(len(rows) // groups)]
    sent = [[number for row in rows[at * groups : (at + 1) * groups] for number in row] for at in range(len(patterns))]
    want = [packed(expand(*prune(np.array(word), *pattern)), 16) for word, pattern in zip(sent, patterns, strict=True)]
    assert len({*patterns}) == len(ALL)
    for cycle in range(len(sent) + WordPrune.LATENCY):
        if cycle < len(sent):
            dut.word.value, dut.pattern.value = packed(sent[cycle], 16), code(patterns[cycle])
        await FallingEdge(dut.clk)
        if cycle >= WordPrune.LATENCY:
            assert int(dut.o.value) == want[cycle - WordPrune.LATENCY], patterns[cycle - WordPrune.LATENCY]
        await RisingEdge(dut.clk)
