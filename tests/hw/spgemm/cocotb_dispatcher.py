"""Programs from memory to row engines that take chunks when they like."""

import random

import cocotb
import numpy as np
from cocotb.triggers import FallingEdge, RisingEdge

from golden.isa.spgemm import ISA
from hw.spgemm.layouts import chunk_layout
from tests.hw.harness import StreamSource, start, watchdog
from tests.hw.packing import unpacked
from tests.hw.spgemm.bench import shape_params

SET = ("SET", {"hash": 2, "shift": 21, "scan": 1, "apart": 1, "uncached": 1, "b": 3, "c": 1 << 31, "n": 77})
MODES = ("scan", "apart", "uncached")
HALT = ("HALT", {"code": 5})


class Bench:
    """A dispatcher between a memory and row engines. `taken`: (engine, chunk) in order."""

    def __init__(self, dut, p, rng, stall):
        self.dut, self.p, self.rng, self.stall = dut, p, rng, stall
        self.taken, self.flushes = [], 0

    async def begin(self):
        inputs = {"start": 0, "words": 0, "program__valid": 0, "idle": 0, "flushed": 0}
        inputs |= {f"chunks__{number}__ready": 0 for number in range(self.p.engines)}
        await start(self.dut, inputs=inputs)

    async def run(self, program, words=None):
        """Until it halts or fails."""
        dut, per_word = self.dut, self.p.axi_bits // ISA.bits
        code = ISA.image(ISA.encode(*i) if isinstance(i, tuple) else i for i in program)
        code += bytes(-len(code) % self.p.beat_bytes)
        memory = [int.from_bytes(code[at : at + self.p.beat_bytes], "little")
                  for at in range(0, len(code), self.p.beat_bytes)]
        assert len(memory) == -(-len(program) // per_word)
        dut.words.value, dut.start.value = len(program) if words is None else words, 1
        await RisingEdge(dut.clk)
        dut.start.value = 0
        sending = cocotb.start_soon(StreamSource(dut, "program", stall=self.stall).send(memory))
        engines = cocotb.start_soon(self.engines())
        while True:
            await FallingEdge(dut.clk)
            if any(int(signal.value) for signal in (dut.halted, dut.illegal, dut.too_long)):
                break
            await RisingEdge(dut.clk)
        engines.cancel()
        sending.cancel()
        await RisingEdge(dut.clk)

    async def engines(self):
        """Each is busy for a while with a chunk; they flush some time after all are idle."""
        dut, p = self.dut, self.p
        left, flushing = [0] * p.engines, [0] * p.engines
        ready, wanted = [False] * p.engines, False
        while True:
            for number in range(p.engines):
                ready[number] = left[number] <= 3 and self.rng.random() >= self.stall
                getattr(dut, f"chunks__{number}__ready").value = int(ready[number])
            dut.idle.value = sum(1 << number for number in range(p.engines) if not left[number])
            dut.flushed.value = sum(1 << n for n in range(p.engines) if wanted and not flushing[n])
            await FallingEdge(dut.clk)
            for number in range(p.engines):
                left[number] = max(0, left[number] - 1)
                flushing[number] = max(0, flushing[number] - 1)
                if ready[number] and int(getattr(dut, f"chunks__{number}__valid").value):
                    chunk = unpacked(chunk_layout(), int(getattr(dut, f"chunks__{number}__payload").value))
                    self.taken.append((number, chunk))
                    left[number] = self.rng.randrange(1, 40)
            if int(dut.flush.value):
                assert not any(left)
                self.flushes += 1
                wanted, flushing = True, [self.rng.randrange(10) for _ in flushing]
            await RisingEdge(dut.clk)


def chunks(rng, count, **more):
    return [("CHUNK", {"id": number, "a": rng.getrandbits(32), "n": rng.randrange(1, 1 << 32), **more})
            for number in range(count)]


@cocotb.test()
async def every_chunk_once(dut):
    p, stall = shape_params()
    rng = random.Random(1)
    bench = Bench(dut, p, rng, stall)
    await bench.begin()
    for count in (0, 1, 50):
        program = chunks(rng, count)
        bench.taken.clear()
        await watchdog(bench.run([SET, *program, HALT]), 20_000)
        assert int(dut.halted.value)
        assert (int(dut.code.value), int(dut.pc.value)) == (5, count + 2)
        expected = [{"id": v["id"], "word": v["a"], "entries": v["n"]} for _, v in program]
        assert [chunk for _, chunk in bench.taken] == expected
        for name in ("shift", *MODES, "b", "c", "n"):
            assert int(getattr(dut, name).value) == SET[1][name]
        assert int(dut.hash_by.value) == SET[1]["hash"]
    assert bench.flushes == 3
    assert {engine for engine, _ in bench.taken} == set(range(p.engines))


@cocotb.test()
async def modes(dut):
    """Each bit goes where it belongs."""
    p, stall = shape_params()
    bench = Bench(dut, p, random.Random(6), stall)
    await bench.begin()
    for wanted in (set(), {"apart"}, {"uncached"}, {"scan", "apart"}, {"apart", "uncached"}):
        put = ("SET", {name: int(name in wanted) for name in MODES})
        await watchdog(bench.run([put, HALT]), 2000)
        assert int(dut.halted.value)
        assert {name for name in MODES if int(getattr(dut, name).value)} == wanted


@cocotb.test()
async def fixed_chunks_wait_for_their_engine(dut):
    p, stall = shape_params()
    rng = random.Random(2)
    bench = Bench(dut, p, rng, stall)
    await bench.begin()
    wanted = np.random.default_rng(3).integers(0, p.engines, 30).tolist()
    program = [("CHUNK", {**v, "fixed": 1, "engine": engine})
               for engine, (_, v) in zip(wanted, chunks(rng, 30), strict=True)]
    await watchdog(bench.run([SET, *program, HALT]), 20_000)
    assert [engine for engine, _ in bench.taken] == wanted


@cocotb.test()
@cocotb.parametrize(case=["opcode", "no SET", "scan alone", "no entries", "no such engine", "no HALT", "nothing"])
async def what_is_refused(dut, case):
    p, stall = shape_params()
    bench = Bench(dut, p, random.Random(4), stall)
    await bench.begin()
    chunk = ("CHUNK", {"n": 1})
    program = {
        "opcode": [SET, 0x77], "no SET": [chunk], "scan alone": [("SET", {"scan": 1, "uncached": 1}), chunk, HALT],
        "no entries": [SET, ("CHUNK", {})],
        "no such engine": [SET, ("CHUNK", {"n": 1, "fixed": 1, "engine": p.engines})], "no HALT": [SET, chunk],
        "nothing": [HALT],
    }[case]
    await watchdog(bench.run(program, 0 if case == "nothing" else None), 2000)
    too_long = case in ("no HALT", "nothing")
    assert (int(dut.illegal.value), int(dut.too_long.value), int(dut.halted.value)) == (not too_long, too_long, 0)
    await watchdog(bench.run([SET, chunk, HALT]), 2000)
    assert (int(dut.illegal.value), int(dut.too_long.value), int(dut.halted.value)) == (0, 0, 1)
