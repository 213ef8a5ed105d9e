"""Quantiser: binary32 rows to INT8 blocks of 16 with power-of-two scales (golden/llm/numerics.py)."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from golden.llm.numerics import EX_MAX
from golden.params import BLOCK, LlmParams
from hw.fabric.pipeline import delay, strobes

from .exponents import LargestExponents, exponent_layout
from .layouts import block_layout
from .operation import vector_layout

__all__ = ["Quantiser"]

OUT = 4
"""Cycles from a row's read of the second pass to its block."""


class Quantiser(wiring.Component):
    """Two passes over a vector: exponents through port a, then values through port b while a reads the next repetition.

    R repetitions of k rows (of all blocks, padding included): (R + 1) k + 7 cycles. R k + 7 with `noted`, where the
    second pass begins at once, as soon as the last row before the start has got through.

    Attributes:
        start: strobe; command: the instruction in that cycle, `i`: the same in all later ones.
        noted: rows that VECs write before, the last one in the cycle before `start` or earlier.
        a_row, b_row: rows to read; data comes one cycle later.
        scanned: strobe, once a repetition: its exponent (of shift 0) and largest biased exponent.
        x_*: blocks to the columns' activation buffers. done: strobe with the last one.
    """

    def __init__(self, params: LlmParams):
        self.params = p = params
        self.sub_bits = (BLOCK // p.sfu_lanes).bit_length() - 1
        self.blocks = p.xbuf_blocks * p.ksplit
        row = range(p.vmem_rows)
        super().__init__(
            {
                "start": In(1),
                "command": In(vector_layout(p)),
                "i": In(vector_layout(p)),
                "noted": In(exponent_layout(p)),
                "a_row": Out(row),
                "a_data": In(p.sfu_lanes * 32),
                "b_row": Out(row),
                "b_data": In(p.sfu_lanes * 32),
                "x_valid": Out(p.ksplit),
                "x_block": Out(range(p.xbuf_blocks)),
                "x_data": Out(block_layout()),
                "x_token": Out(4),
                "scanned": Out(1),
                "exponent": Out(signed(10)),
                "biased": Out(8),
                "done": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        last_element, last_row = Signal(range(2 * self.blocks * BLOCK)), Signal(range(2 * self.blocks << self.sub_bits))
        whole = ~(~0 << self.command.round_log2)  # that many blocks more may be needed
        m.d.comb += last_element.eq(self.command.n + self.command.pad - 1)
        with m.If(self.start):
            m.d.sync += last_row.eq(Cat(Const((1 << self.sub_bits) - 1, self.sub_bits), (last_element >> 4) | whole))
        m.submodules.largest = largest = LargestExponents(self.params)
        m.d.comb += largest.noted.eq(self.noted)
        self._scan(m, last_row, largest)
        self._convert(m, last_row, largest)
        return m

    def _pass(self, m, last_row, name, begin):
        """A walk over the rows from the cycle after `begin`: (valid, row number, live lanes, last row, base row, t).

        The base row and t change when the last row of repetition t has been read.
        """
        p = self.params
        lane_bits = p.sfu_lanes.bit_length() - 1
        valid, last = Signal(name=f"{name}_valid"), Signal(name=f"{name}_last")
        at = Signal.like(last_row, name=f"{name}_at", reset_less=True)
        base = Signal(range(p.vmem_rows), name=f"{name}_base", reset_less=True)
        n = Signal(range(2 * self.blocks * BLOCK), name=f"{name}_n", reset_less=True)
        t = Signal(4, name=f"{name}_t", reset_less=True)
        m.d.comb += last.eq(valid & (at == last_row))
        whole = n >> lane_bits
        live = Cat(*((at < whole) | ((at == whole) & (k < n[:lane_bits])) for k in range(p.sfu_lanes)))
        with m.If(valid):
            m.d.sync += at.eq(at + 1)
        with m.If(last):
            m.d.sync += [
                valid.eq(0),
                at.eq(0),
                t.eq(t + 1),
                n.eq(n + self.i.n_step),
                base.eq(base + self.i.stride_b),
            ]
        with m.If(begin):
            m.d.sync += valid.eq(1)
        with m.If(self.start):
            m.d.sync += [at.eq(0), t.eq(0), n.eq(self.command.n), base.eq(self.command.b)]
        return valid, at, live, last, base, t

    def _scan(self, m, last_row, largest):
        """First pass."""
        again = Signal()
        valid, at, live, last, base, t = self._pass(m, last_row, "scan", (self.start & ~self.command.noted) | again)
        final = t == self.i.repeat
        m.d.comb += [
            self.a_row.eq(base + at),
            again.eq(last & ~final),
            largest.scanned.valid.eq(strobes(m, valid, 1, "scan_valid")[-1]),
            largest.scanned.first.eq(delay(m, at == 0, 1, "scan_first")),
            largest.scanned.last.eq(delay(m, last, 1, "scan_last")),
            largest.scanned.final.eq(delay(m, final, 1, "scan_final")),
            largest.scanned.live.eq(delay(m, live, 1, "scan_live")),
            *(exponent.eq(self.a_data.word_select(k, 32)[23:31])
              for k, exponent in enumerate(largest.scanned.exponents)),
        ]

    def _convert(self, m, last_row, largest):
        """Second pass."""
        p = self.params
        lanes, sub_bits = p.sfu_lanes, self.sub_bits
        begin = Signal()
        valid, at, live, last, base, t = self._pass(m, last_row, "convert", begin)
        noted_through = strobes(m, self.start & self.command.noted, LargestExponents.LATENCY, "noted_through")[-1]
        m.d.comb += begin.eq(largest.ended | noted_through | (last & self.i.noted & (t != self.i.repeat)))
        m.d.sync += self.scanned.eq(begin)
        with m.If(begin):
            m.d.sync += [
                self.biased.eq(Mux(self.i.noted, largest.of_vector, largest.scanned_vector)),
                largest.vector.eq(largest.vector + 1),
            ]
        with m.If(self.start):
            m.d.sync += largest.vector.eq(0)
        m.d.comb += self.exponent.eq(self.biased - (133 + EX_MAX))

        # what is noted has no blocks behind its vectors' elements
        ends_block = at[:sub_bits].all() if sub_bits else 1
        has_live, had_live = Signal(), Signal(reset_less=True)
        m.d.comb += has_live.eq(Mux(at[:sub_bits].any(), had_live, live[0]) if sub_bits else live[0])
        with m.If(valid):
            m.d.sync += had_live.eq(has_live)
            with m.If(ends_block & (has_live | ~self.i.noted)):
                m.d.sync += largest.block.eq(largest.block + 1)
        with m.If(self.start):
            m.d.sync += largest.block.eq(0)

        number, in_column = at >> sub_bits, Signal.like(last_row)
        column_bits = p.ksplit.bit_length() - 1
        first_block, block = Signal(range(p.xbuf_blocks), reset_less=True), Signal(range(p.xbuf_blocks))
        above, token = Signal.like(last_row), Signal(4, reset_less=True)  # above: what of a number counts groups
        m.d.comb += [
            self.b_row.eq(base + at),
            above.eq(~0 << self.i.group_log2),
            in_column.eq(((number >> column_bits) & above) | (number & ~above)),
            block.eq(first_block + in_column),
        ]
        with m.If(self.start):
            m.d.sync += [first_block.eq(self.command.a), token.eq(self.command.token)]
        with m.Elif(last):
            m.d.sync += [first_block.eq(first_block + self.i.stride_a), token.eq(token + self.i.token_step)]

        # s1: row and its block's largest exponent have been read
        s1_live = delay(m, live, 1, "convert_live")
        s1_has_live = delay(m, has_live, 1, "convert_has_live")
        emax, floor = Signal(8, reset_less=True), Signal(8, reset_less=True)
        below, near, shift, top = Signal(8), Signal(), Signal(3), Signal(8)  # top: exponent that becomes 64 .. 127
        with m.If(self.scanned):
            m.d.sync += [emax.eq(self.biased), floor.eq(self.biased - EX_MAX)]
        # of a block without elements nothing but the shift matters
        m.d.comb += [below.eq(emax - Mux(s1_has_live, largest.of_block, 0)), near.eq(below < EX_MAX)]
        with m.If(self.i.flat):
            m.d.comb += [shift.eq(EX_MAX), top.eq(emax)]
        with m.Elif(near):
            m.d.comb += [shift.eq(EX_MAX - below[:3]), top.eq(largest.of_block)]
        with m.Else():
            m.d.comb += top.eq(floor)
        s2_top = delay(m, top, 1, "s2_top")
        values = []
        for k in range(lanes):
            word = self.b_data.word_select(k, 32)
            s2_word = delay(m, word, 1, f"s2_word_{k}")
            s2_zero = delay(m, ~(s1_live[k] & word[23:31].any()), 1, f"s2_zero_{k}")
            values.append(self._rounded(m, k, s2_word, s2_zero, s2_top))

        # s4: values are rounded
        out_valid = strobes(m, valid & ends_block, OUT, "out_valid")[-1]
        out_last = strobes(m, last & (t == self.i.repeat), OUT, "out_last")[-1]
        collected = Signal(data.ArrayLayout(signed(8), BLOCK), reset_less=True)
        whole = Signal(data.ArrayLayout(signed(8), BLOCK))
        m.d.comb += whole.eq(collected)
        s4_sub = delay(m, at[:sub_bits], OUT, "s4_sub") if sub_bits else None
        for part in range(1 << sub_bits):
            with m.If((s4_sub == part) if sub_bits else 1):
                m.d.comb += [whole[part * lanes + k].eq(values[k]) for k in range(lanes)]
        m.d.sync += collected.eq(whole)
        turn = (number >> self.i.group_log2)[:column_bits]
        column = delay(m, turn, OUT, "column") if column_bits else 0
        with m.If(out_valid):
            m.d.comb += self.x_valid.eq(1 << column)
        m.d.comb += [
            self.x_data.q.eq(whole),
            self.x_data.shift.eq(delay(m, shift, OUT - 1, "shift")),
            self.x_block.eq(delay(m, block, OUT, "block")),
            self.x_token.eq(delay(m, token, OUT, "token")),
            self.done.eq(out_last),
        ]

    @staticmethod
    def _rounded(m, k, word, zero, top):
        """signed(8), two cycles later: significand >> 17 + (top - exponent), to nearest even, at most 127."""
        distance = Signal(8, name=f"distance_{k}")
        significand, kept = Cat(word[:23], 1), Signal(8, name=f"kept_{k}")  # kept: seven bits and the half
        m.d.comb += [
            distance.eq(top - word[23:31]),
            kept.eq(significand[16:] >> distance[:3]),
        ]
        lost = significand[16:23] & ~(0x7F << distance[:3])

        # the half of a significand that is further away lies above it: rounds to zero
        s3_far = delay(m, zero | distance[3:].any(), 1, f"far_{k}")
        s3_kept, s3_sign = delay(m, kept, 1, f"kept_{k}"), delay(m, word[31], 1, f"sign_{k}")
        s3_rest = delay(m, significand[:16].any() | lost.any(), 1, f"rest_{k}")
        half, whole = s3_kept[0], s3_kept[1:]
        up = half & (s3_rest | whole[0]) & ~whole.all()
        value = Signal(signed(8), name=f"value_{k}", reset_less=True)
        m.d.sync += value.eq(Mux(s3_far, 0, Cat(whole ^ s3_sign.replicate(7), s3_sign) + (up ^ s3_sign)))
        return value
