"""Activation buffers of a column and the feeder that fills the sparse MUXes from them."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from golden.llm.numerics import EX_MAX
from golden.params import BLOCK, LlmParams
from hw.fabric.pipeline import delay, strobes
from hw.fabric.ram import Ram

from .layouts import PAIR, PARTIAL_BITS, WAYS, block_layout, fill_layout, inputs_layout, tile_layout

__all__ = ["ColumnFeeder"]


class ColumnFeeder(wiring.Component):
    """For each block of the tile: waits for room in all VPUs of the column, sends 16 inputs, then `inputs`.

    VPU c of every MPU gets vectors 2c and 2c + 1 (MM), or vector 0 and zeros (MV). While there is room 16 cycles a
    block, or 4 if `tile.spread`. `inputs` comes LATENCY cycles after the last input, with the group's running sum of
    q << shift, << min_shift.

    Attributes:
        write_*: from the quantiser, `write_token` says which vector's buffer. peek_*: read port for the KV writer to
            what was written last for vector 0, one cycle later.
        start, base, min_shift: strobe while `idle`, first block and the tile's shift. tile: constant while not `idle`.
        idle: all inputs are sent, the last sums may be under way.
        room: every VPU of the column has room; it takes no more than `BLOCK / WAYS - 1` cycles to see the first inputs
            of a block.
    """

    LATENCY = 7
    """So long that the block whose half of the sparse MUXes is filled anew has left the chain (`Vpu`)."""

    def __init__(self, params: LlmParams):
        self.params = params
        address, count = range(params.xbuf_blocks), params.mpu_vpus
        super().__init__({
            "write_valid": In(1),
            "write_token": In(range(params.tokens)),
            "write_block": In(address),
            "write_data": In(block_layout()),
            "peek_block": In(address),
            "peek_data": Out(block_layout()),
            "tile": In(tile_layout()),
            "min_shift": In(3),
            "start": In(1),
            "base": In(address),
            "room": In(1),
            "fill": Out(data.ArrayLayout(fill_layout(), count)),
            "inputs": Out(data.ArrayLayout(inputs_layout(), count)),
            "idle": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        p = self.params
        tokens = range(p.tokens)
        block, slot, kb, half = Signal(range(p.xbuf_blocks)), Signal(4), Signal(10), Signal()
        min_shift = Signal(3, reset_less=True)
        filling, load, step = Signal(), Signal(), Signal(range(WAYS + 1))
        m.d.comb += step.eq(Mux(self.tile.spread, WAYS, 1))
        stored = [self._buffer(m, f"buffer_{t}", self.write_token == t, block) for t in tokens]
        m.d.comb += self.peek_data.eq(self._buffer(m, "peek", self.write_token == 0, self.peek_block))

        group_mask = Signal(8)
        last_slot = filling & (slot + step == BLOCK)
        ends = strobes(m, last_slot, self.LATENCY, "end")
        first_of_group, published_half = Signal(reset_less=True), delay(m, half, self.LATENCY, "half")
        m.d.comb += group_mask.eq((1 << self.tile.group_log2) - 1)
        with m.If(last_slot):
            m.d.sync += first_of_group.eq((kb & group_mask) == 0)
        vectors = [self._vector(m, t, stored[t], load, slot, ends[1], first_of_group) for t in tokens]
        late_min_shift = delay(m, min_shift, self.LATENCY - 1, "min_shift")
        for c in range(p.mpu_vpus):
            fill, inputs = self.fill[c], self.inputs[c]
            m.d.comb += [
                fill.valid.eq(filling), fill.last.eq(last_slot), fill.half.eq(half), fill.slot.eq(slot),
                fill.spread.eq(self.tile.spread), inputs.valid.eq(ends[-1]), inputs.half.eq(published_half),
            ]
            for i in range(PAIR):
                values, shift, total = vectors[PAIR * c + i]
                alone_values, alone_shift, alone_total = vectors[0] if i == 0 else ([0] * WAYS, 0, 0)
                for way in range(WAYS):
                    m.d.comb += fill.value[way][i].eq(Mux(self.tile.shared, values[way], alone_values[way]))
                m.d.sync += [
                    inputs.shift[i].eq(Mux(self.tile.shared, shift, alone_shift)),
                    inputs.sum[i].eq(Mux(self.tile.shared, total, alone_total) << late_min_shift),
                ]

        with m.If(load):
            m.d.sync += [slot.eq(0), block.eq(block + 1)]
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.idle.eq(1)
                with m.If(self.start):
                    m.d.sync += [block.eq(self.base), min_shift.eq(self.min_shift), kb.eq(0)]
                    m.next = "READ"
            with m.State("READ"):
                m.next = "LOAD"
            with m.State("LOAD"):
                with m.If(self.room):
                    m.d.comb += load.eq(1)
                    m.next = "FILL"
            with m.State("FILL"):
                m.d.comb += filling.eq(1)
                m.d.sync += slot.eq(slot + step)
                with m.If(last_slot):
                    m.d.sync += [half.eq(~half), kb.eq(kb + 1)]
                    with m.If(kb + 1 == self.tile.blocks):
                        m.next = "IDLE"
                    with m.Elif(self.room):
                        m.d.comb += load.eq(1)
                    with m.Else():
                        m.next = "LOAD"
        assert EX_MAX < 8
        return m

    def _buffer(self, m, name, mine, address):
        """What is stored at `address`, one cycle later."""
        m.submodules[name] = ram = Ram(width=block_layout().size, depth=self.params.xbuf_blocks)
        stored = Signal(block_layout(), name=f"{name}_data")
        m.d.comb += [
            ram.write_enable.eq(self.write_valid & mine), ram.write_address.eq(self.write_block),
            ram.write_data.eq(self.write_data), ram.read_address.eq(address), stored.eq(ram.read_data),
        ]
        return stored

    def _vector(self, m, token, stored, load, slot, summed, first_of_group):
        """(inputs of this cycle by way; shift, LATENCY - 1 cycles later; group's sum so far) of one vector."""
        values = Signal(data.ArrayLayout(signed(8), BLOCK), name=f"values_{token}", reset_less=True)
        shift = Signal(3, name=f"shift_{token}", reset_less=True)
        total = Signal(signed(12), name=f"total_{token}", reset_less=True)
        group_total = Signal(signed(PARTIAL_BITS), name=f"group_total_{token}", reset_less=True)
        spread, shift_before = self.tile.spread, delay(m, shift, 1, f"shift_{token}_before")
        m.d.sync += [
            values.as_value().eq(Mux(spread, values.as_value() >> 8 * WAYS, values.as_value() >> 8)),
            total.eq(Mux(slot == 0, 0, total) + Mux(spread, sum(values[way] for way in range(WAYS)), values[0])),
        ]
        with m.If(load):
            m.d.sync += [values.eq(stored.q), shift.eq(stored.shift)]
        with m.If(summed):
            m.d.sync += group_total.eq(Mux(first_of_group, 0, group_total) + (total << shift_before))
        late_shift = delay(m, shift_before, self.LATENCY - 2, f"shift_{token}_late")
        late_total = delay(m, group_total, self.LATENCY - 3, f"group_total_{token}_late")  # a block may take 4 cycles
        return [Mux(spread, values[way], values[0]) for way in range(WAYS)], late_shift, late_total.as_signed()
