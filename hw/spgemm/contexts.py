"""Which contexts a row gets."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from golden.spgemm.params import SpgemmParams

from .layouts import SERIAL_BITS, row_layout

__all__ = ["Contexts"]


class Contexts(wiring.Component):
    """Offers the next row's contexts: a group of 2**regions, aligned to that, behind the group before, in a ring.

    A group is offered when the tags of all its contexts are free, and one half of the values of all of them. A row has
    the tags until its leader (its first context) has `ended`, the values until its `released`. Serials count from 1.
    Before 0 comes, and after reset, all contexts must be free; then `sweep` goes over all slots. A row a cycle; two
    cycles without an offer behind `set_regions`.

    Args:
        first_serial: of the first row.

    Attributes:
        set_regions, regions: the following rows take 2**regions contexts; not together with `take`.
        row, free: the offer. take: strobe, with `free`: a row begins with it.
        ended: level, by half * contexts + leader. release, released: strobe: a row's values have been read.
        sweep, sweep_address: slots that must forget what they have.
    """

    def __init__(self, params: SpgemmParams, *, first_serial: int = 1):
        self.params, self.first_serial = params, first_serial
        p = params
        super().__init__({
            "set_regions": In(1), "regions": In(row_layout(p)["regions"].shape),
            "row": Out(row_layout(p)), "free": Out(1), "take": In(1),
            "ended": In(2 * p.contexts), "release": In(1), "released": In(row_layout(p)),
            "sweep": Out(1), "sweep_address": Out(range(p.slots)),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        contexts, row = self.params.contexts, self.row
        base, regions = Signal.like(row.context), Signal.like(row.regions)
        group, settled = Signal(contexts), Signal()
        tags, values = Signal(contexts), [Signal(contexts, name=f"values_{half}") for half in range(2)]
        stale = self._serial(m, ~Cat(tags, *values).any())
        half_free = Cat(~(held & group).any() for held in values)
        m.d.comb += [
            row.context.eq(base), row.regions.eq(regions), row.half.eq(~half_free[0]),
            self.free.eq(settled & ~stale & ~(tags & group).any() & half_free.any()),
        ]  # fmt: skip

        m.d.sync += settled.eq(1)
        with m.If(~settled):  # a new size: first where its group begins, a cycle later the group
            m.d.sync += group.eq(self._group(m, "next_group", base, regions))
        with m.If(self.set_regions):
            m.d.sync += [regions.eq(self.regions), settled.eq(0)]
            self._by_size(m, self.regions, base, lambda size: base + (1 << size) - 1 >> size << size)
        with m.If(self.take):
            self._by_size(m, regions, base, lambda size: base + (1 << size))
            self._by_size(m, regions, group, lambda size: group.rotate_left(1 << size))

        freed = Signal(contexts)
        with m.If(self.release):
            m.d.comb += freed.eq(self._group(m, "released_group", self.released.context, self.released.regions))
        for context in range(contexts):
            got = self.take & group[context]
            ended = self._ended(m, context, got, freed[context])
            m.d.sync += tags[context].eq(got | (tags[context] & ~ended))
            for half, held in enumerate(values):
                kept = held[context] & ~(freed[context] & (self.released.half == half))
                m.d.sync += held[context].eq((got & (row.half == half)) | kept)
        return m

    def _by_size(self, m, regions, target, function):
        """`target` gets `function` of the size that `regions` says."""
        with m.Switch(regions):
            for size in range(self.params.contexts.bit_length()):
                with m.Case(size):
                    m.d.sync += target.eq(function(size))

    def _group(self, m, name, first, regions):
        """A bit for each of 2**regions contexts from `first` on, which is a multiple of that."""
        group = Signal(self.params.contexts, name=name)
        with m.Switch(regions):
            for size in range(self.params.contexts.bit_length()):
                with m.Case(size):
                    m.d.comb += group.eq(((1 << (1 << size)) - 1) << first)
        return group

    def _ended(self, m, context, got, freed):
        """Whether the row that has the context's tags needs them no more."""
        half, regions = Signal(name=f"half_{context}"), Signal.like(self.row.regions, name=f"regions_{context}")
        with m.If(got):
            m.d.sync += [half.eq(self.row.half), regions.eq(self.row.regions)]
        ended = Signal(name=f"ended_{context}")
        with m.Switch(regions):
            for size in range(self.params.contexts.bit_length()):
                with m.Case(size):
                    leader = context >> size << size
                    m.d.comb += ended.eq(Mux(half, self.ended[self.params.contexts + leader], self.ended[leader]))
        return ended | (freed & (self.released.half == half))

    def _serial(self, m, all_free):
        """Whether serials have run out and slots may still have old ones."""
        serial, stale = Signal(SERIAL_BITS, init=self.first_serial), Signal(init=1)
        m.d.comb += self.row.serial.eq(serial)
        with m.If(self.take):
            m.d.sync += [serial.eq(serial + 1), stale.eq(serial == (1 << SERIAL_BITS) - 1)]
        with m.If(self.sweep):
            m.d.sync += self.sweep_address.eq(self.sweep_address + 1)
            with m.If(self.sweep_address == self.params.slots - 1):
                m.d.sync += [self.sweep.eq(0), stale.eq(0)]
                with m.If(serial == 0):
                    m.d.sync += serial.eq(1)
        with m.Elif(stale & all_free):
            m.d.sync += self.sweep.eq(1)
        return stale
