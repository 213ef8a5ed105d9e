"""Activation buffer of a column and the feeder that fills the sparse MUXes from it."""

from amaranth.hdl import Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from golden.llm.numerics import EX_MAX
from golden.params import BLOCK, LlmParams

from .accumulator import PARTIAL_BITS
from .chain import fill_layout
from .layouts import tile_layout

__all__ = ["ColumnFeeder", "block_layout"]


def block_layout() -> data.StructLayout:
    """A quantised block: 16 INT8 values and their shift."""
    return data.StructLayout({"q": data.ArrayLayout(signed(8), BLOCK), "shift": unsigned(3)})


class ColumnFeeder(wiring.Component):
    """For each block of the tile: waits for room in all chains of the column, sends 16 inputs, then `filled`.

    16 cycles a block while there is room; `filled` comes 2 cycles after the last input. `input_sum` is the group's
    running sum of q << shift, << min_shift.

    Attributes:
        write_*: from the quantiser. peek_*: read port for the KV writer, one cycle latency.
        start, base: strobe and first block. room: every chain of the column has room; it takes no more than
            `BLOCK - 1` cycles to see the first input of a block.
    """

    def __init__(self, params: LlmParams):
        self.params = params
        address = range(params.xbuf_blocks)
        super().__init__({
            "write_valid": In(1),
            "write_block": In(address),
            "write_data": In(block_layout()),
            "peek_block": In(address),
            "peek_data": Out(block_layout()),
            "tile": In(tile_layout()),
            "min_shift": In(3),
            "start": In(1),
            "base": In(address),
            "room": In(1),
            "fill": Out(fill_layout()),
            "filled": Out(1),
            "shift": Out(3).array(2),
            "input_sum": Out(signed(PARTIAL_BITS)).array(2),
            "busy": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        reads = []
        for name in ("buffer", "peek"):
            m.submodules[name] = memory = Memory(shape=block_layout().size, depth=self.params.xbuf_blocks, init=[])
            write, read = memory.write_port(), memory.read_port()
            m.d.comb += [write.en.eq(self.write_valid), write.addr.eq(self.write_block), write.data.eq(self.write_data)]
            reads.append(read)
        read, peek = reads
        block, slot, kb, half = Signal(range(self.params.xbuf_blocks)), Signal(4), Signal(10), Signal()
        values = Signal(data.ArrayLayout(signed(8), BLOCK), reset_less=True)
        shift = Signal(3, reset_less=True)
        stored = Signal(block_layout())
        filling = Signal()
        m.d.comb += [
            peek.addr.eq(self.peek_block),
            self.peek_data.eq(peek.data),
            stored.eq(read.data),
            read.addr.eq(block),
            self.fill.valid.eq(filling),
            self.fill.half.eq(half),
            self.fill.slot.eq(slot),
            self.fill.value.eq(values[0]),
        ]
        group_mask = Signal(8)
        m.d.comb += group_mask.eq((1 << self.tile.group_log2) - 1)

        # behind the last input of a block: its sum, then the group's, then `filled`
        total = Signal(signed(12), reset_less=True)
        summed, published = Signal(), Signal()
        late_half, late_first = Signal(reset_less=True), Signal(reset_less=True)
        late_shift = Signal(3, reset_less=True)
        group_total = Signal(signed(PARTIAL_BITS), reset_less=True)
        last_slot = filling & (slot == BLOCK - 1)
        m.d.sync += [
            total.eq(Mux(slot == 0, 0, total) + values[0]),
            summed.eq(last_slot),
            published.eq(summed),
        ]
        with m.If(last_slot):
            m.d.sync += [late_half.eq(half), late_shift.eq(shift), late_first.eq((kb & group_mask) == 0)]
        with m.If(summed):
            m.d.sync += group_total.eq(Mux(late_first, 0, group_total) + (total << late_shift))
        m.d.comb += self.filled.eq(published)
        for i in range(2):
            with m.If(published & (late_half == i)):
                m.d.sync += [self.shift[i].eq(late_shift), self.input_sum[i].eq(group_total << self.min_shift)]

        def load():
            m.d.sync += [values.eq(stored.q), shift.eq(stored.shift), slot.eq(0), block.eq(block + 1)]

        m.d.comb += self.busy.eq(1)
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.busy.eq(summed | published)
                with m.If(self.start):
                    m.d.sync += [block.eq(self.base), kb.eq(0), half.eq(0)]
                    m.next = "READ"
            with m.State("READ"):
                m.next = "LOAD"
            with m.State("LOAD"):
                with m.If(self.room):
                    load()
                    m.next = "FILL"
            with m.State("FILL"):
                m.d.comb += filling.eq(1)
                m.d.sync += [slot.eq(slot + 1), values.as_value().eq(values.as_value() >> 8)]
                with m.If(last_slot):
                    m.d.sync += [half.eq(~half), kb.eq(kb + 1)]
                    with m.If(kb + 1 == self.tile.blocks):
                        m.next = "IDLE"
                    with m.Elif(self.room):
                        load()
                    with m.Else():
                        m.next = "LOAD"
        assert EX_MAX < 8
        return m
