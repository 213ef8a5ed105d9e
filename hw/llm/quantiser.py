"""Quantiser: binary32 rows to INT8 blocks of 16 with power-of-two scales (golden/llm/numerics.py)."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from golden.llm.numerics import EX_MAX
from golden.params import BLOCK, LlmParams

from .layouts import block_layout

__all__ = ["Quantiser"]


class Quantiser(wiring.Component):
    """Two passes over the vector: exponents first, then the values; 2 * rows + 12 cycles.

    Attributes:
        start: strobe; row, count, block, group_log2, round_log2, flat: the instruction, constant while busy.
        read_row: row to read; data comes one cycle later.
        x_*: blocks to the columns' activation buffers. exponent: of shift 0, valid when not busy.
    """

    def __init__(self, params: LlmParams):
        self.params = p = params
        super().__init__(
            {
                "start": In(1),
                "row": In(range(p.vmem_rows)),
                "count": In(32),
                "block": In(range(p.xbuf_blocks)),
                "group_log2": In(3),
                "round_log2": In(3),
                "flat": In(1),
                "read_row": Out(range(p.vmem_rows)),
                "read_data": In(p.sfu_lanes * 32),
                "x_valid": Out(p.ksplit),
                "x_block": Out(range(p.xbuf_blocks)),
                "x_data": Out(block_layout()),
                "exponent": Out(signed(10)),
                "biased": Out(8),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        p = self.params
        lanes, rows_a_block = p.sfu_lanes, BLOCK // p.sfu_lanes
        sub_bits = rows_a_block.bit_length() - 1
        depth = p.xbuf_blocks * p.ksplit
        m.submodules.maxima = maxima = Memory(shape=8, depth=depth, init=[])
        maxima_write, maxima_read = maxima.write_port(), maxima.read_port()

        blocks, mask = Signal(range(2 * depth)), Signal(8)
        m.d.comb += [
            mask.eq((1 << self.round_log2) - 1),
            blocks.eq(((((self.count + BLOCK - 1) >> 4) + mask) >> self.round_log2) << self.round_log2),
        ]
        i, second, fetching = Signal(range(2 * depth * rows_a_block)), Signal(), Signal()
        rows = blocks << sub_bits
        m.d.comb += [self.read_row.eq(self.row + i), maxima_read.addr.eq(i >> sub_bits)]

        # s1: the row has been read
        s1_valid, s1_second = Signal(), Signal()
        s1_index = Signal.like(i, reset_less=True)
        m.d.sync += [s1_valid.eq(fetching), s1_second.eq(second), s1_index.eq(i)]
        live = [(s1_index * lanes + k) < self.count for k in range(lanes)]
        exponents = [Mux(live[k], self.read_data.word_select(k, 32)[23:31], 0) for k in range(lanes)]

        def largest(values):
            while len(values) > 1:
                pairs = zip(values[::2], values[1::2], strict=True)
                merged = []
                for a, b in pairs:
                    big = Signal(8, name=f"largest_{len(values)}_{len(merged)}")
                    m.d.comb += big.eq(Mux(a > b, a, b))
                    merged.append(big)
                values = merged
            return values[0]

        # s2: largest exponent of the row / significands and shifts
        s2_valid, s2_second = Signal(), Signal()
        s2_index, s2_max = Signal.like(i, reset_less=True), Signal(8, reset_less=True)
        m.d.sync += [
            s2_valid.eq(s1_valid),
            s2_second.eq(s1_second),
            s2_index.eq(s1_index),
            s2_max.eq(largest(exponents)),
        ]
        running, emax = Signal(8, reset_less=True), Signal(8)
        new_block = s2_index[:sub_bits] == 0 if sub_bits else 1
        end_block = s2_index[:sub_bits] == rows_a_block - 1 if sub_bits else 1
        block_max = Signal(8)
        m.d.comb += block_max.eq(Mux(new_block | (s2_max > running), s2_max, running))
        m.d.comb += [
            maxima_write.en.eq(s2_valid & ~s2_second & end_block),
            maxima_write.addr.eq(s2_index >> sub_bits),
            maxima_write.data.eq(block_max),
        ]
        with m.If(s2_valid & ~s2_second):
            m.d.sync += running.eq(block_max)
            with m.If(s2_max > emax):
                m.d.sync += emax.eq(s2_max)

        shift = Signal(3)
        below = Signal(8)
        m.d.comb += below.eq(emax - maxima_read.data)
        with m.If(self.flat):
            m.d.comb += shift.eq(EX_MAX)
        with m.Elif(below < EX_MAX):
            m.d.comb += shift.eq(EX_MAX - below)
        s2_shift = Signal(3, reset_less=True)
        m.d.sync += s2_shift.eq(shift)

        s3_valid, s3_index = Signal(), Signal.like(i, reset_less=True)
        s3_shift = Signal(3, reset_less=True)
        m.d.sync += [s3_valid.eq(s2_valid & s2_second), s3_index.eq(s2_index), s3_shift.eq(s2_shift)]
        collected = Signal(data.ArrayLayout(signed(8), BLOCK), reset_less=True)
        values = []
        for k in range(lanes):
            word = self.read_data.word_select(k, 32)
            right, significand, sign = Signal(9), Signal(24, reset_less=True), Signal(reset_less=True)
            amount = Signal(5, reset_less=True)
            m.d.comb += right.eq(17 + emax - EX_MAX + shift - word[23:31])
            m.d.sync += [
                significand.eq(Mux(live[k] & (word[23:31] != 0), Cat(word[:23], 1), 0)),
                sign.eq(word[31]),
                amount.eq(Mux(right > 31, 31, right)),
            ]
            values.append((significand, amount, sign))
        s3_values = []
        for k, (significand, amount, sign) in enumerate(values):
            whole = Signal(8, name=f"whole_{k}")
            half_bit, rest = Signal(name=f"half_{k}"), Signal(name=f"rest_{k}")
            below_half = Signal(5, name=f"below_half_{k}")
            m.d.comb += [
                below_half.eq(amount - 1),
                whole.eq(significand >> amount),
                half_bit.eq((significand >> below_half)[0]),
                rest.eq((significand & ((1 << below_half) - 1)[:24]).any()),
            ]
            up = Signal(9, name=f"up_{k}")
            m.d.comb += up.eq(whole + (half_bit & (rest | whole[0])))
            magnitude = Signal(7, name=f"magnitude_{k}")
            m.d.comb += magnitude.eq(Mux(up > 127, 127, up))
            value = Signal(signed(8), name=f"value_{k}", reset_less=True)
            m.d.sync += value.eq(Mux(sign, -magnitude, magnitude))
            s3_values.append(value)
        s3_sub = s3_index[:sub_bits] if sub_bits else None
        whole_block = Signal(data.ArrayLayout(signed(8), BLOCK))
        m.d.comb += whole_block.eq(collected)
        for part in range(rows_a_block):
            with m.If((s3_sub == part) if sub_bits else 1):
                for k in range(lanes):
                    m.d.comb += whole_block[part * lanes + k].eq(s3_values[k])
        with m.If(s3_valid):
            m.d.sync += collected.eq(whole_block)

        number = Signal(range(2 * depth))
        group_mask = Signal(8)
        column_bits = p.ksplit.bit_length() - 1
        m.d.comb += [
            number.eq(s3_index >> sub_bits),
            group_mask.eq((1 << self.group_log2) - 1),
            self.x_data.q.eq(whole_block),
            self.x_data.shift.eq(s3_shift),
        ]
        turn = Signal(range(2 * depth))
        column = Signal(max(1, column_bits))
        m.d.comb += [
            turn.eq(number >> self.group_log2),
            column.eq(turn[:column_bits] if column_bits else 0),
            self.x_block.eq(self.block + ((turn >> column_bits) << self.group_log2) + (number & group_mask)),
        ]
        last_row = (s3_sub == rows_a_block - 1) if sub_bits else 1
        with m.If(s3_valid & last_row):
            m.d.comb += self.x_valid.eq(1 << column)

        m.d.comb += [self.biased.eq(emax), self.exponent.eq(emax - (133 + EX_MAX)), self.busy.eq(1)]
        settle = Signal(3)
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.busy.eq(0)
                m.d.sync += [i.eq(0), second.eq(0)]
                with m.If(self.start):
                    m.d.sync += emax.eq(0)
                    m.next = "READ"
            with m.State("READ"):
                m.d.comb += fetching.eq(1)
                m.d.sync += [i.eq(i + 1), settle.eq(0)]
                with m.If(i + 1 == rows):
                    m.next = "SETTLE"
            with m.State("SETTLE"):
                m.d.sync += settle.eq(settle + 1)
                with m.If(settle == 4):
                    m.d.sync += [i.eq(0), second.eq(1)]
                    m.next = "IDLE"
                    with m.If(~second):
                        m.next = "READ"
        return m
