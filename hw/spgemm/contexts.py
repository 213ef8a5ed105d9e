"""Which contexts rows get, and which half of the values."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from golden.spgemm.params import SpgemmParams

from .layouts import SERIAL_BITS, row_layout

__all__ = ["ContextRing", "ValueHalves"]


def group_of(m, p: SpgemmParams, name, first, regions):
    """A bit for each of the 2**regions contexts, aligned to that, that `first` is one of."""
    group = Signal(p.contexts, name=name)
    with m.Switch(regions):
        for size in range(p.contexts.bit_length()):
            with m.Case(size):
                m.d.comb += group.eq(((1 << (1 << size)) - 1) << (first >> size << size))
    return group


class ContextRing(wiring.Component):
    """Offers the next row's contexts: a group of 2**regions, aligned to that, behind the group before, in a ring, when
    no row that walks has any of them, or of those that the alignment skips. A row a cycle; two cycles without an offer
    behind `set_regions`, if that is a new size. Contexts are offered again two cycles after their row has finished.

    So no row gets ahead by more than a round of one that walks: rows leave in order, and what has a row's contexts
    before it never waits for lines that come behind that row.

    With `apart` rows come in windows. A window has the rows up to the first one whose contexts another one of it has,
    or up to the last one that comes. It is over when nothing of its rows is left; then the next one begins. Without
    `apart` a window ends with the last serial, see ValueHalves: as lines come in order, rows must not wait there for
    others that walk.

    Args:
        first_serial: see ValueHalves.

    Attributes:
        apart: not to change while rows are at work. last: no row comes before the window is over, with `apart`.
        closed: the window has all of its rows, and they have asked for their last lines. over: nothing is left of rows
            that have.
        set_regions, regions: the following rows take 2**regions contexts; not together with `take`.
        context, free: the offer. take: strobe, with `free`: a row begins with it.
        finished, finished_context, finished_regions: strobe: a row has asked for its last line.
    """

    def __init__(self, params: SpgemmParams, *, first_serial: int = 1):
        self.params, self.first_serial = params, first_serial
        row = row_layout(params)
        context, regions = row["context"].shape, row["regions"].shape
        super().__init__({
            "set_regions": In(1), "regions": In(regions), "context": Out(context), "free": Out(1), "take": In(1),
            "finished": In(1), "finished_context": In(context), "finished_regions": In(regions),
            "apart": In(1), "last": In(1), "closed": Out(1), "over": In(1),
        })

    def elaborate(self, platform):
        m = Module()
        p, base = self.params, self.context
        regions, group, held = Signal.like(self.regions), Signal(p.contexts), Signal(p.contexts)
        skipped, before = Signal(p.contexts), Signal.like(base)
        settled, compared, blocked, behind = Signal(), Signal(), Signal(), Signal(p.contexts)
        window, full = self._window(m, held, settled, group | skipped)
        m.d.comb += self.free.eq(settled & compared & ~blocked & ~full)
        next_group = Mux(self.take, behind, group)
        with m.Switch(regions):
            for size in range(p.contexts.bit_length()):
                with m.Case(size):
                    m.d.sync += behind.eq(next_group.rotate_left(1 << size))
        after_take = (held | window | group) & behind
        m.d.sync += [
            settled.eq(1), compared.eq(settled),
            blocked.eq(Mux(self.take, after_take.any(), ((held | window) & (group | skipped)).any())),
        ]  # fmt: skip
        with m.If(~settled):  # a new size: first where its group begins, a cycle later the group, then if it is free
            m.d.sync += group.eq(group_of(m, p, "next_group", base, regions))
            with m.If(before != base):
                m.d.sync += skipped.eq(skipped | group_of(m, p, "group_before", before, regions))
        with m.If(self.set_regions & (self.regions != regions)):
            below = Cat(self.regions > bit for bit in range(len(base)))
            m.d.sync += [regions.eq(self.regions), before.eq(base), settled.eq(0), base.eq((base + below) & ~below)]
        with m.If(self.take):
            m.d.sync += [skipped.eq(0), group.eq(behind), base.eq(base + (1 << regions))]
        gone = Signal(p.contexts)
        finished_group = group_of(m, p, "finished_group", self.finished_context, self.finished_regions)
        m.d.sync += [gone.eq(Mux(self.finished, finished_group, 0)), held.eq((held & ~gone) | Mux(self.take, group, 0))]
        with m.If(self.take & self.apart):
            m.d.sync += window.eq(window | group)
        return m

    def _window(self, m, held, settled, wanted):
        """(contexts that rows of the window have had, if it has to end there; whether it has all of its rows)."""
        window, full = Signal(self.params.contexts), Signal()
        serial, spent = Signal(SERIAL_BITS, init=self.first_serial), Signal()
        m.d.comb += self.closed.eq(full & ~held.any())
        with m.If(self.take):
            m.d.sync += [serial.eq(serial + 1), spent.eq(serial == (1 << SERIAL_BITS) - 1)]
        with m.If(self.closed & self.over):
            m.d.sync += [full.eq(0), window.eq(0), spent.eq(0)]
            with m.If(spent):
                m.d.sync += serial.eq(1)
        with m.Elif(spent | (window.any() & (self.last | (settled & (window & wanted).any())))):
            m.d.sync += full.eq(1)
        return window, full | spent


class ValueHalves(wiring.Component):
    """Tells which half of the values a row can have: one that all of its contexts have free.

    What a row finds is looked up while it comes, so that little is left to do in the cycle in which it may begin; a
    half that has become free is offered two cycles later.

    Tags need no wait: in every bank all products of the row that had the contexts before come first. Serials count from
    1. Before 0 comes, and after reset, all values must be free; then `sweep` goes over all slots.

    Args:
        first_serial: of the first row.

    Attributes:
        comes, next_context, next_regions: strobe: a row comes with these contexts; context, regions: from the next
            cycle on. row, free: the row with half and serial. take: strobe, with `free`.
        release, released: strobe: a row's values have been read.
        sweep, sweep_address: slots that must forget what they have.
    """

    def __init__(self, params: SpgemmParams, *, first_serial: int = 1):
        self.params, self.first_serial = params, first_serial
        row = row_layout(params)
        context, regions = row["context"].shape, row["regions"].shape
        super().__init__({
            "comes": In(1), "next_context": In(context), "next_regions": In(regions), "context": In(context),
            "regions": In(regions), "row": Out(row), "free": Out(1), "take": In(1), "release": In(1),
            "released": In(row), "sweep": Out(1), "sweep_address": Out(range(params.slots)),
        })

    def elaborate(self, platform):
        m = Module()
        row, contexts = self.row, self.params.contexts
        held = [Signal(contexts, name=f"held_{half}") for half in range(2)]
        stale = self._serial(m, ~(held[0] | held[1]).any())
        coming, group = group_of(m, self.params, "coming", self.next_context, self.next_regions), Signal(contexts)
        found, overlaps, took, blocked = Signal(2), Signal(), Signal(2), Signal(2)
        m.d.comb += [
            # the row that began in the cycle in which this one came is not in `found`
            blocked.eq(found | (took & overlaps.replicate(2))), row.half.eq(blocked[0]),
            self.free.eq(~stale & ~blocked.all()), row.context.eq(self.context), row.regions.eq(self.regions),
        ]
        looked_up = Signal(contexts)
        m.d.comb += looked_up.eq(Mux(self.comes, coming, group))
        m.d.sync += [
            group.eq(looked_up), found.eq(Cat((half & looked_up).any() for half in held)),
            overlaps.eq((group & coming).any() & self.comes),
            took.eq(Cat(self.take & (row.half == half) for half in range(2))),
        ]
        gone = group_of(m, self.params, "released_group", self.released.context, self.released.regions)
        for half in range(2):
            got = Mux(self.take & (row.half == half), group, 0)
            left = Mux(self.release & (self.released.half == half), gone, 0)
            m.d.sync += held[half].eq((held[half] & ~left) | got)
        return m

    def _serial(self, m, all_free):
        """Whether serials have run out and slots may still have old ones."""
        highest = (1 << SERIAL_BITS) - 1
        serial, stale = Signal(SERIAL_BITS, init=self.first_serial), Signal(init=1)
        is_last = Signal(init=self.first_serial == highest)
        m.d.comb += self.row.serial.eq(serial)
        with m.If(self.take):
            m.d.sync += [serial.eq(serial + 1), is_last.eq(serial == highest - 1)]
            with m.If(is_last):
                m.d.sync += stale.eq(1)
        with m.If(self.sweep):
            m.d.sync += self.sweep_address.eq(self.sweep_address + 1)
            with m.If(self.sweep_address == self.params.slots - 1):
                m.d.sync += [self.sweep.eq(0), stale.eq(0)]
                with m.If(serial == 0):
                    m.d.sync += serial.eq(1)
        with m.Elif(stale & all_free):
            m.d.sync += self.sweep.eq(1)
        return stale
