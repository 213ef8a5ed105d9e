"""Tokens follow from what instructions read and write."""

import numpy as np

from compiler.train.emit import Emitter, Region
from golden.isa.train import ISA, QUEUES

LD, MM, VEC = (1 << QUEUES.index(name) for name in ("LD", "MM", "VEC"))


def tokens(emitter):
    """(name, wait, release) of each instruction."""
    decoded = [ISA.decode(word) for word in emitter.words()]
    return [(fmt.name, fields["wait"], fields["release"]) for fmt, fields in decoded]


def memory(start, end):
    return [Region("memory", start, end)]


def test_a_queue_waits_for_another_one_once():
    emitter = Emitter()
    emitter.add("LDX", {}, writes=[Region("x", 0, 8)])
    emitter.add("LDX", {}, writes=[Region("x", 8, 16)])
    for _ in range(2):
        emitter.add("MM", {}, reads=[Region("x", 0, 16)], writes=memory(0, 4))
    emitter.add("LDX", {}, reads=memory(4, 5), writes=[Region("x", 15, 20)])
    assert tokens(emitter) == [("LDX", 0, 0), ("LDX", 0, MM), ("MM", LD, 0), ("MM", 0, LD), ("LDX", MM, 0),
                               ("HALT", 0, 0)]


def test_in_its_own_queue_it_waits_for_words_of_the_one_before():
    """Those that are on their way; one that only writes, or reads what an earlier one wrote, need not wait."""
    emitter = Emitter()
    emitter.add("VEC", {}, writes=memory(0, 8))
    emitter.add("VEC", {}, reads=memory(7, 9), writes=memory(20, 30))
    emitter.add("VEC", {}, reads=memory(0, 8), writes=memory(25, 26))
    assert tokens(emitter) == [("VEC", 0, VEC), ("VEC", VEC, 0), ("VEC", 0, 0), ("HALT", 0, 0)]


def test_tokens_are_those_that_a_look_at_every_instruction_before_finds():
    rng, emitter, waited = np.random.default_rng(5), Emitter(), {}
    for position in range(400):
        reads, writes = ([Region(place, start, start + size) for place, start, size in zip(
            rng.choice(["memory", "x"], count), rng.integers(0, 300, count).tolist(),
            rng.integers(1, 30, count).tolist(), strict=True)] for count in rng.integers(0, 3, 2))
        emitter.add(str(rng.choice(["LDX", "MM", "VEC", "UPD"])), {}, reads=reads, writes=writes)
        mine, expected = emitter.instructions[-1], set()
        for queue in range(4):
            for before in reversed(range(position)):
                other = emitter.instructions[before]
                if other.queue != queue:
                    continue
                found = any(a.meets(b) for a in mine.reads for b in other.writes)
                if queue != mine.queue:
                    found |= any(a.meets(b) for a in mine.writes for b in other.reads + other.writes)
                if found and before > waited.get((mine.queue, queue), -1):
                    expected.add(queue)
                    waited[mine.queue, queue] = before
                if found or queue == mine.queue:
                    break
        assert mine.waits == expected
