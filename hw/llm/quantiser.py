"""Quantiser: binary32 rows to INT8 blocks of 16 with power-of-two scales (golden/llm/numerics.py)."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from golden.llm.numerics import EX_MAX
from golden.params import BLOCK, LlmParams
from hw.fabric.pipeline import delay

from .layouts import block_layout
from .operation import vector_layout

__all__ = ["Quantiser"]

OUT = 3
"""Cycles from a row's read of the second pass to its block."""


class Quantiser(wiring.Component):
    """Two passes over a vector: exponents through port a, then values through port b while a reads the next repetition.

    R repetitions of k rows (of all blocks, padding included): (R + 1) k + 5 cycles.

    Attributes:
        start: strobe; command: the instruction in that cycle, `i`: the same in all later ones.
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
        count, mask = Signal(range(2 * self.blocks * BLOCK)), Signal(8)
        rows = Signal(range(2 * self.blocks << self.sub_bits))
        m.d.comb += [
            count.eq(self.i.n + self.i.pad + BLOCK - 1),
            mask.eq((1 << self.i.round_log2) - 1),
            rows.eq((((count >> 4) + mask) >> self.i.round_log2) << self.i.round_log2 << self.sub_bits),
        ]
        m.submodules.maxima = maxima = Memory(shape=8, depth=2 * self.blocks, init=[])
        begin = self._scan(m, rows, maxima.write_port())
        self._convert(m, rows, maxima.read_port(), begin)
        return m

    def _pass(self, m, rows, name, begin):
        """A walk over `rows` rows from the cycle after `begin`: (valid, row number, live lanes, last row, base row, t).

        The base row and t change when the last row of repetition t has been read.
        """
        p = self.params
        lane_bits = p.sfu_lanes.bit_length() - 1
        valid, last = Signal(name=f"{name}_valid"), Signal(name=f"{name}_last")
        at = Signal.like(rows, name=f"{name}_at", reset_less=True)
        base = Signal(range(p.vmem_rows), name=f"{name}_base", reset_less=True)
        n = Signal(range(2 * self.blocks * BLOCK), name=f"{name}_n", reset_less=True)
        t = Signal(4, name=f"{name}_t", reset_less=True)
        m.d.comb += last.eq(valid & (at + 1 == rows))
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

    def _scan(self, m, rows, maxima):
        """First pass; returns the strobe that a second pass may begin in the next cycle."""
        again = Signal()
        valid, at, live, last, base, t = self._pass(m, rows, "scan", self.start | again)
        m.d.comb += [self.a_row.eq(base + at), again.eq(last & (t != self.i.repeat))]

        # s1: the row has been read
        s1_live = delay(m, live, 1, "scan_live")
        level = [
            Mux(s1_live[k], self.a_data.word_select(k, 32)[23:31], 0) for k in range(self.params.sfu_lanes)
        ]
        while len(level) > 1:
            merged = []
            for a, b in zip(level[::2], level[1::2], strict=True):
                big = Signal(8, name=f"largest_{len(level)}_{len(merged)}")
                m.d.comb += big.eq(Mux(a > b, a, b))
                merged.append(big)
            level = merged

        # s2: largest exponent of the row, of the block, of the vector
        s2_valid = Signal(2)
        m.d.sync += s2_valid.eq(Cat(valid, s2_valid[0]))
        s2 = delay(m, level[0], 1, "s2_largest")
        s2_at, s2_last, s2_bank = (
            delay(m, value, 2, f"s2_{name}") for name, value in (("at", at), ("last", last), ("bank", t[0]))
        )
        running, largest = Signal(8, reset_less=True), Signal(8, reset_less=True)
        of_block, of_vector = Signal(8), Signal(8)
        m.d.comb += [
            of_block.eq(Mux(self._opens_block(s2_at) | (s2 > running), s2, running)),
            of_vector.eq(Mux((s2_at == 0) | (s2 > largest), s2, largest)),
            maxima.en.eq(s2_valid[1] & self._ends_block(s2_at)),
            maxima.addr.eq(Cat((s2_at >> self.sub_bits)[: (self.blocks - 1).bit_length()], s2_bank)),
            maxima.data.eq(of_block),
        ]
        with m.If(s2_valid[1]):
            m.d.sync += [running.eq(of_block), largest.eq(of_vector)]
        begin = s2_valid[1] & s2_last
        m.d.sync += self.scanned.eq(begin)
        with m.If(begin):
            m.d.sync += self.biased.eq(of_vector)
        m.d.comb += self.exponent.eq(self.biased - (133 + EX_MAX))
        return begin

    def _convert(self, m, rows, maxima, begin):
        """Second pass."""
        p = self.params
        lanes, sub_bits = p.sfu_lanes, self.sub_bits
        valid, at, live, last, base, t = self._pass(m, rows, "convert", begin)
        number, turn = at >> sub_bits, Signal.like(rows)
        column_bits = p.ksplit.bit_length() - 1
        first_block, block = Signal(range(p.xbuf_blocks), reset_less=True), Signal(range(p.xbuf_blocks))
        group_mask, token = Signal(8), Signal(4, reset_less=True)
        m.d.comb += [
            self.b_row.eq(base + at),
            maxima.addr.eq(Cat(number[: (self.blocks - 1).bit_length()], t[0])),
            group_mask.eq((1 << self.i.group_log2) - 1),
            turn.eq(number >> self.i.group_log2),
            block.eq(first_block + ((turn >> column_bits) << self.i.group_log2) + (number & group_mask)),
        ]
        with m.If(self.start):
            m.d.sync += [first_block.eq(self.command.a), token.eq(self.command.token)]
        with m.Elif(last):
            m.d.sync += [first_block.eq(first_block + self.i.stride_a), token.eq(token + self.i.token_step)]

        # s1: row and its block's largest exponent have been read
        s1_live = delay(m, live, 1, "convert_live")
        emax, below, shift = Signal(8, reset_less=True), Signal(8), Signal(3)
        with m.If(self.scanned):
            m.d.sync += emax.eq(self.biased)
        m.d.comb += below.eq(emax - maxima.data)
        with m.If(self.i.flat):
            m.d.comb += shift.eq(EX_MAX)
        with m.Elif(below < EX_MAX):
            m.d.comb += shift.eq(EX_MAX - below)
        values = []
        for k in range(lanes):
            word = self.b_data.word_select(k, 32)
            right, amount = Signal(9, name=f"right_{k}"), Signal(5, name=f"amount_{k}", reset_less=True)
            m.d.comb += right.eq(17 + emax - EX_MAX + shift - word[23:31])
            m.d.sync += amount.eq(Mux(right > 31, 31, right))
            significand = Mux(s1_live[k] & word[23:31].any(), Cat(word[:23], 1), 0)[:24]
            s2_significand, s2_sign = delay(m, significand, 1, f"significand_{k}"), delay(m, word[31], 1, f"sign_{k}")
            values.append(self._rounded(m, k, s2_significand, amount, s2_sign))

        # s3: values are rounded
        out_valid, out_last = Signal(OUT), Signal(OUT)
        m.d.sync += [
            out_valid.eq(Cat(valid & self._ends_block(at), out_valid[:-1])),
            out_last.eq(Cat(last & (t == self.i.repeat), out_last[:-1])),
        ]
        collected = Signal(data.ArrayLayout(signed(8), BLOCK), reset_less=True)
        whole = Signal(data.ArrayLayout(signed(8), BLOCK))
        m.d.comb += whole.eq(collected)
        s3_sub = delay(m, at[:sub_bits], OUT, "s3_sub") if sub_bits else None
        for part in range(1 << sub_bits):
            with m.If((s3_sub == part) if sub_bits else 1):
                m.d.comb += [whole[part * lanes + k].eq(values[k]) for k in range(lanes)]
        m.d.sync += collected.eq(whole)
        column = delay(m, turn[:column_bits], OUT, "column") if column_bits else 0
        with m.If(out_valid[-1]):
            m.d.comb += self.x_valid.eq(1 << column)
        m.d.comb += [
            self.x_data.q.eq(whole),
            self.x_data.shift.eq(delay(m, shift, OUT - 1, "shift")),
            self.x_block.eq(delay(m, block, OUT, "block")),
            self.x_token.eq(delay(m, token, OUT, "token")),
            self.done.eq(out_last[-1]),
        ]

    def _opens_block(self, at):
        return ~at[: self.sub_bits].any() if self.sub_bits else 1

    def _ends_block(self, at):
        return at[: self.sub_bits].all() if self.sub_bits else 1

    @staticmethod
    def _rounded(m, k, significand, amount, sign):
        """signed(8) a cycle later: significand >> amount, to nearest even, at most 127."""
        below_half = Signal(5, name=f"below_half_{k}")
        whole, up = Signal(8, name=f"whole_{k}"), Signal(9, name=f"up_{k}")
        half, rest = Signal(name=f"half_{k}"), Signal(name=f"rest_{k}")
        magnitude = Signal(7, name=f"magnitude_{k}")
        value = Signal(signed(8), name=f"value_{k}", reset_less=True)
        m.d.comb += [
            below_half.eq(amount - 1),
            whole.eq(significand >> amount),
            half.eq((significand >> below_half)[0]),
            rest.eq((significand & ((1 << below_half) - 1)[:24]).any()),
            up.eq(whole + (half & (rest | whole[0]))),
            magnitude.eq(Mux(up > 127, 127, up)),
        ]
        m.d.sync += value.eq(Mux(sign, -magnitude, magnitude))
        return value
