"""UPD in the training engine's cycle model: blocks read ahead, rows through the lanes, words to memory in turns."""

from collections import deque
from collections.abc import Callable, Iterator

from golden.train.params import GROUP, TrainParams, slots
from golden.train.update_unit import INDEX_BYTES, VALUES_BYTES
from hw.train.dropped import PIECE_BITS
from hw.train.part_sums import PartSums
from hw.train.update_read import UpdateRead
from hw.train.updated_words import UpdatedWords
from hw.train.wuve import Wuve

from .train_events import Clock, Signal, Steps, ignored, spawn
from .train_memory import ReadPort, Stream, WritePort, Writer

__all__ = ["Update"]

PIECE = 2
"""Cycles from a piece's last word to the next one's first (PieceWalk)."""
SORTED = 4
"""From a row of a block to the first word of a piece that ends with it: FIFO, Sore, PieceWalk, turns."""
ORDERS = (0, 1, 2), (1, 2, 0), (2, 0, 1)
"""In which those who write are asked, by whose turn it is."""
START = 3
"""From taking an instruction to its first command."""


class Update:
    """An instruction.

    Args:
        stream: of `reads`. finish: called with the time of the last answer.
    """

    def __init__(self, params: TrainParams, clock: Clock, reads: ReadPort, stream: Stream, writes: WritePort,
                 v: dict[str, int], finish: Callable[[float], None]) -> None:
        self.params, self.clock, self.reads, self.stream, self.writes, self.v = (
            params, clock, reads, stream, writes, v)
        self.blocks, self.turns = v["taps"] * v["groups"] * params.tile_columns // GROUP, len(params.masters)
        self.came, self.entered, self.beats = [], [], 0  # rows of blocks: there, in the lanes; beats of masters
        self.summed = 0.0  # lanes that add parts are free
        self.masked = 0.0  # masks of the line are there
        self.added = self.given = self.made = 0  # parts, blocks, rows out of the lanes
        self.signal, self.leaves = Signal(), Signal()
        self.words = deque(), deque(), deque()  # masters, pieces for FF, for BP: (offered from, byte, ends a piece)
        for process in (self._ask(), self._enter(), self._make(), self._leave(finish)):
            spawn(clock, process)

    @property
    def pace(self) -> int:
        """Cycles of a block in the lanes."""
        return GROUP * GROUP // self.params.update_lanes

    def _ask(self) -> Steps:
        """AHEAD parts, and blocks of masters, under way. With `masked` indices of a line of blocks are
        asked for before its first one."""
        v, size, parts, of_line = self.v, self.params.block_words, self.v["parts"], self.params.tile_columns // GROUP
        yield self.clock.now + START
        for block in range(self.blocks):
            if v["masked"] and block % of_line == 0:
                self._ask_masks(block // of_line)
            for part in range(parts):
                while block * parts + part - self.added >= UpdateRead.AHEAD:
                    yield self.signal
                self.reads.ask(self.stream, v["gradient"] + block * size + part * v["part"], size, 1,
                               self._part if parts > 1 else ignored)
            while block - self.given >= UpdateRead.AHEAD:
                yield self.signal
            masters = self.turns * size
            self.reads.ask(self.stream, v["masters"] + block * masters, masters, 1, self._block)

    def _ask_masks(self, line: int) -> None:
        """Words of a line of blocks but what the line before has left of its last one; a piece a cycle then."""
        of_word = self.params.axi_bits // PIECE_BITS
        pieces = slots(1 << self.v["ff_n"], 1 << self.v["ff_m"]) * self.params.tile_columns // GROUP
        first = self.v["ff_index"] + line * pieces
        begin = first // of_word if not line else -(-first // of_word)
        words = -(-(first + pieces) // of_word) - begin
        if words:
            self.reads.ask(self.stream, begin, words, 1,
                           lambda end, _, ends: self._masks(end, pieces) if ends else None)
        else:
            self._masks(self.clock.now, pieces)

    def _masks(self, end: float, pieces: int) -> None:
        self.masked = max(end, self.masked + pieces)

    def _part(self, end: float, _: int, ends: bool) -> None:
        if ends:
            self.summed = max(end - min(self.params.block_words, self.pace), self.summed) + self.pace
            self.clock.at(self.summed, self._add)

    def _add(self) -> None:
        self.added += 1
        self.signal.fire()

    def _block(self, end: float, beats: int, _: bool) -> None:
        """Beats of masters, one a cycle: a row may enter when its own are there."""
        summed = self.summed + (PartSums.LATENCY if self.v["parts"] > 1 else 0)
        of_row, row_pace, count = self.turns * self.params.block_words // GROUP, self.pace / GROUP, len(self.came)
        self.beats += beats
        for number in range(count, self.beats // of_row):
            there = end - (self.beats - (number + 1) * of_row)
            self.came.append(max(there, summed - (GROUP - 1 - number % GROUP) * row_pace, self.masked))
        self.signal.fire()

    def _enter(self) -> Steps:
        """Rows into the lanes, which have room for some."""
        most, time = max(1, Wuve.room(self.params) * self.params.update_lanes // GROUP), 0.0
        for number in range(self.blocks * GROUP):
            while len(self.came) <= number or number - self.made >= most:
                yield self.signal
            time = max(time, self.came[number], self.clock.now) + self.pace / GROUP
            yield time
            self.entered.append(time)
            if (number + 1) % GROUP == 0:
                self.given += 1
                self.added += self.v["parts"] == 1
            self.signal.fire()

    def _make(self) -> Steps:
        """Rows out of the lanes, while their masters' FIFO has place; pieces of the rows of a group, and a block later
        those for BP."""
        v, size, clock = self.v, self.params.axi_bits // 8, self.clock
        masters, of_row, time = self.words[0], self.turns * self.params.block_words // GROUP, 0.0
        latency = Wuve.latency(self.params)
        room = self.turns * (UpdatedWords.DEPTH - UpdatedWords.MARGIN + 2)  # as it is told a cycle later, of two rows
        for block in range(self.blocks):
            ff, bp = (list(self._places(what, block)) for what in ("ff", "bp"))
            for row in range(GROUP):
                while len(self.entered) <= block * GROUP + row:
                    yield self.signal
                time = max(time + self.pace / GROUP, self.entered[block * GROUP + row] + latency)
                yield time
                while len(masters) > room - of_row:
                    yield self.signal
                time = max(time, clock.now)
                first = v["masters"] + (block * GROUP + row) * of_row
                masters.extend((time + 1, (first + word) * size, False) for word in range(of_row))
                self._sorted(1, ff, row, time)
                self.made += 1
                self.leaves.fire()
                self.signal.fire()
            for row in range(GROUP):
                self._sorted(2, bp, row, time + row + 1)
        self.leaves.fire()

    def _sorted(self, kind: int, places: list, row: int, time: float) -> None:
        group = 1 << self.v["ff_m" if kind == 1 else "bp_m"]
        if (row + 1) % group == 0:
            count = len(places) * group // GROUP
            of_group = places[row // group * count : (row // group + 1) * count]
            self.words[kind].extend((time + SORTED, *place) for place in of_group)

    def _leave(self, finish: Callable[[float], None]) -> Steps:
        clock, left = self.clock, self.blocks * self.turns * self.params.block_words
        left += self.blocks * sum(len(list(self._places(what, 0))) for what in ("ff", "bp"))
        turns, may, turn, taken = self.words, [0.0] * 3, 0, Signal()
        while left:
            for kind in ORDERS[turn]:
                if turns[kind] and max(turns[kind][0][0], may[kind]) <= clock.now:
                    _, byte, ends = turns[kind].popleft()
                    left -= 1
                    self.writes.put(Writer.UPDATE, byte // self.writes.bytes, 1, lambda _: taken.fire(),
                                    None if left else lambda _: finish(clock.now))
                    yield taken
                    may[kind], turn = clock.now + (PIECE - 1 if ends else 0), (kind + 1) % 3
                    if not kind:
                        self.signal.fire()
                    break
            else:
                offered = [max(queue[0][0], at) for queue, at in zip(turns, may, strict=True) if queue]
                yield min(offered) if offered else self.leaves

    def _places(self, what: str, number: int) -> Iterator[tuple[int, bool]]:
        """(byte, it ends a piece) of a block's pieces, for FF or BP: see `hw.train.piece_walk`."""
        v = self.v
        if not v[what]:
            return
        n, m = 1 << v[f"{what}_n"], 1 << v[f"{what}_m"]
        count, of_row = (GROUP if n == m else slots(n, m)), self.params.tile_columns // GROUP
        line, block = divmod(number, of_row)
        first = line * count * of_row + block
        if what == "bp":
            tap, group = divmod(line, v["groups"])
            tile, column = divmod(group, of_row)
            first = tile * v["bp_tile"] + tap * v["bp_tap"] + block * count * of_row + column
        for piece in range(first, first + count * of_row, of_row):
            yield (v[f"{what}_values"] + piece) * VALUES_BYTES, n == m
            if n != m:
                yield (v[f"{what}_index"] + piece) * INDEX_BYTES, True
