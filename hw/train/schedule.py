"""Which cycle of the STCE does what: a matrix instruction as words to load, steps and rows of W."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from golden.train.params import GROUP, INTERLEAVE, TrainParams

from .pixel_walk import mm_layout
from .stce import Stce
from .tap_walk import TapWalk, tap_layout
from .uspe import PLACE_BITS, SLOT_BITS, SUM_BITS

__all__ = ["Schedule", "slot_layout", "step_plan_layout"]


def slot_layout(params: TrainParams) -> data.StructLayout:
    """A word to read: for pixel `number` of the table, `further` words behind the one that the taps show."""
    return data.StructLayout({"valid": 1, "number": (2 * params.rows - 1).bit_length(), "further": SUM_BITS})


def step_plan_layout(params: TrainParams) -> data.StructLayout:
    """A step of row 0, see `control_layout`, the row of W that it takes, and whether that is `dense`."""
    return data.StructLayout({
        "on": 1, "half": 1, "slot": SLOT_BITS, "sum": SUM_BITS, "first": 1, "last": 1, "store": 1,
        "row": (params.rows - 1).bit_length(), "w": (params.w_steps - 1).bit_length(), "dense": 1,
    })


class Schedule(wiring.Component):
    """Runs an instruction in periods, as long as the steps for a memory word (for one of its groups, if weights are
    stationary or k's are pixels), or as there are rows, if these are more. What it says about steps comes LEAD cycles
    before they are due, or LEAD_SPREAD if k's are pixels; about writes, one.

    In cycle r of a period the word for row r is read; if k's are pixels, that for k in cycle 8 k + 1, and those for
    further rows behind it. A period before a tile in which there is no room for its sums is empty, as are as many as
    make the tile before `rows` rounds long.

    Attributes:
        mm: the instruction, stable from `start` until it is all said, which `idle` tells. start: strobe, if `idle`.
        restart, free: see PixelWalk. tap: see TapWalk; of the same cycle as `slot`.
        slot: a word to read. load, write, spread, place: for row 0, see `control_layout`. step: to be delayed.
        room: the sums of one more tile may come, or of `rows` more pixels. tile: strobe: they will, of `tile_rows`
            rows; they are the instruction's last if `tile_last`.
        finished: strobe: the sums of a stationary instruction are in memory.
        stationary, slots_log2, groups: for the array.
        wrong: strobe: the instruction is none that there is (`golden.train.matrix.MatrixUnit.multiply`); it has no end.
    """

    LEAD, LEAD_SPREAD = GROUP + 1, INTERLEAVE * (GROUP - 1) + 2

    def __init__(self, params: TrainParams):
        self.params = params
        self.QUIET = Stce.output(params) + INTERLEAVE * params.rows + Stce.RING + self.LEAD_SPREAD + GROUP
        """Cycles after which what was said has happened."""
        super().__init__({
            "mm": In(mm_layout()), "start": In(1), "idle": Out(1),
            "restart": Out(1), "free": Out(range(params.rows + 1)),
            "tap": Out(tap_layout(params)),
            "slot": Out(slot_layout(params)), "load": Out(1), "write": Out(1), "spread": Out(1),
            "place": Out(PLACE_BITS), "step": Out(step_plan_layout(params)),
            "room": In(1), "tile": Out(1), "tile_rows": Out(range(params.rows + 1)), "tile_last": Out(1),
            "finished": In(1),
            "stationary": Out(1), "slots_log2": Out(3), "groups": Out(range(params.rows)),
            "wrong": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        p, mm, step = self.params, self.mm, self.step
        self.parts, self.blocks = p.word // GROUP, p.rows // p.word
        m.submodules.taps = taps = TapWalk(p)
        self.running, self.storing, self.tile_open = Signal(), Signal(), Signal()
        self.ends = Signal()  # with the instruction's last period
        self.base = Signal(range(2 * p.rows))  # number of the tile's first pixel, or of the period's
        self.pixels_left, self.stored = Signal(20), Signal(range(p.rows + 1))
        self._period(m)
        m.d.comb += [
            taps.mm.eq(mm), taps.by.eq(1), self.spread.eq(mm.spread), self.tap.eq(taps.tap),
            self.load.eq(self.now & self.opens & ~mm.spread),
            self.write.eq(self.now & self.steps_here & (self.within < GROUP)),
            self.place.eq(Cat(self.within[:4], self.half)),
            step.half.eq(self.half), Cat(step.sum, step.slot).eq(self.within), step.row.eq(self.stored),
            step.on.eq(self.now & self.steps_here), step.dense.eq(mm.slots_log2 == SLOT_BITS),
            self.tile_last.eq(self.pixels_left <= p.rows),
            self.tile_rows.eq(Mux(self.tile_last, self.pixels_left, p.rows)),
        ]
        with m.If(self.storing):
            self._store(m, taps)
        with m.Elif(mm.stationary):
            self._stationary(m, taps)
        with m.Elif(mm.spread):
            self._spread(m, taps)
        with m.Else():
            self._rows(m, taps)
        self._steps_w(m, taps)
        self._states(m, taps)
        return m

    def _period(self, m):
        """Counters: cycle `q` of the period, `within` the steps of a group; `now`: the period is not empty."""
        p, mm = self.params, self.mm
        longest = max(INTERLEAVE * GROUP * self.parts, p.rows)
        self.q, self.within = Signal(range(longest)), Signal(SLOT_BITS + SUM_BITS)
        part, last, group_last, one_group = Signal(range(self.parts + 1)), Signal(range(longest)), Signal(7), Signal()
        self.opens, self.closes, self.now, self.half = Signal(), Signal(), Signal(), Signal()
        self.steps_here, self.part_opens, self.part_last = Signal(), Signal(), Signal()
        self.since, going, may_go = Signal(range(INTERLEAVE * p.rows + 1)), Signal(), Signal()
        m.d.comb += [
            one_group.eq(mm.stationary | mm.spread),
            self.opens.eq(self.q == 0), self.closes.eq(self.running & (self.q == last)),
            self.steps_here.eq(part != Mux(one_group, 1, self.parts)), self.part_opens.eq(part == 0),
            self.part_last.eq(one_group | (part == self.parts - 1)),
            may_go.eq(Mux(
                mm.stationary, (self.pixels_left != 0) & (self.room | (self.base[:-1] != 0)),
                self.tile_open | (self.room & self.since[-1]))),
            self.now.eq(self.running & ~self.storing & Mux(self.opens, may_go, going)),
        ]
        lengths = [(INTERLEAVE << log2) * self.parts for log2 in range(SLOT_BITS + 1)]
        with m.Switch(mm.slots_log2):
            for log2, length in enumerate(lengths):
                with m.Case(log2):
                    m.d.sync += [
                        group_last.eq((INTERLEAVE << log2) - 1),
                        last.eq(Mux(one_group, (INTERLEAVE << log2) - 1, max(length, p.rows) - 1)),
                    ]
        m.d.sync += going.eq(self.now)
        with m.If(~self.since[-1]):
            m.d.sync += self.since.eq(self.since + 1)
        with m.If(self.tile | (self.running & self.ends)):  # those of the instruction before leave for as long, too
            m.d.sync += self.since.eq(1)
        with m.If(self.running):
            m.d.sync += [self.q.eq(self.q + 1), self.within.eq(self.within + 1)]
            with m.If((self.within == group_last) & self.steps_here):
                m.d.sync += [self.within.eq(0), part.eq(part + 1), self.half.eq(~self.half)]
        with m.If(self.closes | ~self.running):
            m.d.sync += [self.q.eq(0), self.within.eq(0), part.eq(0)]
        self.first_round, self.last_round = Signal(), Signal()
        m.d.comb += [
            self.first_round.eq((self.within[SUM_BITS:] == 0) & self.part_opens),
            self.last_round.eq((self.within[SUM_BITS:] == group_last[SUM_BITS:]) & self.steps_here & self.part_last),
        ]

    def _rows(self, m, taps):
        """Rows are pixels: a word of a tap in each period, `rows` pixels a tile."""
        rows, closes = self.params.rows, self.closes & self.now
        tile_ends = closes & taps.last
        m.d.comb += [
            self.slot.valid.eq(self.now & (self.q < rows)), self.slot.number.eq(self.base + self.q),
            self.tile.eq(self.now & self.opens & ~self.tile_open), taps.advance.eq(closes),
            self.step.first.eq(self.first_round & ~self.tile_open),
            self.step.last.eq(self.now & self.last_round & taps.last),
            self.free.eq(Mux(tile_ends, rows, 0)), self.ends.eq(tile_ends & (self.pixels_left <= rows)),
        ]
        with m.If(closes):
            m.d.sync += self.tile_open.eq(~taps.last)
        with m.If(tile_ends):
            m.d.sync += [self.base.eq(self.base + rows), self.pixels_left.eq(self.pixels_left - rows)]

    def _spread(self, m, taps):
        """Rows are the numbers of `blocks` words of a tap, 16 pixels in each period, all pixels a tile."""
        closes, k, turn = self.closes & self.now, self.q[SUM_BITS:SUM_BITS + SLOT_BITS], self.q[:SUM_BITS]
        tile_ends = closes & (self.pixels_left <= GROUP)
        m.d.comb += [
            self.slot.valid.eq(self.now & (turn != 0) & (turn <= self.blocks)), self.slot.number.eq(self.base + k),
            self.slot.further.eq(turn - 1),
            self.write.eq(self.now & (turn == 0)), self.place.eq(Cat(k, self.half)),
            self.tile.eq(self.now & self.opens & ~self.tile_open), self.tile_last.eq(taps.last),
            self.tile_rows.eq(self.params.rows), taps.by.eq(self.blocks), taps.advance.eq(tile_ends),
            self.step.on.eq(self.now & ((self.pixels_left[SLOT_BITS:] != 0) | (k < self.pixels_left[:SLOT_BITS]))),
            self.step.first.eq(self.first_round & ~self.tile_open),
            self.step.last.eq(self.now & self.last_round & (self.pixels_left <= GROUP)),
            self.free.eq(Mux(closes, GROUP, 0)), self.restart.eq(tile_ends), self.ends.eq(tile_ends & taps.last),
        ]
        with m.If(closes):
            m.d.sync += [self.base.eq(self.base + GROUP), self.pixels_left.eq(self.pixels_left - GROUP),
                         self.tile_open.eq(1)]
        with m.If(tile_ends):
            m.d.sync += [self.base.eq(0), self.pixels_left.eq(self.mm.pixels), self.tile_open.eq(0)]

    def _stationary(self, m, taps):
        """A pixel in each period; row r is r periods behind, so its word is that of the pixel which row 0 had then."""
        rows = self.params.rows
        number, period = Signal(rows.bit_length() - 1), Signal(range(rows + 1))  # of the period; how many there were
        tail = Signal(range(rows + 1))
        m.submodules.history = history = Memory(
            shape=1 + len(self.base), depth=rows, init=[], attrs={"ram_style": "distributed"})
        write, read = history.write_port(), history.read_port(domain="comb")
        current, row = Cat(self.base, self.now), self.q[:len(number)]
        past = Mux(self.opens, current, read.data)
        m.d.comb += [
            write.en.eq(self.opens), write.addr.eq(number), write.data.eq(current), read.addr.eq(number - row),
            self.slot.number.eq(past[:-1]),
            self.slot.valid.eq(self.running & past[-1] & (self.q < self.stored) & (self.q <= period)),
            self.tile.eq(self.now & self.opens & (self.base[:len(number)] == 0)),
            taps.advance.eq(self.q[:self.parts.bit_length() - 1] == self.parts - 1),
            taps.restart.eq(self.closes | ~self.running),
            self.step.first.eq(self.first_round), self.step.last.eq(self.now & self.last_round),
            self.free.eq(self.closes & self.now & period[-1]),
            self.ends.eq(self.closes & (self.pixels_left == 0) & (tail == 0)),
        ]
        with m.If(self.closes):
            m.d.sync += number.eq(number + 1)
            with m.If((self.now | (period != 0)) & ~period[-1]):
                m.d.sync += period.eq(period + 1)
            with m.If(self.now):
                m.d.sync += [self.base.eq(self.base + 1), self.pixels_left.eq(self.pixels_left - 1)]
                m.d.sync += tail.eq(self.stored)
            with m.If(self.pixels_left == 0):
                m.d.sync += tail.eq(tail - 1)
        with m.If(~self.running):
            m.d.sync += [number.eq(0), period.eq(0)]

    def _store(self, m, taps):
        """The weights of a group in each period."""
        of_word = Signal(range(max(2, self.parts)))
        word_ends = of_word == self.parts - 1
        m.d.comb += [self.step.store.eq(self.running), taps.advance.eq(self.closes & word_ends)]
        self.store_opens, self.store_ends, self.stored_all = of_word == 0, Signal(), Signal()
        most = Signal(range(self.params.rows))  # groups but one: rows, or words that a period has time for
        with m.Switch(self.mm.slots_log2):
            for log2 in range(1, SLOT_BITS + 1):
                with m.Case(log2):
                    m.d.sync += most.eq(min(self.params.rows, INTERLEAVE << log2) - 1)
        m.d.comb += self.stored_all.eq(self.stored == most)
        m.d.comb += self.store_ends.eq(self.closes & word_ends & taps.last)
        with m.If(self.closes):
            m.d.sync += [self.stored.eq(self.stored + 1), of_word.eq(Mux(word_ends, 0, of_word + 1))]

    def _steps_w(self, m, taps):
        """The row of W: one after the other, from where a tap begins, or with `spread` a tile."""
        following, opens = Signal(len(self.step.w), reset_less=True), Signal()
        m.d.comb += [
            opens.eq(self.opens & Mux(self.mm.spread, ~self.tile_open,
                                      taps.opens & (~self.storing | self.store_opens))),
            self.step.w.eq(Mux(opens, self.mm.w + Mux(self.mm.spread, 0, taps.w), following)),
        ]
        with m.If(self.step.on | self.step.store):
            m.d.sync += following.eq(self.step.w + 1)

    def _wrong(self):
        mm = self.mm
        return Cat(
            (mm.slots_log2 == 0) | (mm.slots_log2 > SLOT_BITS),
            mm.spread & ((mm.slots_log2 != SLOT_BITS) | mm.stationary),
            *(field == 0 for field in (mm.pixels, mm.nx, mm.ny, mm.taps_x, mm.taps_y, mm.words)),
            mm.spread & ((mm.words & (self.blocks - 1)) != 0),
        ).any()

    def _states(self, m, taps):
        waited = Signal(range(self.QUIET + 1))
        m.d.sync += [waited.eq(waited + 1), self.groups.eq(self.stored)]
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.idle.eq(1)
                m.d.sync += [self.base.eq(0), self.tile_open.eq(0), self.stored.eq(0)]
                with m.If(self.start):
                    m.next = "PREPARE"
            with m.State("PREPARE"):
                m.d.comb += [taps.restart.eq(1), self.restart.eq(1)]
                m.d.sync += [self.pixels_left.eq(self.mm.pixels), self.storing.eq(self.mm.stationary)]
                m.d.comb += self.wrong.eq(self._wrong())
                m.next = "SETTLE"
                with m.If(self.wrong):
                    m.next = "IDLE"
            with m.State("SETTLE"):
                m.d.sync += self.running.eq(1)
                m.next = "RUN"
            with m.State("RUN"):
                with m.If(self.storing & self.store_ends):
                    m.d.sync += [self.running.eq(0), self.storing.eq(0), waited.eq(0)]
                    m.next = "QUIET"
                with m.Elif(self.storing & self.closes & self.stored_all):
                    m.d.comb += self.wrong.eq(1)
                    m.d.sync += self.running.eq(0)
                    m.next = "IDLE"
                with m.If(~self.storing & self.ends):
                    m.d.sync += [self.running.eq(0), waited.eq(0)]
                    m.next = "LINGER"
                    with m.If(self.mm.stationary):
                        m.next = "DRAIN"
            with m.State("LINGER"):
                with m.If(self.mm.spread):  # sums come LEAD_SPREAD later, those of the next instruction perhaps sooner
                    m.d.sync += self.since.eq(1)
                with m.If(waited == self.LEAD_SPREAD):
                    m.next = "IDLE"
            with m.State("QUIET"):
                with m.If(waited == self.QUIET):
                    m.d.sync += [self.stationary.eq(1), self.slots_log2.eq(self.mm.slots_log2)]
                    m.next = "SETTLE"
            with m.State("DRAIN"):
                m.d.sync += waited.eq(0)
                with m.If(self.finished):
                    m.next = "FLUSH"
            with m.State("FLUSH"):
                m.d.sync += self.stationary.eq(0)
                with m.If(waited == self.QUIET):
                    m.next = "IDLE"
