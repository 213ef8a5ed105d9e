"""Tag table of a bank: which element of C a product belongs to."""

from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from golden.spgemm.params import SpgemmParams
from hw.fabric.ram import Ram

from .layouts import SERIAL_BITS, element_layout, update_layout

__all__ = ["TagTable"]

FORWARDS = 3
"""Lookups before one in S2 whose claims were not in the RAM when it was read."""
REPLAY = 3
"""Lookups behind one that must go on: those in S1, in S0 and the one that just enters."""


class TagTable(wiring.Component):
    """Finds a product's element, or claims a slot for a new one; products leave in the order in which they came.

    A row's slots and values are `region << regions` of each from `context * region` on. Probing begins at the product's
    slot and goes on by 1, around the row's slots, over `probe_limit` slots at most.

    S0 reads the RAM, S1 has its output, S2 decides, S3 is the output: LATENCY from `elements` to `updates`, one a
    cycle. A product that must look further goes from S3 back to S0, and so do those behind it: 4 cycles a probe.

    Attributes:
        elements, updates: as in `element_layout` and `update_layout`.
        scan: an element's place is its slot; else it is behind the elements that its row has.
        sweep, sweep_address: empties that slot. No elements meanwhile, and all slots before the first one.
        overflow: strobe: no slot within the limit; the product is dropped.
        probing: strobe: a cycle that takes no element because of a further probe.
    """

    LATENCY = 4

    def __init__(self, params: SpgemmParams):
        self.params = p = params
        self.region_bits = p.region.bit_length() - 1
        self.stage = data.StructLayout({
            "element": element_layout(p), "slot": range(p.slots), "left": range(p.slots),
        })  # fmt: skip
        self.slot_layout = data.StructLayout({
            "serial": unsigned(SERIAL_BITS), "column": unsigned(p.column_bits), "place": range(p.slots),
        })  # fmt: skip
        super().__init__({
            "elements": In(stream.Signature(element_layout(p))),
            "updates": Out(stream.Signature(update_layout(p))),
            **self.side_ports(p),
        })

    @staticmethod
    def side_ports(p: SpgemmParams) -> dict[str, wiring.Member]:
        """All but the streams."""
        return {
            "scan": In(1), "sweep": In(1), "sweep_address": In(range(p.slots)), "overflow": Out(1), "probing": Out(1),
        }

    def elaborate(self, platform):
        m = Module()
        p = self.params
        self.s = s0, s1, s2, s3 = [Signal(self.stage, name=f"s{i}", reset_less=True) for i in range(4)]
        self.valid = valid = [Signal(name=f"valid{i}") for i in range(4)]
        self.enable = enable = Signal()
        again, behind = Signal(), Signal(REPLAY)  # S3 goes back to S0; lookups in S2 that come too early
        m.d.comb += [
            self.updates.valid.eq(valid[3] & ~again),
            enable.eq(~self.updates.valid | self.updates.ready),
            self.elements.ready.eq(enable & ~again & ~behind[0]),
            self.probing.eq(enable & (again | behind[0])),
        ]

        looks = valid[2] & ~behind[0] & s2.element.some
        taken, found, claims, place = self._look_up(m, looks)
        last = Signal(reset_less=True)
        collides, goes_on = Signal(), Signal()
        m.d.comb += [collides.eq(looks & taken & ~found), goes_on.eq(collides & ~last)]
        count = self._count(m, claims, valid[2] & ~behind[0] & ~goes_on)
        self._place(m, place, count, taken)

        next_slot = Signal(range(p.slots), reset_less=True)
        dropped = Signal(reset_less=True)
        m.d.sync += self.overflow.eq(enable & collides & last)
        with m.If(enable):
            m.d.sync += [
                valid[0].eq(again | (self.elements.valid & ~behind[0])), Cat(valid[1:]).eq(Cat(valid[:3])),
                s0.eq(Mux(again, s3, self._entering(m))), s1.eq(s0), s2.eq(s1), s3.eq(s2),
                next_slot.eq(self._within(s1.element.row, s1.slot, (s1.slot + 1)[: len(s1.slot)])),
                last.eq(s1.left == 0),
                again.eq(valid[2] & (behind[0] | goes_on)),
                behind.eq(Mux(goes_on, (1 << REPLAY) - 1, behind >> 1)),
                dropped.eq(collides),
            ]  # fmt: skip
        after_slot, after_left = Signal.like(next_slot, reset_less=True), Signal.like(s2.left, reset_less=True)
        with m.If(enable):
            m.d.sync += [
                after_slot.eq(Mux(behind[0], s2.slot, next_slot)), after_left.eq(s2.left - ~behind[0]),
            ]
            with m.If(again):
                m.d.sync += [s0.slot.eq(after_slot), s0.left.eq(after_left)]

        element, update = s3.element, self.updates.payload
        m.d.comb += [
            update.some.eq(element.some & ~dropped), update.end.eq(element.end),
            update.first.eq(self.claimed[0]), update.half.eq(element.row.half),
            update.context.eq(element.row.context), update.address.eq(Cat(self.places[0], element.row.half)),
            update.column.eq(element.product.column), update.value.eq(element.product.value),
        ]  # fmt: skip
        return m

    def _entering(self, m):
        """S0 of an element that enters: its own slot; no more slots than its row has."""
        p, element = self.params, self.elements.payload
        entering = Signal(self.stage)
        base = element.row.context << self.region_bits
        m.d.comb += [
            entering.element.eq(element),
            entering.slot.eq(self._within(element.row, base, element.product.slot)),
        ]
        with m.Switch(element.row.regions):
            for regions in range(p.contexts.bit_length()):
                with m.Case(regions):
                    m.d.comb += entering.left.eq(min(p.probe_limit, p.region << regions) - 1)
        return entering

    def _within(self, row, base, number):
        """`base` with the bits of `number` that count within a row's slots."""
        bits = range(self.params.slots.bit_length() - 1)
        low = self.region_bits
        return Cat(*(number[bit] if bit < low else Mux(row.regions > bit - low, number[bit], base[bit])
                     for bit in bits))  # fmt: skip

    def _look_up(self, m, looks):
        """In S2: the slot is the row's, has the column (if the row's), is claimed, and the place that stands in it."""
        p = self.params
        _, s1, s2, s3 = self.s
        m.submodules.ram = ram = Ram(width=self.slot_layout.size, depth=p.slots)
        stored = Signal(self.slot_layout, reset_less=True)

        def key(stage):
            return Cat(stage.element.row.serial, stage.element.product.column)

        s4_slot, s4_key = Signal.like(s3.slot, reset_less=True), Signal(SERIAL_BITS + p.column_bits, reset_less=True)
        ages = range(1, FORWARDS + 1)
        self.claimed = claimed = [Signal(name=f"claimed_{age}") for age in ages]
        self.places = places = [Signal(range(p.slots), name=f"place_{age}", reset_less=True) for age in ages]
        near, same_row, same = ([Signal(name=f"{name}_{age}", reset_less=True) for age in ages]
                                for name in ("near", "same_row", "same"))  # fmt: skip
        befores = [(s2.slot, key(s2)), (s3.slot, key(s3)), (s4_slot, s4_key)]  # while this one is in S1
        taken, found, place = Signal(), Signal(), Signal(range(p.slots))
        m.d.comb += [
            taken.eq(stored.serial == s2.element.row.serial), found.eq(stored.column == s2.element.product.column),
            place.eq(stored.place),
        ]
        for age in reversed(range(FORWARDS)):
            with m.If(near[age] & claimed[age]):
                m.d.comb += [taken.eq(same_row[age]), found.eq(same[age]), place.eq(places[age])]
        claims = looks & ~taken

        with m.If(self.enable):
            m.d.sync += [stored.eq(ram.read_data), s4_slot.eq(s3.slot), s4_key.eq(key(s3))]
            m.d.sync += [Cat(claimed).eq(Cat(claims, claimed[:-1])), Cat(places[1:]).eq(Cat(places[:-1]))]
            for age, (slot, before) in enumerate(befores):
                m.d.sync += [
                    near[age].eq(slot == s1.slot), same_row[age].eq(before[:SERIAL_BITS] == s1.element.row.serial),
                    same[age].eq(before[SERIAL_BITS:] == s1.element.product.column),
                ]  # fmt: skip
        write = Signal(self.slot_layout)
        m.d.comb += [
            write.serial.eq(Mux(self.sweep, 0, s3.element.row.serial)), write.column.eq(s3.element.product.column),
            write.place.eq(places[0]),
            ram.write_enable.eq(claimed[0] | self.sweep), ram.write_data.eq(write),
            ram.write_address.eq(Mux(self.sweep, self.sweep_address, s3.slot)),
            ram.read_enable.eq(self.enable), ram.read_address.eq(self.s[0].slot),
        ]  # fmt: skip
        return taken, found, claims, place

    def _count(self, m, claims, final):
        """In S2: elements that the row has before this product. The update has those after it."""
        p = self.params
        _, s1, s2, s3 = self.s
        width = len(self.updates.payload.count)
        m.submodules.counts = counts = Memory(shape=width, depth=p.contexts, init=[])
        write, read = counts.write_port(), counts.read_port(domain="comb")
        stored, after, before_after = (Signal(width, name=name, reset_less=True)
                                       for name in ("count", "count_after", "count_before_after"))  # fmt: skip
        near, nearer = Signal(), Signal()
        count, after_this, now = Signal(width), Signal(width), Signal(width, reset_less=True)
        context = s1.element.row.context
        m.d.comb += [
            read.addr.eq(context), count.eq(Mux(nearer, after, Mux(near, before_after, stored))),
            after_this.eq(Mux(claims, count + 1, count)), write.en.eq(self.valid[3] | self.sweep),
            write.addr.eq(Mux(self.sweep, self.sweep_address, s3.element.row.context)),
            write.data.eq(Mux(self.sweep, 0, after)), self.updates.payload.count.eq(now),
        ]  # fmt: skip
        with m.If(self.enable):
            m.d.sync += [
                stored.eq(read.data), now.eq(after_this), before_after.eq(after),
                after.eq(Mux(final & s2.element.end, 0, after_this)),
                nearer.eq(self.valid[2] & (s2.element.row.context == context)),
                near.eq(self.valid[3] & (s3.element.row.context == context)),
            ]  # fmt: skip
        return count

    def _place(self, m, place, count, taken):
        """S3's place: a new element is behind those that the row has, or in its slot."""
        row = self.s[2].element.row
        base = row.context << self.region_bits
        with m.If(self.enable):
            m.d.sync += self.places[0].eq(Mux(taken, place, Mux(self.scan, self.s[2].slot, base | count)))
