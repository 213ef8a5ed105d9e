"""The memory side of the training engine's cycle model: a DRAM channel, the joined reads, the writes.

Times are cycles of the engine. Bursts of reads and a few words of writes go through it as one; `sim.timing` has the
constants.
"""

from collections import deque
from collections.abc import Callable
from enum import IntEnum
from math import inf

from golden.train.params import TrainParams
from hw.fabric.axi import AxiWriter

from .timing import TimingModel
from .train_events import Clock

__all__ = ["ANSWERED", "Answers", "Dram", "ReadPort", "Stream", "WritePort", "Writer"]

PAGE = 4096
ASKED = 3
"""From a command that an AxiReader takes to its first burst at the memory: the reader's two registers, ReadJoin's."""
COMMAND = 3
"""Cycles of an AxiReader from a command of one burst to the next."""
WRITTEN = 1
"""From a word that an AxiWriter takes to its arrival at the memory."""
ANSWERED = 2
"""From a last answer to `finished`: AnswerWatch's registers."""


class Dram:
    """A channel as `sim/memory.h` has it, the same rules and constants, but that a request is a burst."""

    def __init__(self, clock: Clock, timing: TimingModel) -> None:
        dram, ns, t = timing.kind == "dram", timing.clock_ns, timing
        self.clock, self.queues, self.served = clock, (deque(), deque()), False
        self.writing, self.batch, self.of_batch = False, 0, t.batch
        self.read_latency, self.write_latency = (
            (t.read_latency / ns, t.write_latency / ns) if dram else (t.latency_cycles, t.latency_cycles))
        self.atom, self.atom_bytes, self.long = t.atom_ns / ns, t.atom_bytes, t.ccd_long / ns
        self.rcd, self.rp, self.ras, self.rrd, self.faw = (x / ns for x in (t.rcd, t.rp, t.ras, t.rrd, t.faw))
        self.to_precharge = t.read_to_precharge / ns, t.write_to_precharge / ns
        self.turn = t.write_to_read / ns, t.read_to_write / ns
        self.low = low = t.atom_bytes.bit_length() - 1
        self.row_shift = t.row_shift - low
        fields = ((t.group_low_shift, t.group_low_bits, 0), (t.group_high_shift, t.group_high_bits, t.group_low_bits),
                  (t.bank_shift, t.bank_bits, t.group_low_bits + t.group_high_bits))
        fields = [(shift - low, (1 << bits) - 1, to) for shift, bits, to in fields if bits]
        span = max((shift + mask.bit_length() for shift, mask, _ in fields), default=0)
        self.bank_of = [sum((atom >> shift & mask) << to for shift, mask, to in fields) for atom in range(1 << span)]
        self.groups = (1 << t.group_low_bits + t.group_high_bits) - 1
        banks = 1 << t.group_low_bits + t.bank_bits + t.group_high_bits
        self.rows, self.precharge, self.activate = [-1] * banks, [0.0] * banks, [0.0] * banks
        self.column = [0.0] * banks
        self.group_free, self.columns = [0.0] * (self.groups + 1), deque([0.0] * t.window, t.window)
        self.activates, self.last = deque([-1e9] * 4, 4), [-1e9, -1e9]
        self.free, self.atom_before = 0.0, (-1, False)
        self.interval, self.refresh = t.refresh_interval / ns if dram else inf, t.refresh / ns
        self.next_refresh = self.interval

    def submit(self, write: bool, byte: int, size: int, beats: int, arrival: float,
               done: Callable[[float, float], None]) -> None:
        """Consecutive bytes; `done` is called with the times at which the first and the last beat are there."""
        self.queues[write].append((byte, size, beats, arrival, done))
        if not self.served:
            self._serve()

    def _serve(self) -> None:
        reads, writes = self.queues
        self.served = False
        while (reads or writes) and self.free <= self.clock.now + 1:
            both = bool(reads and writes)
            write = self.writing ^ (self.batch >= self.of_batch) if both else bool(writes)
            if write != self.writing:
                self.writing, self.batch = write, 0
            byte, size, beats, arrival, done = self.queues[write].popleft()
            self.batch += beats
            last = first = self._column(write, byte >> self.low, arrival)
            for atom in range((byte >> self.low) + 1, (byte + size - 1 >> self.low) + 1):
                last = self._column(write, atom, arrival)
            latency = self.write_latency if write else self.read_latency
            done(first + latency, last + latency)
        if reads or writes:
            self.served = True
            self.clock.at(self.free - 1, self._serve)

    def _column(self, write: bool, atom: int, arrival: float) -> float:
        """Time of an access's column."""
        if self.atom_before == (atom, write) and arrival <= self.last[write]:
            return self.last[write]
        columns, last, rows = self.columns, self.last, self.rows
        start = arrival if arrival > columns[0] else columns[0]
        while self.next_refresh <= start or self.next_refresh <= self.free:
            self._refresh(max(start, self.free))
        bank, row = self.bank_of[atom & len(self.bank_of) - 1], atom >> self.row_shift
        group, precharge = bank & self.groups, self.precharge
        if rows[bank] != row:
            activate = max(start, precharge[bank]) + self.rp if rows[bank] >= 0 else start
            activate = max(activate, self.activate[bank], self.activates[3] + self.rrd, self.activates[0] + self.faw)
            self.activates.append(activate)
            rows[bank], self.activate[bank] = row, activate + self.ras + self.rp
            precharge[bank], self.column[bank] = activate + self.ras, activate + self.rcd
        column = max(start, self.column[bank], self.free, self.group_free[group], last[not write] + self.turn[write])
        self.free, self.group_free[group] = column + self.atom, column + self.long
        precharge[bank] = max(precharge[bank], column + self.to_precharge[write])
        last[write] = column
        columns.append(column)
        self.atom_before = atom, write
        return column

    def _refresh(self, now: float) -> None:
        """All banks close; refreshes of a long idle time are skipped but for the last."""
        if now > self.next_refresh + self.interval:
            self.next_refresh += (now - self.next_refresh) // self.interval * self.interval
        opened = [at for at, row in zip(self.precharge, self.rows, strict=True) if row >= 0]
        end = max([self.next_refresh, *opened]) + self.rp + self.refresh
        banks = len(self.rows)
        self.rows = [-1] * banks
        self.precharge, self.activate, self.column = ([end] * banks for _ in range(3))
        self.free = max(self.free, end)
        self.next_refresh += self.interval
        self.atom_before = -1, False


class Stream:
    """One who reads. `room`: beats that it takes before it has given some back."""

    def __init__(self, outstanding: int) -> None:
        self.commands: deque[list] = deque()
        self.outstanding, self.in_flight, self.asks, self.gate, self.room = outstanding, 0, 0.0, 0.0, inf


class ReadPort:
    """AxiReaders behind a ReadJoin: bursts are asked for in turns, beats come back in the order of the bursts, and one
    who takes beats slowly holds the others' back."""

    def __init__(self, clock: Clock, dram: Dram, params: TrainParams, streams: int) -> None:
        self.clock, self.dram, self.bytes = clock, dram, params.axi_bits // 8
        self.burst, self.depth = params.burst_beats, max(4, 2 * params.outstanding)
        self.streams = [Stream(params.outstanding) for _ in range(streams)]
        self.owners: deque[list] = deque()
        self.turn, self.busy = 0, False

    def ask(self, stream: Stream, address: int, beats: int, cost: int,
            took: Callable[[float, int, bool], None]) -> None:
        """Beats from memory word `address` on, each of which takes `cost` cycles; `took`: called with the time behind a
        burst's last beat, its beats, and whether the command ends with it."""
        stream.commands.append([address, beats, cost, took, True])
        self._ask()

    def give(self, stream: Stream, beats: float) -> None:
        """There is room for as many more beats."""
        stream.room += beats
        if not self.busy:
            self._serve()

    def _ask(self) -> None:
        streams, idle = self.streams, 0
        while idle < len(streams) and len(self.owners) < self.depth:
            stream = streams[self.turn]
            self.turn = (self.turn + 1) % len(streams)
            if not stream.commands or stream.in_flight >= stream.outstanding:
                idle += 1
                continue
            idle = 0
            command = stream.commands[0]
            address, beats, cost, took, new = command
            byte = address * self.bytes
            burst = min(beats, self.burst, (PAGE - byte % PAGE) // self.bytes)
            time = max(self.clock.now, stream.asks)
            stream.asks = time + (1 if burst < beats else COMMAND)
            owner = [stream, burst, cost, took, None, 0.0, burst == beats]
            self.owners.append(owner)
            self.clock.at(time + (ASKED if new else 1), lambda owner=owner, byte=byte: self._submit(owner, byte))
            if burst < beats:
                command[0], command[1], command[4] = address + burst, beats - burst, False
            else:
                stream.commands.popleft()
            stream.in_flight += 1
        if not self.busy:
            self._serve()

    def _submit(self, owner: list, byte: int) -> None:
        def done(first: float, last: float) -> None:
            owner[4:6] = first, last
            if not self.busy:
                self._serve()

        self.dram.submit(False, byte, owner[1] * self.bytes, owner[1], self.clock.now, done)

    def _serve(self) -> None:
        if not self.owners:
            return
        stream, beats, cost, _, first, last, _ = self.owners[0]
        if stream.room < beats or first is None:
            return
        begin = max(self.clock.now, -(-first // 1), stream.gate)
        end = max(begin + (beats - 1) * cost, -(-last // 1)) + 1
        stream.gate, self.busy = end - 1 + cost, True
        stream.room -= beats
        self.clock.at(end, self._complete)

    def _complete(self) -> None:
        stream, beats, _, took, _, _, ends = self.owners.popleft()
        stream.in_flight -= 1
        self.busy = False
        took(self.clock.now, beats, ends)
        self._ask()
        if not self.busy:
            self._serve()


class Writer(IntEnum):
    """Who writes."""

    MATRIX = 0
    VECTOR = 1
    UPDATE = 2


class WritePort:
    """WriteJoin and AxiWriter: words of the first who has some, SOME at a time of one who is alone; at most
    AxiWriter.PENDING wait for their answers. Those of VEC go SOME at a time in any case, which is no rule of the RTL:
    one at a time two of `bench.train_cycles` come out 5.7 and 2.1 % too long; why is not known."""

    SOME = 8

    def __init__(self, clock: Clock, dram: Dram, params: TrainParams) -> None:
        self.clock, self.dram, self.bytes = clock, dram, params.axi_bits // 8
        self.free, self.waits = 0.0, False
        self.jobs: tuple[deque[list], ...] = tuple(deque() for _ in Writer)
        self.pending, self.answers = 0, deque()  # words, and when they are answered, as far as that is known

    def put(self, writer: Writer, address: int, words: int, taken: Callable[[int], None],
            answered: Callable[[int], None] | None) -> None:
        """Words that are offered from now on. `taken`, `answered`: called as words are, with how many."""
        self.jobs[writer].append([address * self.bytes, words, taken, answered])
        if not self.waits:
            self._go()

    def _go(self) -> None:
        clock, self.waits = self.clock, False
        now = clock.now
        if now < self.free:
            return
        offered = [number for number, jobs in enumerate(self.jobs) if jobs]
        if not offered:
            return
        writer = min(offered)
        job = self.jobs[writer][0]
        byte, left, taken, answered = job
        count = 1 if len(offered) > 1 and writer != Writer.VECTOR else min(self.SOME, left)
        while self.answers and self.answers[0][0] <= now:
            self.pending -= self.answers.popleft()[1]
        if self.pending + count > AxiWriter.PENDING:
            if self.answers:
                self.waits = True
                clock.at(self.answers[0][0], self._go)
            return
        job[0], job[1] = byte + count * self.bytes, left - count
        if count == left:
            self.jobs[writer].popleft()
        self.pending += count
        self.free = now + count

        def done(_: float, last: float) -> None:
            time = -(-max(last, now + count - 1 + WRITTEN + self.dram.write_latency) // 1) + 1
            self.answers.append((time, count))
            if answered:
                clock.at(time, lambda: answered(count))
            if not self.waits:
                self._go()

        self.waits = True
        clock.at(self.free, lambda: self._taken(count, taken))
        self.dram.submit(True, byte, count * self.bytes, count, now + WRITTEN, done)

    def _taken(self, count: int, taken: Callable[[int], None]) -> None:
        taken(count)
        self._go()


class Answers:
    """Words of an instruction on their way."""

    def __init__(self, clock: Clock, finish: Callable[[float], None]) -> None:
        self.clock, self.finish, self.under_way, self.closed = clock, finish, 0, inf

    def sent(self, words: int) -> None:
        self.under_way += words

    def came(self, words: int) -> None:
        self.under_way -= words
        self._look()

    def close(self, time: float) -> None:
        """There will be no more; the unit knows at `time`."""
        self.closed = time
        self._look()

    def _look(self) -> None:
        if self.closed < inf and not self.under_way:
            self.finish(max(self.closed, self.clock.now + ANSWERED))
