"""Activation buffers of a column and the feeder that fills the sparse MUXes from them."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from golden.llm.numerics import EX_MAX
from golden.params import BLOCK, LlmParams
from hw.fabric.ram import Ram

from .layouts import PAIR, PARTIAL_BITS, block_layout, fill_layout, inputs_layout, tile_layout

__all__ = ["ColumnFeeder"]


class ColumnFeeder(wiring.Component):
    """For each block of the tile: waits for room in all VPUs of the column, sends 16 inputs, then `inputs`.

    VPU c of every MPU gets vectors 2c and 2c + 1 (MM), or vector 0 and zeros (MV). 16 cycles a block while there is
    room; `inputs` comes 3 cycles after the last input, with the group's running sum of q << shift, << min_shift.

    Attributes:
        write_*: from the quantiser, `write_token` says which vector's buffer. peek_*: read port for the KV writer to
            what was written last for vector 0, one cycle later.
        start, base: strobe and first block. room: every VPU of the column has room; it takes no more than
            `BLOCK - 1` cycles to see the first input of a block.
    """

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
            "busy": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        p = self.params
        tokens = range(p.tokens)
        block, slot, kb, half = Signal(range(p.xbuf_blocks)), Signal(4), Signal(10), Signal()
        filling, load = Signal(), Signal()
        stored = [self._buffer(m, f"buffer_{t}", self.write_token == t, block) for t in tokens]
        m.d.comb += self.peek_data.eq(self._buffer(m, "peek", self.write_token == 0, self.peek_block))

        group_mask = Signal(8)
        last_slot = filling & (slot == BLOCK - 1)
        summed, published = Signal(), Signal()
        late_half, late_first = Signal(reset_less=True), Signal(reset_less=True)
        m.d.comb += group_mask.eq((1 << self.tile.group_log2) - 1)
        m.d.sync += [summed.eq(last_slot), published.eq(summed)]
        with m.If(last_slot):
            m.d.sync += [late_half.eq(half), late_first.eq((kb & group_mask) == 0)]
        vectors = [self._vector(m, t, stored[t], load, slot, last_slot, summed, late_first) for t in tokens]
        for c in range(p.mpu_vpus):
            fill, inputs = self.fill[c], self.inputs[c]
            m.d.comb += [fill.valid.eq(filling), fill.half.eq(half), fill.slot.eq(slot)]
            m.d.sync += [inputs.valid.eq(published), inputs.half.eq(late_half)]
            for i in range(PAIR):
                value, shift, total = vectors[PAIR * c + i]
                alone_value, alone_shift, alone_total = vectors[0] if i == 0 else (0, 0, 0)
                m.d.comb += fill.value[i].eq(Mux(self.tile.shared, value, alone_value))
                m.d.sync += [
                    inputs.shift[i].eq(Mux(self.tile.shared, shift, alone_shift)),
                    inputs.sum[i].eq(Mux(self.tile.shared, total, alone_total) << self.min_shift),
                ]

        m.d.comb += self.busy.eq(1)
        with m.If(load):
            m.d.sync += [slot.eq(0), block.eq(block + 1)]
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.busy.eq(summed | published | self.inputs[0].valid)
                with m.If(self.start):
                    m.d.sync += [block.eq(self.base), kb.eq(0), half.eq(0)]
                    m.next = "READ"
            with m.State("READ"):
                m.next = "LOAD"
            with m.State("LOAD"):
                with m.If(self.room):
                    m.d.comb += load.eq(1)
                    m.next = "FILL"
            with m.State("FILL"):
                m.d.comb += filling.eq(1)
                m.d.sync += slot.eq(slot + 1)
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

    @staticmethod
    def _vector(m, token, stored, load, slot, last_slot, summed, late_first):
        """(input of this cycle; shift and group's sum so far, behind the block's last input) of one vector."""
        values = Signal(data.ArrayLayout(signed(8), BLOCK), name=f"values_{token}", reset_less=True)
        shift, late_shift = (Signal(3, name=f"{n}_{token}", reset_less=True) for n in ("shift", "late_shift"))
        total = Signal(signed(12), name=f"total_{token}", reset_less=True)
        group_total = Signal(signed(PARTIAL_BITS), name=f"group_total_{token}", reset_less=True)
        m.d.sync += [
            values.as_value().eq(values.as_value() >> 8),
            total.eq(Mux(slot == 0, 0, total) + values[0]),
        ]
        with m.If(load):
            m.d.sync += [values.eq(stored.q), shift.eq(stored.shift)]
        with m.If(last_slot):
            m.d.sync += late_shift.eq(shift)
        with m.If(summed):
            m.d.sync += group_total.eq(Mux(late_first, 0, group_total) + (total << late_shift))
        return values[0], late_shift, group_total
