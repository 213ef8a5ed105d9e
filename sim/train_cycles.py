"""The training engine's cycle model: a program's instructions in their queues, with what each takes.
docs/units/train.md, "Cycle model". No numbers are computed and no memory image is needed.
"""

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass
from math import inf

from golden.engines import ENGINES
from golden.isa.train import ISA, QUEUES
from golden.train.params import GROUP, INTERLEAVE, TrainParams
from hw.fabric.float16 import Narrow
from hw.fabric.tokens import TokenTable
from hw.train.load import LoadUnit
from hw.train.schedule import Schedule
from hw.train.stce import Stce
from hw.train.sums import TILES, Sums
from hw.train.vector_unit import VectorUnit
from hw.train.word_fetch import WordFetch

from .timing import TimingModel
from .train_cycles_update import Update
from .train_cycles_vector import Vector
from .train_events import Clock, Signal, Steps, spawn
from .train_memory import ANSWERED, Answers, Dram, ReadPort, WritePort, Writer

__all__ = ["CycleModel", "Cycles", "Ran"]

BEGIN = 5
"""From start to the program's first request at its memory; the word behind its answer is the dispatcher's."""
OUT = 3 + Narrow.LATENCY
"""From a vector that Sums reads to its word at the port: the RAM, Narrow, a register, the FIFO."""


@dataclass(frozen=True)
class Ran:
    """An instruction: accepted by its unit, and finished; position in the program."""

    position: int
    name: str
    accepted: float
    finished: float


@dataclass(frozen=True)
class Cycles:
    """Of a run. busy: cycles in which a queue has work. steps: in which the array multiplies. ran: if asked for."""

    total: int
    steps: int
    busy: dict[str, int]
    ran: tuple[Ran, ...] = ()


class _Queue:
    def __init__(self, overlap: int) -> None:
        self.overlap, self.words, self.running = overlap, deque(), 0
        self.arrived, self.left, self.finished = Signal(), Signal(), Signal()
        self.busy, self.since, self.last = 0.0, 0.0, 0.0


class CycleModel:
    """Runs a program once.

    Args:
        words: instructions, HALT at the end. memory: name of `sim.timing`'s model at the engine's assumed clock.
    """

    def __init__(self, params: TrainParams, words: Iterable[int], memory: str = "ddr4", *, keep: bool = False) -> None:
        self.params, self.keep, self.ran, self.steps = params, keep, [], 0
        timing = TimingModel.named(memory, ENGINES["train"].clock_mhz)
        self.clock = clock = Clock()
        dram = Dram(clock, timing)
        self.reads, self.writes = ReadPort(clock, dram, params, 3), WritePort(clock, dram, params)
        self.load, of_vector, self.update = self.reads.streams
        vector = Vector(params, clock, self.reads, of_vector, self.writes)
        self.first = BEGIN + dram.read_latency + (timing.rcd / timing.clock_ns)
        overlaps = {"LD": LoadUnit.OVERLAP, "MM": Sums.QUEUE, "VEC": VectorUnit.OVERLAP, "UPD": 1}
        self.queues = {name: _Queue(overlap) for name, overlap in overlaps.items()}
        self.tokens, self.token = Counter(), Signal()
        self.opened, self.held, self.room = -inf, 0, Signal()  # the last tile; tiles whose sums come or leave
        self.tiles, self.come = deque(), Signal()
        self._spawn(self._sums())
        self._spawn(self._dispatch(words))
        for name, unit in (("LD", self._load), ("MM", self._multiply), ("VEC", vector.run), ("UPD", self._update)):
            self._spawn(self._unit(name, unit))
        clock.run()
        self.cycles = Cycles(int(self.end), self.steps, {name: int(queue.busy) for name, queue in self.queues.items()},
                             tuple(self.ran))

    # Processes yield a time or a signal, and go on then.

    def _spawn(self, steps: Steps) -> None:
        spawn(self.clock, steps)

    def _dispatch(self, words: Iterable[int]) -> Steps:
        """A cycle for each memory word of an instruction and one to give it; a full queue stops all."""
        clock, parts = self.clock, ISA.bits // self.params.axi_bits
        self.end = 0.0
        yield -(-self.first // 1)
        for position, word in enumerate(words):
            yield clock.now + parts
            fmt, v = ISA.decode(word)
            if fmt.name == "HALT":
                break
            queue = self.queues[fmt.queue]
            while len(queue.words) >= self.params.queue_depth:
                yield queue.left
            if not queue.words and not queue.running:
                queue.since = clock.now
            queue.words.append((position, fmt.name, v, clock.now))
            queue.arrived.fire()
            yield clock.now + 1
        for queue in self.queues.values():
            while queue.words or queue.running:
                yield queue.finished
        self.end = clock.now + 2

    def _unit(self, name: str, unit) -> Steps:
        """Instructions in order: each waits for its tokens, for its turn among those that overlap, and for the unit."""
        clock, queue, number = self.clock, self.queues[name], QUEUES.index(name)
        sources = [(source, 1 << source) for source in range(len(QUEUES) - 1)]
        while True:
            while not queue.words:
                yield queue.arrived
            position, fmt, v, arrived = queue.words[0]
            yield arrived + 1
            for source, bit in sources:
                while v["wait"] & bit and not self.tokens[source, number]:
                    yield self.token
                self.tokens[source, number] -= bool(v["wait"] & bit)
            while queue.running >= queue.overlap:
                yield queue.finished
            queue.words.popleft()
            queue.running += 1
            queue.left.fire()
            accepted = clock.now

            def finish(at: float, position=position, fmt=fmt, v=v, accepted=accepted) -> None:
                at = queue.last = max(at, queue.last + 1)  # in order
                clock.at(at + 1, lambda: self._finished(name, Ran(position, fmt, accepted, at), v["release"]))

            yield from unit(fmt, v, finish)

    def _finished(self, name: str, ran: Ran, release: int) -> None:
        queue, number = self.queues[name], QUEUES.index(name)
        queue.running -= 1
        for destination in range(len(QUEUES) - 1):
            if release >> destination & 1:
                self.tokens[number, destination] += 1
                if self.tokens[number, destination] >= 1 << TokenTable.BITS:
                    raise OverflowError(f"tokens {QUEUES[number]} to {QUEUES[destination]}: too many")
        if self.keep:
            self.ran.append(ran)
        if not queue.words and not queue.running:
            queue.busy += self.clock.now - queue.since
        self.token.fire()
        queue.finished.fire()

    # LD

    def _load(self, _: str, v: dict[str, int], finish) -> Steps:
        """A memory word a cycle, of X or of W."""
        clock, stream, left = self.clock, self.load, v["runs"]

        def took(end: float, _: int, ends: bool) -> None:
            nonlocal left
            left -= ends
            if not left:
                stream.gate += 2  # the next instruction's turn
                finish(end + LoadUnit.BEHIND)

        def ask() -> None:
            for run in range(v["runs"]):
                self.reads.ask(stream, v["address"] + run * v["stride"], v["words"], 1, took)

        clock.at(clock.now + 1, ask)
        yield clock.now + 2

    # MM

    def _multiply(self, _: str, v: dict[str, int], finish) -> Steps:
        if v["stationary"]:
            raise ValueError("stationary = 1: the cycle model has no stationary MM")
        p, clock = self.params, self.clock
        taps, spread, drain = v["taps_x"] * v["taps_y"], v["spread"], INTERLEAVE * p.rows
        steps, parts, blocks = INTERLEAVE << v["slots_log2"], p.word // GROUP, p.rows // p.word
        if spread:
            period, of_tile, tiles = steps, -(-v["pixels"] // GROUP), taps * v["words"] // blocks
            self.steps += INTERLEAVE * v["pixels"] * tiles
        else:
            period, of_tile, tiles = max(steps * parts, p.rows), taps * v["words"], -(-v["pixels"] // p.rows)
            self.steps += steps * parts * of_tile * tiles
        lead = Schedule.LEAD_SPREAD if spread else Schedule.LEAD
        behind = lead + WordFetch.LATENCY + Stce.output(p) + drain - INTERLEAVE + 1  # last step to last vector of sums
        vectors = max(1, 2 * p.columns // p.word) * INTERLEAVE if v["wide"] else INTERLEAVE
        per_word = max(1, p.word // (2 * p.columns)) if v["wide"] else p.word // p.columns
        of_row = 1 + min(vectors, v["out_words"] * per_word)
        opens, left, answers = clock.now + 4, v["pixels"], Answers(clock, finish)
        for tile in range(tiles):
            rows = p.rows if spread else min(p.rows, left)
            left -= rows
            while self.held == TILES:
                yield self.room
            may = max(self.opened + drain, clock.now + 1 if clock.now > opens else 0.0)
            opens += max(0, -(-(may - opens) // period)) * period
            self.opened, self.held = opens, self.held + 1
            opens += of_tile * period
            leave = self._leave(v, tile * p.rows, rows, rows * of_row, answers, tile + 1 == tiles)
            self.tiles.append((opens - 1 + behind + 2, leave))
            self.come.fire()
            yield opens - 1
        self.opened = opens - 1 + (Schedule.LEAD_SPREAD + 1 if spread else 0)
        yield opens + Schedule.LEAD_SPREAD + 1

    def _sums(self) -> Steps:
        """Tiles leave one after the other, each when all of its sums have come."""
        while True:
            while not self.tiles:
                yield self.come
            whole, leave = self.tiles.popleft()
            yield whole
            yield from leave
            self.held -= 1
            self.room.fire()
            yield self.clock.now + 1

    def _leave(self, v: dict[str, int], first: int, rows: int, cycles: int, answers: Answers, last: bool) -> Steps:
        """Words of a tile to memory, over the cycles in which they are read; a FIFO holds some."""
        words, clock, begin, waiting, taken = rows * v["out_words"], self.clock, self.clock.now, 0, Signal()
        at = v["out"] + first * (v["out_words"] if v["spread"] else v["out_x"])

        def left(count: int) -> None:
            nonlocal waiting
            waiting -= count
            taken.fire()

        def put(place: int, count: int, ends: bool) -> None:
            self.writes.put(Writer.MATRIX, place, count, left, answers.came)
            if ends:
                answers.close(clock.now)

        for done in range(0, words, WritePort.SOME):
            count = min(WritePort.SOME, words - done)
            yield max(begin + cycles * (done + count) // words - 1, clock.now)
            while waiting + count > 2 * Sums.FLIGHT:
                yield taken
            waiting += count
            answers.sent(count)
            clock.at(clock.now + OUT - count + 1, lambda at=at + done, count=count, ends=last and done + count == words:
                     put(at, count, ends))

    # UPD

    def _update(self, _: str, v: dict[str, int], finish) -> Steps:
        Update(self.params, self.clock, self.reads, self.update, self.writes, v,
               lambda answered: finish(answered + ANSWERED))
        yield self.queues["UPD"].finished
