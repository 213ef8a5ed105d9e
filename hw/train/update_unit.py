"""UPD: weights of a tile are updated in memory, and their compact forms made."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from golden.train.params import TrainParams
from hw.fabric.answers import AnswerWatch
from hw.fabric.axi import ADDRESS_BITS, command_layout
from hw.fabric.round_robin import RoundRobin

from .layouts import is_pattern, masked_layout, update_layout
from .piece_walk import PieceWalk
from .pregenerate import Pregenerate
from .update_read import UpdateRead
from .updated_words import UpdatedWords
from .wuve import Wuve

__all__ = ["UpdateUnit"]


class UpdateUnit(wiring.Component):
    """`golden.train.update_unit`, an instruction at a time:

        UpdateRead --update_lanes weights a cycle--> Wuve --> UpdatedWords --words of masters-------------> words
                                                                   `--rows--> Pregenerate --> 2 PieceWalks --'

    A block of 16 x 16 weights takes the longest of: (parts + M) B words read, B = `block_words` = 8192 / axi_bits, of M
    masters, 2 or 3, with `masked` B S / 128 more; parts * 256 / update_lanes cycles; M B words written and, for FF and
    for BP, 2 S pieces, 16 if dense. A piece is a word of its own, as most of a word belongs to other blocks. An
    instruction takes some 130 cycles more at most, of Adam 30 more, with `masked` 10 and a line's pieces more, and the
    latencies of a read and of a write. Longer read latencies than of about three blocks, or three parts, cost more.

    No two of those who write wait for each other: each offers its words when it has them, and words leave in turns.

    Attributes:
        upd: instructions. finished: strobe: all that one writes is in memory. wrong: strobe: an instruction without
            taps, groups or parts, with a pattern that is none, or with masks of dense weights; it has no end.
        rate ..: `TrainParams.settings`; constant while there is an instruction.
        base: of the port that is read. commands, beats: of an AxiReader.
        words, answered: what goes to memory; a strobe: a word of it is there.
    """

    def __init__(self, params: TrainParams):
        self.params = params
        super().__init__({
            "upd": In(stream.Signature(update_layout())), "finished": Out(1), "wrong": Out(1),
            **dict.fromkeys(params.settings, In(32)), "base": In(ADDRESS_BITS),
            "commands": Out(stream.Signature(command_layout())), "beats": In(stream.Signature(params.axi_bits)),
            "words": Out(stream.Signature(masked_layout(params))), "answered": In(1),
        })

    def elaborate(self, platform):
        m = Module()
        p = self.params
        m.submodules.reading = reading = UpdateRead(p)
        m.submodules.wuve = wuve = Wuve(p)
        m.submodules.updated = updated = UpdatedWords(p)
        m.submodules.pregenerate = pregenerate = Pregenerate()
        m.submodules.ff = ff = PieceWalk(p, turned=False)
        m.submodules.bp = bp = PieceWalk(p, turned=True)
        upd, start = Signal(update_layout(), reset_less=True), Signal()
        row = pregenerate.i.payload
        m.d.comb += [
            *(part.start.eq(start) for part in (reading, updated, ff, bp)),
            *(getattr(part, name).eq(getattr(upd, name))
              for part in (reading, updated, ff, bp) for name in ("taps", "groups")),
            *(getattr(reading, name).eq(getattr(upd, name)) for name in ("gradient", "parts", "part", "masked")),
            reading.base.eq(self.base), reading.index.eq(upd.ff_index), reading.pattern.eq(ff.pattern),
            *(part.masters.eq(upd.masters) for part in (reading, updated)),
            *(getattr(wuve, name).eq(getattr(self, name)) for name in p.settings),
            pregenerate.i.valid.eq(updated.rows.valid), updated.rows.ready.eq(pregenerate.i.ready),
            row.numbers.eq(updated.rows.payload),
            bp.tap_step.eq(upd.bp_tap), bp.tile_step.eq(upd.bp_tile), ff.write.eq(upd.ff), bp.write.eq(upd.bp),
        ]
        for name, part in (("ff", ff), ("bp", bp)):
            m.d.comb += [
                *(field.eq(getattr(upd, f"{name}_{log}"))
                  for pattern in (part.pattern, row[name]) for log, field in (("n", pattern.n), ("m", pattern.m))),
                part.values.eq(getattr(upd, f"{name}_values")), part.index.eq(getattr(upd, f"{name}_index")),
            ]
        connect(m, flipped(self.commands), reading.commands)
        connect(m, flipped(self.beats), reading.beats)
        connect(m, reading.o, wuve.i)
        connect(m, wuve.o, updated.i)
        connect(m, pregenerate.ff, ff.pieces)
        connect(m, pregenerate.bp, bp.pieces)
        self._turns(m, (updated.words, ff.words, bp.words))
        self._phases(m, upd, start, Cat(updated.done, ff.done, bp.done).all())
        return m

    def _turns(self, m, sources):
        m.submodules.turns = turns = RoundRobin(len(sources))
        free, word = Signal(), Signal(masked_layout(self.params), reset_less=True)
        m.d.comb += [
            free.eq(~self.words.valid | self.words.ready), turns.take.eq(free), self.words.payload.eq(word),
            turns.requests.eq(Cat(source.valid for source in sources)),
        ]
        with m.If(free):
            m.d.sync += self.words.valid.eq(turns.requests.any())
        for number, source in enumerate(sources):
            m.d.comb += source.ready.eq(free & turns.grant[number])
            with m.If(free & turns.grant[number]):
                m.d.sync += word.eq(source.payload)

    def _phases(self, m, upd, start, done):
        m.submodules.watch = watch = AnswerWatch(1, 2)
        m.d.comb += [watch.sent.eq(self.words.valid & self.words.ready), watch.answered.eq(self.answered)]
        is_legal, given = Signal(), self.upd.payload
        legal = [is_pattern(given.ff_n, given.ff_m), is_pattern(given.bp_n, given.bp_m), given.taps != 0,
                 given.groups != 0, given.parts != 0, ~given.masked | (given.ff_m != 0)]
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.upd.ready.eq(1)
                with m.If(self.upd.valid):
                    m.d.sync += [upd.eq(given), is_legal.eq(Cat(legal).all())]
                    m.next = "CHECK"
            with m.State("CHECK"):
                m.d.comb += [start.eq(is_legal), self.wrong.eq(~start)]
                m.next = "WRONG"
                with m.If(start):
                    m.next = "RUN"
            with m.State("RUN"):
                with m.If(done & ~self.words.valid):
                    m.d.comb += watch.close.eq(1)
                    m.next = "ANSWERS"
            with m.State("ANSWERS"):
                m.d.comb += self.finished.eq(watch.finished)
                with m.If(watch.finished):
                    m.next = "IDLE"
            with m.State("WRONG"):
                pass
