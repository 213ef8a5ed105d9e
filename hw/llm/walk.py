"""Which rows of the global buffer a vector instruction touches, cycle by cycle."""

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from golden.isa.llm import SCALARS, Reduce
from golden.llm.vector import PARTIALS
from golden.params import LlmParams

from .operation import vector_layout

__all__ = ["RowWalk", "tag_layout"]


def tag_layout(params: LlmParams) -> data.StructLayout:
    """What goes with a row through the pipeline.

    live: its elements that count. row: where it is written, if `real`: not one of the rows of +0 that fill up a short
    repetition.
    first, last: of its repetition, without such rows. final: of the instruction's last repetition.
    opens, closes, ends, partial: see SumFold.
    """
    return data.StructLayout(
        {
            "live": unsigned(params.sfu_lanes),
            "row": range(params.vmem_rows),
            "real": 1,
            "first": 1,
            "last": 1,
            "final": 1,
            "opens": 1,
            "closes": 1,
            "ends": 1,
            "partial": range(PARTIALS),
        }
    )


class RowWalk(wiring.Component):
    """One row an enabled cycle from the cycle after `start`, repetition after repetition.

    Sums and chained instructions take at least PARTIALS cycles a repetition.

    Attributes:
        start: strobe; `command`: the instruction in that cycle, `i`: the same in all later ones.
        ce: low holds.
        valid, row_a, row_b, sa, sb, tag: rows and scalars to read, and what goes with them.
    """

    def __init__(self, params: LlmParams):
        self.params = params
        row = range(params.vmem_rows)
        super().__init__(
            {
                "start": In(1),
                "command": In(vector_layout(params)),
                "i": In(vector_layout(params)),
                "ce": In(1),
                "valid": Out(1),
                "row_a": Out(row),
                "row_b": Out(row),
                "sa": Out(range(SCALARS)),
                "sb": Out(range(SCALARS)),
                "tag": Out(tag_layout(params)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        p, i, command = self.params, self.i, self.command
        lane_bits = p.sfu_lanes.bit_length() - 1
        address = range(p.vmem_rows)
        more = Signal(range(2 * p.vmem_rows * p.sfu_lanes), reset_less=True)  # elements of the next repetition - 1
        at, row_b = Signal(range(2 * p.vmem_rows), reset_less=True), Signal(address, reset_less=True)
        base_a, base_b, base_c = (Signal(address, name=f"base_{x}", reset_less=True) for x in "abc")
        done = Signal(4, reset_less=True)
        last_row, last_slot = Signal.like(at), Signal.like(at)
        tail, past = Signal(p.sfu_lanes, reset_less=True), Signal()  # tail: the last row's elements that count
        turn = Signal(address, reset_less=True)
        is_last, ends = Signal(), Signal()
        m.d.comb += [
            is_last.eq(at == last_row),
            ends.eq(at == last_slot),
            self.row_a.eq(base_b + at),
            self.row_b.eq(base_c + row_b),
            self.tag.live.eq(Mux(past, 0, Mux(is_last, tail, ~0))),
            self.tag.row.eq(base_a + at),
            self.tag.real.eq(~past),
            self.tag.first.eq(at == 0),
            self.tag.last.eq(is_last),
            self.tag.final.eq(done == i.repeat),
            self.tag.opens.eq(at < PARTIALS),
            self.tag.closes.eq(at + PARTIALS > last_slot),
            self.tag.ends.eq(ends),
            self.tag.partial.eq(at),
        ]

        def repetition(more, filled):
            """Begins one of an element and so many more."""
            last, short = Signal.like(at), Signal()
            m.d.comb += [last.eq(more >> lane_bits), short.eq(last < PARTIALS)]
            return [
                at.eq(0), row_b.eq(0), past.eq(0), last_row.eq(last),
                last_slot.eq(Mux(filled & short, PARTIALS - 1, last)), tail.eq(~(~1 << more[:lane_bits])),
            ]

        with m.If(self.valid & self.ce):
            m.d.sync += [at.eq(at + 1), row_b.eq(Mux(row_b == turn, 0, row_b + 1)), past.eq(past | is_last)]
            with m.If(ends):
                m.d.sync += [
                    *repetition(more, (i.reduce == Reduce.SUM) | i.chained),
                    done.eq(done + 1),
                    more.eq(more + i.n_step),
                    base_a.eq(base_a + i.stride_a),
                    base_b.eq(base_b + i.stride_b),
                    base_c.eq(base_c + i.stride_c),
                    self.sa.eq(self.sa + i.scalar_step[0]),
                    self.sb.eq(self.sb + i.scalar_step[1]),
                ]
            with m.If(ends & self.tag.final):
                m.d.sync += self.valid.eq(0)
        with m.If(self.start):
            m.d.sync += [
                *repetition((command.n - 1)[: len(more)], (command.reduce == Reduce.SUM) | command.chained),
                self.valid.eq(1),
                done.eq(0),
                more.eq(command.n - ~command.n_step),
                turn.eq(command.period - 1),
                base_a.eq(command.a),
                base_b.eq(command.b),
                base_c.eq(command.b_row),
                self.sa.eq(command.sa),
                self.sb.eq(command.sb),
            ]
        return m
