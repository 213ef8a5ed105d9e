"""Memory ports against a slave that checks what AXI4 and the docstrings ask."""

import random
from collections import deque

import cocotb
from cocotb.triggers import FallingEdge, RisingEdge
from cocotb.utils import get_sim_time

from hw.fabric.axi import AxiWriter, beat_layout, command_layout
from tests.hw.fabric.fabric_bench import BURST_BEATS, DATA_BITS, OUTSTANDING
from tests.hw.harness import PERIOD_NS, StreamSink, StreamSource, start, watchdog
from tests.hw.packing import packed

BEAT = DATA_BITS // 8
PAGE = 4096
INPUTS = {
    **{f"reader__{name}": 0 for name in ("command__valid", "o__ready", "clear")},
    **{f"reader__axi__{name}": 0 for name in ("arready", "rvalid", "rresp", "rlast", "rdata")},
    **{f"writer__{name}": 0 for name in ("i__valid", "clear")},
    **{f"writer__axi__{name}": 0 for name in ("awready", "wready", "bvalid", "bresp")},
}


def word_at(address):
    """What the memory holds: a number made of the address."""
    return (address * 0x9E3779B97F4A7C15 + 1) % (1 << DATA_BITS)


class Memory:
    """Slave of both ports; every channel is held back with probability `stall`; `bad` addresses answer SLVERR;
    `writes`: the write port's prefix."""

    def __init__(self, dut, seed, stall, latency=0, bad=(), writes="writer__axi__"):
        self.writes = writes
        self.dut, self.rng, self.stall, self.latency, self.bad = dut, random.Random(seed), stall, latency, set(bad)
        self.bursts, self.written = [], []

    def ready(self):
        return self.rng.random() >= self.stall

    def payload(self, prefix, names):
        return {name: int(getattr(self.dut, f"{prefix}{name}").value) for name in names}

    async def read(self):
        dut, axi = self.dut, "reader__axi__"
        queue, waiting, now, held = deque(), None, 0, False  # beats: (due, data, last, response)
        in_flight = 0
        while True:
            arready = self.ready()
            dut.reader__axi__arready.value = int(arready)
            offered = bool(queue) and queue[0][0] <= now and (held or self.ready())
            dut.reader__axi__rvalid.value = int(offered)
            if offered:
                _, data, last, response = queue[0]
                dut.reader__axi__rdata.value, dut.reader__axi__rlast.value = data, last
                dut.reader__axi__rresp.value = response
            await FallingEdge(dut.clk)
            if dut.reader__axi__arvalid.value == 1:
                burst = self.payload(axi, ("araddr", "arlen"))
                assert waiting in (None, burst), "AR changed while it waited"
                waiting = None if arready else burst
                if arready:
                    in_flight += 1
                    assert in_flight <= OUTSTANDING, f"{in_flight} bursts in flight"
                    self.accept(burst["araddr"], burst["arlen"] + 1, queue, now)
            else:
                assert waiting is None, "AR withdrawn"
            taken = offered and dut.reader__axi__rready.value == 1
            held = offered and not taken
            if taken:
                in_flight -= queue.popleft()[2]
            await RisingEdge(dut.clk)
            now += 1

    def accept(self, address, beats, queue, now):
        assert address % BEAT == 0, f"{address:#x} is not aligned"
        assert beats <= BURST_BEATS, f"a burst of {beats}"
        assert address // PAGE == (address + beats * BEAT - 1) // PAGE, f"{address:#x} + {beats} beats crosses 4 KiB"
        self.bursts.append((address, beats))
        for i in range(beats):
            at = address + i * BEAT
            queue.append((now + self.latency, word_at(at), int(i == beats - 1), 2 if at in self.bad else 0))

    async def write(self):
        """Takes address and data apart from each other; answers some time after both."""
        dut, addresses, words = self.dut, deque(), deque()
        pin = {name: getattr(dut, f"{self.writes}{name}")
               for name in ("awready", "wready", "awvalid", "wvalid", "bvalid", "bresp", "bready")}
        waiting = {"aw": None, "w": None}
        pending, held = deque(), False
        fields = {"aw": ("awaddr", "awlen"), "w": ("wdata", "wstrb", "wlast")}
        while True:
            ready = {"aw": self.ready(), "w": self.ready()}
            pin["awready"].value, pin["wready"].value = int(ready["aw"]), int(ready["w"])
            answers = bool(pending) and (held or self.ready())
            pin["bvalid"].value = int(answers)
            pin["bresp"].value = 2 if answers and pending[0] in self.bad else 0
            await FallingEdge(dut.clk)
            for channel, queue in (("aw", addresses), ("w", words)):
                if pin[f"{channel}valid"].value == 1:
                    offered = self.payload(self.writes, fields[channel])
                    assert waiting[channel] in (None, offered), f"{channel} changed while it waited"
                    waiting[channel] = None if ready[channel] else offered
                    if ready[channel]:
                        queue.append(offered)
                else:
                    assert waiting[channel] is None, f"{channel} withdrawn"
            held = answers and pin["bready"].value == 0
            if answers and not held:
                pending.popleft()
            while addresses and words:
                address, word = addresses.popleft(), words.popleft()
                assert (address["awlen"], word["wlast"]) == (0, 1)
                self.written.append((address["awaddr"], word["wdata"], word["wstrb"]))
                pending.append(address["awaddr"])
            await RisingEdge(dut.clk)


def command(address, beats):
    return packed(command_layout(), {"address": address, "beats": beats})


def some_reads(rng, count):
    """Directed: around the burst's length and page ends; then random ones."""
    reads = [(0, 1), (PAGE - BEAT, 2), (PAGE - 3 * BEAT, BURST_BEATS), (0, BURST_BEATS), (BEAT, BURST_BEATS + 1),
             (PAGE - BEAT, 1), (1 << 40, 3 * BURST_BEATS), (64 * BEAT, 300)]  # fmt: skip
    return reads + [(rng.randrange(1 << 20) * BEAT, rng.randrange(1, 70)) for _ in range(count)]


def longest_bursts(address, beats):
    while beats:
        length = min(beats, BURST_BEATS, (PAGE - address % PAGE) // BEAT)
        yield address, length
        address, beats = address + length * BEAT, beats - length


def expected_words(reads):
    return [word_at(address + i * BEAT) for address, beats in reads for i in range(beats)]


@cocotb.test()
@cocotb.parametrize((("stall", "latency"), [(0.0, 0), (0.0, 40), (0.5, 10)]))
async def reads_come_in_order_and_obey_the_rules(dut, stall, latency):
    await start(dut, inputs=INPUTS)
    memory = Memory(dut, 1, stall, latency)
    slave = cocotb.start_soon(memory.read())
    reads = some_reads(random.Random(stall), 20)
    source = StreamSource(dut, "reader__command", seed=2, stall=stall)
    sending = cocotb.start_soon(source.send([command(*read) for read in reads]))
    sink = StreamSink(dut, "reader__o", seed=3, stall=stall)
    expected = expected_words(reads)
    assert await watchdog(sink.receive(len(expected)), 40_000) == expected
    await sending
    assert memory.bursts == [burst for read in reads for burst in longest_bursts(*read)]
    await FallingEdge(dut.clk)
    assert dut.reader__busy.value == 0
    assert dut.reader__error.value == 0
    slave.cancel()
    await RisingEdge(dut.clk)


@cocotb.test()
async def reads_at_one_beat_a_cycle(dut):
    """Commands follow each other without a gap, as the next is taken when the last burst has been requested."""
    await start(dut, inputs=INPUTS)
    slave = cocotb.start_soon(Memory(dut, 1, 0.0).read())
    reads = [(PAGE * n, 2 * BURST_BEATS) for n in range(8)]
    cocotb.start_soon(StreamSource(dut, "reader__command").send([command(*read) for read in reads]))
    sink = cocotb.start_soon(StreamSink(dut, "reader__o").receive(16 * BURST_BEATS))
    cycles = 0
    while not sink.done():
        await RisingEdge(dut.clk)
        cycles += 1
    slave.cancel()
    assert sink.result() == expected_words(reads)
    assert cycles <= 16 * BURST_BEATS + 6, f"{cycles} cycles for {16 * BURST_BEATS} beats"


@cocotb.test()
async def busy_until_the_last_beat(dut):
    await start(dut, inputs=INPUTS)
    slave = cocotb.start_soon(Memory(dut, 1, 0.0, latency=20).read())
    await StreamSource(dut, "reader__command").send([command(0, 3)])
    receiving = cocotb.start_soon(StreamSink(dut, "reader__o").receive(3))
    while not receiving.done():
        await FallingEdge(dut.clk)
        assert receiving.done() or dut.reader__busy.value == 1
    await FallingEdge(dut.clk)
    assert dut.reader__busy.value == 0
    slave.cancel()
    await RisingEdge(dut.clk)


@cocotb.test()
async def read_error_stays_until_cleared(dut):
    await start(dut, inputs=INPUTS)
    slave = cocotb.start_soon(Memory(dut, 1, 0.0, bad=[5 * BEAT]).read())
    for address, error in ((0, 0), (4 * BEAT, 1), (64 * BEAT, 1)):
        await StreamSource(dut, "reader__command").send([command(address, 3)])
        await watchdog(StreamSink(dut, "reader__o").receive(3), 100)
        await FallingEdge(dut.clk)
        assert dut.reader__error.value == error, f"after {address:#x}"
        await RisingEdge(dut.clk)
    dut.reader__clear.value = 1
    await RisingEdge(dut.clk)
    dut.reader__clear.value = 0
    await FallingEdge(dut.clk)
    assert dut.reader__error.value == 0
    slave.cancel()
    await RisingEdge(dut.clk)


def some_beats(count):
    rng = random.Random(4)
    return [(rng.randrange(1 << 40) * BEAT, rng.randrange(1 << DATA_BITS), rng.randrange(1 << BEAT))
            for _ in range(count)]  # fmt: skip


async def send_beats(dut, beats, stall):
    layout = beat_layout(DATA_BITS)
    values = [packed(layout, {"address": a, "data": d, "strobe": s}) for a, d, s in beats]
    await StreamSource(dut, "writer__i", seed=5, stall=stall).send(values)


async def until_written(dut):
    await FallingEdge(dut.clk)
    while dut.writer__busy.value == 1:
        await FallingEdge(dut.clk)
    await RisingEdge(dut.clk)


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.6])
async def writes_arrive_once_and_in_order(dut, stall):
    await start(dut, inputs=INPUTS)
    memory, beats = Memory(dut, 6, stall), some_beats(200)
    slave = cocotb.start_soon(memory.write())
    await watchdog(send_beats(dut, beats, stall), 10_000)
    await watchdog(until_written(dut), 1000)
    assert memory.written == beats
    assert dut.writer__error.value == 0
    slave.cancel()


@cocotb.test()
async def writes_at_one_beat_every_two_cycles(dut):
    await start(dut, inputs=INPUTS)
    slave = cocotb.start_soon(Memory(dut, 6, 0.0).write())
    begin = get_sim_time("ns")
    await send_beats(dut, some_beats(100), 0.0)
    assert (get_sim_time("ns") - begin) / PERIOD_NS <= 200
    await watchdog(until_written(dut), 100)
    slave.cancel()


@cocotb.test()
async def writer_waits_for_responses(dut):
    """No response comes: PENDING beats leave, no more, and it stays busy."""
    await start(dut, inputs=INPUTS)
    dut.writer__axi__awready.value = dut.writer__axi__wready.value = 1
    sending = cocotb.start_soon(send_beats(dut, some_beats(AxiWriter.PENDING + 1), 0.0))
    left = 0
    for _ in range(4 * AxiWriter.PENDING):
        await FallingEdge(dut.clk)
        left += int(dut.writer__axi__awvalid.value)
        await RisingEdge(dut.clk)
    assert left == AxiWriter.PENDING
    assert not sending.done()
    dut.writer__axi__bvalid.value = 1
    await RisingEdge(dut.clk)
    dut.writer__axi__bvalid.value = 0
    await watchdog(sending, 10)
    assert dut.writer__busy.value == 1


@cocotb.test()
async def write_error_stays_until_cleared(dut):
    await start(dut, inputs=INPUTS)
    beats = some_beats(3)
    slave = cocotb.start_soon(Memory(dut, 6, 0.0, bad=[beats[1][0]]).write())
    for beat, error in zip(beats, (0, 1, 1), strict=True):
        await send_beats(dut, [beat], 0.0)
        await watchdog(until_written(dut), 100)
        assert dut.writer__error.value == error
    dut.writer__clear.value = 1
    await RisingEdge(dut.clk)
    dut.writer__clear.value = 0
    await FallingEdge(dut.clk)
    assert dut.writer__error.value == 0
    slave.cancel()
    await RisingEdge(dut.clk)
