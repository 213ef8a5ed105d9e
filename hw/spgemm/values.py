"""Values of a bank: elements of C, to which products are added in the order in which they come."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from golden.spgemm.params import SpgemmParams
from hw.fabric.pipeline import delay, strobes
from hw.fabric.ram import Ram

from .arithmetic import adder
from .layouts import held_layout, update_layout

__all__ = ["Values"]


class Values(wiring.Component):
    """element = +0 + first product; element = element + product for the others; one a cycle.

    The sum of an update goes to the RAM `READ_LATENCY + adder(params).LATENCY` cycles behind its issue. One to the same
    element that is issued the adder's LATENCY later takes it on its way; a nearer one waits, and so do those behind it.

    Attributes:
        updates: as in `update_layout`.
        read, read_address, read_data: an element, READ_LATENCY cycles later. Updates wait for that cycle.
        scan: places of a row may have no element: `read_live` comes with `read_data` and says whether the place has
            one, which is then taken away. No updates within READ_LATENCY cycles after a read.
        sweep, sweep_address: this place of half 0 has no element; no updates meanwhile, and all places before the first
            update with `scan`. Without `scan` nothing else is needed.
        ended: strobe: all elements of the next row, in the order of the ends, can be read.
        count_index, count: elements of a row that has ended, one cycle later.
        waiting: strobe: a cycle in which an update waits for the same element.
        yielding: strobe: a cycle in which one waits for a read only.
    """

    READ_LATENCY = 2

    def __init__(self, params: SpgemmParams):
        self.params = params
        super().__init__({"updates": In(stream.Signature(update_layout(params))), **self.side_ports(params)})

    @staticmethod
    def side_ports(p: SpgemmParams) -> dict[str, wiring.Member]:
        """All but the stream."""
        return {
            "read": In(1), "read_address": In(range(2 * p.slots)), "read_data": Out(held_layout(p)),
            "read_live": Out(1), "scan": In(1), "sweep": In(1), "sweep_address": In(range(p.slots)),
            "ended": Out(1),
            "count_index": In(range(2 * p.contexts)), "count": Out(p.slots.bit_length()),
            "waiting": Out(1), "yielding": Out(1),
        }

    def elaborate(self, platform):
        m = Module()
        p = self.params
        m.submodules.add = add = adder(p)
        head, valid, issue = Signal(update_layout(p), reset_less=True), Signal(), Signal()
        some, address, same = self._hazards(m, head, valid, issue, add.LATENCY)

        wait = ~head.first & Cat(same[: add.LATENCY - 1]).any()
        m.d.comb += [
            issue.eq(valid & ~wait & ~self.read), self.updates.ready.eq(~valid | issue),
            self.waiting.eq(valid & wait), self.yielding.eq(valid & ~wait & self.read),
        ]  # fmt: skip
        with m.If(self.updates.ready):
            m.d.sync += [head.eq(self.updates.payload), valid.eq(self.updates.valid)]

        m.submodules.ram = ram = Ram(width=held_layout(p).size + 1, depth=2 * p.slots)
        m.d.comb += Cat(self.read_data, self.read_live).eq(delay(m, ram.read_data, 1, "read_data"))
        clears, cleared = Signal(), Signal(range(2 * p.slots), reset_less=True)
        m.d.sync += [
            clears.eq((self.read & self.scan) | self.sweep),
            cleared.eq(Mux(self.sweep, self.sweep_address, self.read_address)),
        ]
        m.d.comb += [
            ram.read_address.eq(Mux(self.read, self.read_address, head.address)),
            add.a.eq(self._operand(m, head, same, add, self.read_data.value)),
            add.b.eq(delay(m, head.value, self.READ_LATENCY, "product")),
            ram.write_enable.eq(some[-1] | clears), ram.write_address.eq(Mux(clears, cleared, address[-1])),
            ram.write_data.eq(Cat(delay(m, head.column, len(some) - 1, "column"), add.o, self.scan & ~clears)),
        ]  # fmt: skip
        self._end(m, head, issue, len(some) - 1)
        return m

    def _hazards(self, m, head, valid, issue, latency):
        """(whether an update with a product was issued n cycles ago; its address; whether it has the head's address
        and the head is issued n + 1 cycles behind it: for n from 0 to the write)."""
        stages = self.READ_LATENCY + latency
        some, address = strobes(m, issue & head.some, stages, "some"), [head.address]
        for stage in range(stages):
            address.append(delay(m, address[-1], 1, f"address_{stage}"))
        same = [Signal(name=f"same_{distance}", reset_less=True) for distance in range(1, stages + 1)]
        with m.If(self.updates.ready):
            # the head leaves in this cycle, or there is none: `some` knows
            update = self.updates.payload
            m.d.sync += [hit.eq(came & update.some & (old == update.address))
                         for hit, came, old in zip(same, some[:-1], address[:-1], strict=True)]  # fmt: skip
        with m.Else():
            m.d.sync += Cat(same).eq(Cat(same) << 1)
        return some, address, same

    def _operand(self, m, head, same, add, stored):
        """+0, the sum of an update on its way, or what the RAM has."""
        late = delay(m, add.o, 1, "late_sum")
        at, after, last = same[add.LATENCY - 1 :]  # the newest sum has precedence
        newest = delay(m, ~head.first & at, self.READ_LATENCY, "newest")
        first, newer = delay(m, head.first, 1, "first"), delay(m, after, 1, "newer")
        other = Signal(self.params.value_bits, reset_less=True)
        m.d.sync += other.eq(Mux(first, 0, Mux(newer, add.o, late)))
        use_other = delay(m, head.first | after | last, self.READ_LATENCY, "use_other")
        return Mux(newest, add.o, Mux(use_other, other, stored))

    def _end(self, m, head, issue, stages):
        """A row's end follows its last product to the RAM."""
        p = self.params
        ends = strobes(m, issue & head.end, stages + 1, "ends")
        row = delay(m, Cat(head.context, head.half), stages, "row")
        m.submodules.counts = counts = Memory(shape=len(self.count), depth=2 * p.contexts, init=[])
        write, read = counts.write_port(), counts.read_port(domain="comb")
        m.d.comb += [
            self.ended.eq(ends[-1]), write.en.eq(ends[-2]), write.addr.eq(row),
            write.data.eq(delay(m, head.count, stages, "ended_count")),
            read.addr.eq(self.count_index), self.count.eq(delay(m, read.data, 1, "count")),
        ]  # fmt: skip
