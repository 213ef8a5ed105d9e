"""Vector unit (SFU): element-wise binary stage, function stage, reductions, quantisation, arg-max."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from golden.isa.llm import SCALARS, SLOTS, Binary, Reduce, Source, Unary
from golden.llm.numerics import EX_MAX
from golden.params import LlmParams
from hw.fabric.pipeline import delay

from .layouts import block_layout
from .operation import Operation, vector_layout
from .quantiser import Quantiser
from .reduction import MaximumFold, SumFold
from .vector_lane import VectorLane
from .walk import RowWalk, tag_layout

__all__ = ["Operation", "VectorUnit", "vector_layout"]


class VectorUnit(wiring.Component):
    """One instruction at a time; `sfu_lanes` elements a cycle, the repetitions of an instruction one behind the other.

    Cycles busy, with K = sum over the repetitions of rows, L = log2(sfu_lanes):

    | VEC, no reduction | K + 9 |
    | VEC, MAX | K + 10 + L |
    | VEC, SUM | K + 45 + 8 L; repetitions below 8 rows count 8 |
    | VEC with a function | 15 more |
    | QNT | (R + 1) k + 5, k = rows of the blocks of one of R repetitions |
    | AMX | K + 2 + L |
    | PUT | 1 |

    `write_ready` low (another unit has the write port) freezes VEC and PUT while they write.

    Attributes:
        command: ready again when the instruction has finished. a_*, b_*: read ports with enable, write_*: write port.
        x_*: quantised blocks, of token `x_token`. exponents: of the quantised vectors, by slot. best: arg-max so far.
        illegal: a VEC, QNT or AMX of no elements, in its first cycle; a reset must follow.
    """

    def __init__(self, params: LlmParams):
        self.params = p = params
        row, width = range(p.vmem_rows), p.sfu_lanes * 32
        super().__init__(
            {
                "command": In(stream.Signature(vector_layout(p))),
                "a_row": Out(row),
                "a_data": In(width),
                "b_row": Out(row),
                "b_data": In(width),
                "read": Out(1),
                "write_valid": Out(1),
                "write_row": Out(row),
                "write_elements": Out(p.sfu_lanes),
                "write_data": Out(width),
                "write_ready": In(1),
                "x_valid": Out(p.ksplit),
                "x_block": Out(range(p.xbuf_blocks)),
                "x_data": Out(block_layout()),
                "x_token": Out(4),
                "exponents": Out(data.ArrayLayout(signed(10), SLOTS)),
                "best": Out(32),
                "busy": Out(1),
                "illegal": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        p = self.params
        lanes = p.sfu_lanes
        lane_bits = lanes.bit_length() - 1
        i, command = Signal(vector_layout(p), reset_less=True), self.command.payload
        m.submodules.scalars = scalars = Memory(shape=32, depth=SCALARS, init=[])
        scalar_write = scalars.write_port()
        scalar_a, scalar_b = scalars.read_port(domain="comb"), scalars.read_port(domain="comb")
        ce, start, putting = Signal(), Signal(), Signal()
        is_vec, is_amx, is_qnt = (Signal(name=f"is_{name}") for name in ("vec", "amx", "qnt"))
        m.submodules.walk = walk = RowWalk(p)
        m.submodules.quantiser = quantiser = Quantiser(p)
        m.d.comb += [
            ce.eq(self.write_ready | ~self.write_valid),
            start.eq(self.command.valid & self.command.ready),
            is_vec.eq(i.operation == Operation.VEC),
            is_amx.eq(i.operation == Operation.AMX),
            is_qnt.eq(i.operation == Operation.QNT),
            walk.start.eq(start & ((command.operation == Operation.VEC) | (command.operation == Operation.AMX))),
            walk.command.eq(command),
            walk.i.eq(i),
            walk.ce.eq(ce),
            scalar_a.addr.eq(Mux(putting, i.sa, walk.sa)),
            scalar_b.addr.eq(walk.sb),
            quantiser.start.eq(start & (command.operation == Operation.QNT)),
            quantiser.command.eq(command),
            quantiser.i.eq(i),
            quantiser.a_data.eq(self.a_data),
            quantiser.b_data.eq(self.b_data),
            self.x_valid.eq(quantiser.x_valid),
            self.x_block.eq(quantiser.x_block),
            self.x_data.eq(quantiser.x_data),
            self.x_token.eq(quantiser.x_token),
            self.a_row.eq(Mux(is_qnt, quantiser.a_row, walk.row_a)),
            self.b_row.eq(Mux(is_qnt, quantiser.b_row, walk.row_b)),
            self.read.eq(ce | is_qnt),
        ]

        # s1: operands have been read
        s1_valid = self._strobes(m, walk.valid, 1, ce, "s1")
        s1 = tag_layout(p)(delay(m, walk.tag, 1, "s1_tag", enable=ce))
        s1_a, s1_b = (delay(m, port.data, 1, f"s1_{x}", enable=ce) for x, port in (("a", scalar_a), ("b", scalar_b)))
        constant = Signal(32)
        m.d.comb += constant.eq(Mux(i.b_source == Source.IMMEDIATE, i.immediate, s1_b))
        a_words = [Mux(i.a_source == Source.SCALAR, s1_a, self.a_data.word_select(k, 32)) for k in range(lanes)]
        u_words = []
        for k in range(lanes):
            m.submodules[f"lane_{k}"] = lane = VectorLane()
            m.d.comb += [
                lane.ce.eq(ce),
                lane.binary.eq(i.binary),
                lane.unary.eq(i.unary),
                lane.a.eq(Mux(i.binary == Binary.SWAPMUL, a_words[k ^ 1], a_words[k])),
                lane.b.eq(Mux(i.b_source == Source.VECTOR, self.b_data.word_select(k, 32), constant)),
            ]
            u_words.append(lane.u)

        # out: u and its tag
        plain = i.unary == Unary.NONE
        t_valid = self._strobes(m, s1_valid & is_vec, VectorLane.BINARY, ce, "t")
        u_valid = self._strobes(m, t_valid & ~plain, VectorLane.FUNCTION, ce, "u")
        t_tag = delay(m, s1, VectorLane.BINARY, "t_tag", enable=ce)
        u_tag = delay(m, t_tag, VectorLane.FUNCTION, "u_tag", enable=ce)
        valid, tag = Signal(), Signal(tag_layout(p))
        m.d.comb += [
            valid.eq(Mux(plain, t_valid, u_valid)),
            tag.eq(Mux(plain, t_tag, u_tag)),
            self.write_valid.eq((valid & tag.real & i.store) | putting),
            self.write_row.eq(Mux(putting, i.a + (i.n >> lane_bits), tag.row)),
            self.write_elements.eq(Mux(putting, 1 << i.n[:lane_bits], ~0)),
            self.write_data.eq(Mux(putting, scalar_a.data.replicate(lanes), Cat(*u_words))),
        ]

        m.submodules.sums = sums = SumFold(p)
        m.submodules.maximum = maximum = MaximumFold(p)
        m.submodules.arg_max = arg_max = MaximumFold(p)
        m.d.comb += [
            sums.ce.eq(ce),
            sums.valid.eq(valid & (i.reduce == Reduce.SUM)),
            sums.data.eq(Cat(*(Mux(tag.live[k], u_words[k], 0) for k in range(lanes)))),
            sums.opens.eq(tag.opens),
            sums.closes.eq(tag.closes),
            sums.last.eq(tag.ends),
            sums.partial.eq(tag.partial),
            maximum.ce.eq(ce),
            maximum.valid.eq(valid & (i.reduce == Reduce.MAX)),
            maximum.fresh.eq(tag.first),
            maximum.last.eq(tag.last),
            maximum.data.eq(Cat(*u_words)),
            maximum.live.eq(tag.live),
            arg_max.ce.eq(ce),
            arg_max.begin.eq(start),
            arg_max.index.eq(command.a),
            arg_max.valid.eq(s1_valid & is_amx),
            arg_max.fresh.eq(s1.first & i.first),
            arg_max.last.eq(s1.last),
            arg_max.data.eq(self.a_data),
            arg_max.live.eq(s1.live),
            self.best.eq(arg_max.where),
        ]

        # scalars and exponents, one repetition after the other
        folded, last_fold, results = Signal(), Signal(), Signal(4)
        to, slot = Signal(range(SCALARS), reset_less=True), Signal(range(SLOTS), reset_less=True)
        biased = Signal(8)
        m.d.comb += [
            folded.eq((sums.done | maximum.done) & ce),
            last_fold.eq(folded & (results == i.repeat)),
            biased.eq(Mux(quantiser.biased > EX_MAX, quantiser.biased - EX_MAX, 0)),
            scalar_write.en.eq(folded | (quantiser.scanned & i.flat)),
            scalar_write.addr.eq(to),
            scalar_write.data.eq(
                Mux(is_qnt, biased << 23, Mux(i.reduce == Reduce.SUM, sums.total, maximum.maximum))
            ),
        ]
        with m.If(folded):
            m.d.sync += [results.eq(results + 1), to.eq(to + i.scalar_step[2])]
        with m.If(quantiser.scanned):
            m.d.sync += [self.exponents[slot].eq(quantiser.exponent), slot.eq(slot + 1), to.eq(to + 1)]
        with m.If(start):
            m.d.sync += [i.eq(command), results.eq(0), to.eq(command.sd), slot.eq(command.slot)]

        m.d.comb += self.busy.eq(1)
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += [self.command.ready.eq(1), self.busy.eq(0)]
                with m.If(start):
                    m.next = "RUN"
                    with m.If(command.operation == Operation.PUT):
                        m.next = "PUT"
            with m.State("PUT"):
                m.d.comb += putting.eq(1)
                with m.If(self.write_ready):
                    m.next = "IDLE"
            with m.State("RUN"):
                m.d.comb += self.illegal.eq(i.n == 0)
                final = valid & tag.final & ce & (i.reduce == Reduce.NONE)
                with m.If(final | last_fold | (arg_max.done & ce) | quantiser.done):
                    m.next = "IDLE"
        return m

    @staticmethod
    def _strobes(m, value, cycles, ce, name):
        """`value`, `cycles` enabled cycles later, 0 after reset."""
        late = Signal(cycles, name=f"{name}_valid")
        with m.If(ce):
            m.d.sync += late.eq(Cat(value, late[:-1]))
        return late[-1]
