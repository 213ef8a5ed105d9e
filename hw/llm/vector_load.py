"""Vectors from memory to the global buffer."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from golden.params import LlmParams
from hw.fabric.axi import ADDRESS_BITS, command_layout

__all__ = ["VectorLoad", "vector_load_layout", "vector_load_ports"]

INDEX_BITS = 24
STRIDE_STEP = 5
"""Rows of a table lie a multiple of 32 bytes apart, the shortest memory word."""


def vector_load_layout() -> data.StructLayout:
    """LDV, or LDG (`gather`): `n` numbers to row `b` and on."""
    return data.StructLayout({
        "a": unsigned(32), "b": unsigned(32), "n": unsigned(32),
        "gather": unsigned(1), "table": unsigned(32), "stride": unsigned(24),
    })


def vector_load_ports(params: LlmParams) -> dict[str, wiring.Member]:
    """Of VectorLoad and of who passes them on: vector channel and global buffer."""
    return {
        "vector": Out(stream.Signature(command_layout())),
        "base": In(ADDRESS_BITS),
        "words": In(stream.Signature(params.axi_bits)),
        "write_valid": Out(1),
        "write_elements": Out(params.sfu_lanes),
        "write_row": Out(range(params.vmem_rows)),
        "write_data": Out(params.sfu_lanes * 32),
        "write_ready": In(1),
    }


class VectorLoad(wiring.Component):
    """LDV is done when its rows are written. LDG reads the word that holds the row's number, then goes on as LDV.

    A row of the global buffer a cycle, as far as memory and `write_ready` allow.

    Attributes:
        command: ready while not busy. vector: command of the vector channel, words: its beats; base: its base address.
        write_*: rows for the global buffer; the last one's elements behind N are not written.
    """

    def __init__(self, params: LlmParams):
        self.params = params
        super().__init__({
            "command": In(stream.Signature(vector_load_layout())), **vector_load_ports(params), "busy": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        p = self.params
        held = Signal(vector_load_layout(), reset_less=True)
        m.d.comb += self.busy.eq(1)
        beat_shift = p.beat_bytes.bit_length() - 1
        rows_a_beat = p.axi_bits // (p.sfu_lanes * 32)
        left, last_row = Signal(32, reset_less=True), Signal(reset_less=True)  # rows behind the next one
        index, offset = Signal(INDEX_BITS, reset_less=True), Signal(32, reset_less=True)
        words = self.words.payload
        m.d.sync += [
            index.eq(words.word_select(held.a[2:beat_shift], 32)),
            offset.eq((index * held.stride[STRIDE_STEP:]) << STRIDE_STEP),
        ]
        part = Signal(range(max(2, rows_a_beat)))
        word = Signal(p.axi_bits, reset_less=True)
        have = Signal()
        m.d.comb += [
            self.vector.payload.address.eq(self.base + held.a),
            self.vector.payload.beats.eq(((held.n << 2) + p.beat_bytes - 1) >> beat_shift),
            self.write_row.eq(held.b),
            self.write_data.eq(word.word_select(part, p.sfu_lanes * 32) if rows_a_beat > 1 else word),
        ]
        written = self.write_valid & self.write_ready
        behind = held.n[: p.sfu_lanes.bit_length() - 1]
        m.d.comb += self.write_elements.eq(Mux(last_row & (behind != 0), ~(~0 << behind), ~0))
        last_part = Mux(last_row, 1, part == rows_a_beat - 1)
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += [self.command.ready.eq(1), self.busy.eq(0)]
                with m.If(self.command.valid):
                    m.d.sync += [held.eq(self.command.payload), part.eq(0), have.eq(0)]
                    with m.If(self.command.payload.n != 0):
                        m.next = "VECTOR"
                        with m.If(self.command.payload.gather):
                            m.next = "INDEX"
            with m.State("INDEX"):
                m.d.comb += [
                    self.vector.valid.eq(1),
                    self.vector.payload.address.eq(self.base + Cat(Const(0, beat_shift), held.a[beat_shift:])),
                    self.vector.payload.beats.eq(1),
                ]
                with m.If(self.vector.ready):
                    m.next = "ANSWER"
            with m.State("ANSWER"):
                m.d.comb += self.words.ready.eq(1)
                with m.If(self.words.valid):
                    m.next = "SCALE"
            with m.State("SCALE"):
                m.next = "OFFSET"
            with m.State("OFFSET"):
                m.d.sync += held.a.eq(held.table + offset)
                m.next = "VECTOR"
            with m.State("VECTOR"):
                m.d.comb += self.vector.valid.eq(1)
                m.d.sync += [
                    left.eq((held.n - 1) >> (p.sfu_lanes.bit_length() - 1)),
                    last_row.eq(held.n <= p.sfu_lanes),
                ]
                with m.If(self.vector.ready):
                    m.next = "ROWS"
            with m.State("ROWS"):
                m.d.comb += [self.write_valid.eq(have), self.words.ready.eq(~have | (written & last_part & ~last_row))]
                with m.If(written):
                    m.d.sync += [held.b.eq(held.b + 1), part.eq(part + 1), left.eq(left - 1), last_row.eq(left == 1)]
                    with m.If(last_part):
                        m.d.sync += [have.eq(0), part.eq(0)]
                    with m.If(last_row):
                        m.next = "IDLE"
                with m.If(self.words.valid & self.words.ready):
                    m.d.sync += [word.eq(self.words.payload), have.eq(1)]
        return m
