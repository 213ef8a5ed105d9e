"""Random references: every line as memory has it, and exactly the hits of least-recently-used replacement."""

import random

import cocotb
from cocotb.triggers import FallingEdge, RisingEdge

from golden.isa.spgemm import FIRST_BITS
from golden.spgemm.params import SpgemmParams
from hw.spgemm.layouts import arrival_layout, request_layout, use_layout
from hw.spgemm.line_cache import LineCache
from hw.spgemm.miss_queue import MissQueue
from tests.hw.fabric.read_memory import ReadMemory
from tests.hw.harness import StreamSink, StreamSource, parameters, start, watchdog
from tests.hw.packing import packed, unpacked

INPUTS = dict.fromkeys(("requests__valid", "lines__ready", "uncached", "invalidate", "clear"), 0)
BASE = 0x5_1234_0000
GENERATIONS = 255


class Model:
    """Hits and misses, with places: `ways[set][way]` is a block; `order[set]`: ways, the next to be replaced first."""

    def __init__(self, p):
        self.p, self.uncached = p, False
        self.sweep()

    def sweep(self):
        self.ways = [[None] * self.p.cache_ways for _ in range(self.p.sets)]
        self.order = [list(reversed(range(self.p.cache_ways))) for _ in range(self.p.sets)]

    def forget(self):
        self.ways = [[None] * self.p.cache_ways for _ in range(self.p.sets)]

    def hit(self, line, hint):
        block = line // self.p.block_lines
        ways, order = self.ways[block % self.p.sets], self.order[block % self.p.sets]
        found = block in ways
        way = ways.index(block) if found else order[0]
        ways[way] = block
        order.remove(way)
        order.insert(0 if hint else len(order), way)
        return found and not self.uncached


class Bench:
    """A LineCache whose memory can change its content: `epoch`."""

    def __init__(self, dut, **memory):
        self.dut, self.p = dut, SpgemmParams(**parameters()["params"])
        self.model, self.epoch, self.now, self.rng = Model(self.p), 0, 0, random.Random(7)
        self.memory = ReadMemory(dut, "axi__", beat=self.p.beat_bytes, word_at=self.word_at, **memory)
        self.counts = dict.fromkeys(("hit", "miss", "memory_wait"), 0)

    async def begin(self):
        await start(self.dut, inputs=INPUTS | {"base": BASE})
        for task in (self.memory.run(), self.count()):
            cocotb.start_soon(task)
        await watchdog(self.until_ready(), 2 * self.p.sets)
        return self

    def word_at(self, address):
        return random.Random(f"{address}-{self.epoch}").getrandbits(self.p.axi_bits)

    def queue(self, address):
        return (address >> self.p.miss_bit) % self.p.miss_queues

    def address(self, line):
        return BASE + line * self.p.beat_bytes

    async def count(self):
        while True:
            await FallingEdge(self.dut.clk)
            for name in self.counts:
                self.counts[name] += int(getattr(self.dut, name).value)
            await RisingEdge(self.dut.clk)
            self.now += 1

    async def until_ready(self):
        while True:
            await FallingEdge(self.dut.clk)
            ready = self.dut.ready.value == 1
            await RisingEdge(self.dut.clk)
            if ready:
                return

    async def strobe(self, name):
        port = getattr(self.dut, name)
        port.value = 1
        await RisingEdge(self.dut.clk)
        port.value = 0
        await RisingEdge(self.dut.clk)

    def request(self, line, *, hint=0, dry=0):
        use = {name: self.rng.randrange(1 << field.width) for name, field in use_layout(self.p)}
        return {"use": use, "dry": dry, "hint": hint, "line": line}

    async def refer(self, requests, *, stall=0.0, hold=0):
        """[(request, cycle of its line)], checked against the model and memory; nothing is taken for `hold` cycles."""
        values = [packed(request_layout(self.p), r) for r in requests]
        before, asked, times = dict(self.counts), len(self.memory.asked), []
        wanted = [r["dry"] or self.model.hit(r["line"], r["hint"]) for r in requests]
        source = cocotb.start_soon(StreamSource(self.dut, "requests", seed=1, stall=stall).send(values))
        sink = StreamSink(self.dut, "lines", seed=2, stall=stall)
        self.first = self.now

        async def take():
            for _ in range(hold):
                await RisingEdge(self.dut.clk)
            for request in requests:
                arrival = unpacked(arrival_layout(self.p), (await sink.receive(1))[0])
                times.append(self.now)
                assert unpacked(use_layout(self.p), arrival["use"]) == request["use"]
                assert request["dry"] or arrival["data"] == self.word_at(self.address(request["line"])), request

        await watchdog(take(), 100_000)
        await source
        lines = [r["line"] for r, hit in zip(requests, wanted, strict=True) if not hit]
        misses = [self.address(line // self.p.block_lines * self.p.block_lines) for line in lines]
        found = [address for address, _ in self.memory.asked[asked:]]
        assert {beats for _, beats in self.memory.asked[asked:]} <= {self.p.block_lines}
        for queue in range(self.p.miss_queues):  # each in order
            assert [at for at in found if self.queue(at) == queue] == [at for at in misses if self.queue(at) == queue]
        counted = {name: value - before[name] for name, value in self.counts.items()}
        assert counted["miss"] == len(misses)
        assert counted["hit"] == sum(not r["dry"] for r in requests) - len(misses)
        self.waits = counted["memory_wait"]
        return times


def references(bench, count):
    """Lines of some sets that crowd, with hints and dry ones between, also twice in a row."""
    rng, p = bench.rng, bench.p
    highest = (1 << FIRST_BITS) // p.lanes
    pool = [rng.randrange(highest) for _ in range(p.cache_lines)]
    for crowded in (0, p.sets - 1):
        stride = p.sets * p.block_lines
        pool += [rng.randrange(highest // stride) * stride + crowded * p.block_lines for _ in range(p.cache_ways + 1)]
    line = pool[0]
    for _ in range(count):
        if rng.random() < 0.7:
            line = rng.choice(pool if rng.random() < 0.5 else pool[-2 * p.cache_ways - 2 :])
        yield bench.request(line, hint=int(rng.random() < 0.2), dry=int(rng.random() < 0.1))


@cocotb.test()
@cocotb.parametrize(
    (("stall", "memory_stall", "latency"),
     [(0.0, 0.0, 1), (0.5, 0.0, 1), (0.0, 0.0, 30), (0.5, 0.5, 30), (0.0, 0.5, 9)])
)  # fmt: skip
async def random_references(dut, stall, memory_stall, latency):
    rng = random.Random(5)
    bench = await Bench(dut, stall=memory_stall, latency=lambda: rng.randint(1, latency)).begin()
    await bench.refer(list(references(bench, 1500)), stall=stall)
    assert bench.memory.most <= bench.p.in_flight
    assert dut.error.value == 0


@cocotb.test()
async def a_line_that_waits_is_replaced(dut):
    """All are looked up before the first line leaves: the same place gets several lines, and hits between them."""
    bench = await Bench(dut, latency=20).begin()
    p = bench.p
    for first in range(3):
        one_set = [(first + p.sets * number) * p.block_lines for number in range(p.cache_ways + 1)]
        lines = [line for number in one_set for line in (number, number)] + one_set + one_set[::-1]
        for at in range(0, len(lines), p.window - 4):
            some = [bench.request(line) for line in lines[at : at + p.window - 4]]
            await bench.refer(some, hold=40)


@cocotb.test()
async def responses_wait(dut):
    """No line is taken until all that the window holds have been read, more than wait behind the port."""
    bench = await Bench(dut).begin()
    await bench.refer([bench.request(line) for line in range(bench.p.window)], hold=3 * bench.p.window)


@cocotb.test()
async def hints(dut):
    """A line with a hint goes first, though its neighbours are older; a hint on a hit counts as well."""
    bench = await Bench(dut).begin()
    p = bench.p
    for _ in range(10):
        lines = [bench.rng.randrange(2 * p.cache_ways) * p.sets * p.block_lines for _ in range(40)]
        await bench.refer([bench.request(line, hint=bench.rng.randrange(2)) for line in lines])


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.3])
async def one_set_at_every_distance(dut, stall):
    """Blocks of one set, 1 .. 5 requests apart; between them those of another set, or dry ones."""
    bench = await Bench(dut, latency=3).begin()
    p, rng = bench.p, bench.rng

    def some(of_set):
        line = (of_set + p.sets * rng.randrange(p.cache_ways + 2)) * p.block_lines
        return bench.request(line, hint=int(rng.random() < 0.2), dry=int(rng.random() < 0.5) if of_set else 0)

    for distance in range(1, 6):
        for hold in (0, 30):  # 30: the requests that the window has room for come in a row
            requests = [some(int(i % distance > 0)) for i in range(60 * distance)]
            await bench.refer(requests, stall=stall, hold=hold)


@cocotb.test()
async def nothing_is_left_after_invalidate(dut):
    """Memory changes. Also after as many of them as there are generations."""
    bench = await Bench(dut).begin()
    for _ in range(3):
        await bench.refer(list(references(bench, 100)))
        await bench.strobe("invalidate")
        bench.model.forget()
        bench.epoch += 1
    old = [bench.request(line) for line in range(bench.p.cache_lines)]
    await bench.refer(old)  # of generation 4
    bench.epoch += 1
    for generation in range(4 + 1, 4 + 1 + GENERATIONS):
        await bench.strobe("invalidate")
        bench.model.forget()
        if generation == GENERATIONS + 1:
            assert dut.ready.value == 0
            await watchdog(bench.until_ready(), 2 * bench.p.sets)
            bench.model.sweep()
    await bench.refer(old)
    await bench.refer(list(references(bench, 300)))


@cocotb.test()
async def uncached(dut):
    """Every line is read, also one right behind itself; then hits again, of what is there."""
    bench = await Bench(dut).begin()
    for turn in range(4):
        bench.model.uncached = bool(turn % 2)
        dut.uncached.value = turn % 2
        await bench.refer([*references(bench, 200), *(bench.request(3) for _ in range(9))], stall=0.2 * (turn // 2))


@cocotb.test()
async def an_error_response(dut):
    bench = await Bench(dut, bad=[BASE]).begin()
    await bench.refer([bench.request(bench.p.block_lines * block) for block in (1, 2, 3)])
    assert dut.error.value == 0
    await bench.refer([bench.request(bench.p.block_lines * block) for block in (0, 1, 2)])
    assert dut.error.value == 1
    await bench.strobe("clear")
    await FallingEdge(dut.clk)
    assert dut.error.value == 0
    await RisingEdge(dut.clk)


@cocotb.test()
async def hits_at_one_a_cycle(dut):
    bench = await Bench(dut).begin()
    lines = list(range(bench.p.cache_lines))
    await bench.refer([bench.request(line) for line in lines])
    for again in (lines * 3, [1] * 50, [2, 2 + bench.p.sets] * 20):
        times = await bench.refer([bench.request(line) for line in again])
        assert times[0] - 1 - bench.first == LineCache.LATENCY
        assert times[-1] - times[0] == len(again) - 1
        assert bench.waits == 0


@cocotb.test()
async def misses_at_one_a_cycle(dut):
    """With a memory that answers in the next cycle."""
    bench = await Bench(dut, latency=1).begin()
    times = await bench.refer([bench.request(line) for line in range(300)])
    assert times[0] - 1 - bench.first == LineCache.LATENCY + MissQueue.LATENCY + bench.p.block_lines - 1
    if bench.p.in_flight * bench.p.block_lines > MissQueue.LATENCY:
        assert times[-1] - times[0] <= 299


@cocotb.test()
async def as_many_reads_as_may_be(dut):
    bench = await Bench(dut, latency=100).begin()
    await bench.refer([bench.request(bench.p.block_lines * block) for block in range(100)])
    assert min(bench.p.in_flight, bench.p.window - 4) <= bench.memory.most <= bench.p.in_flight
