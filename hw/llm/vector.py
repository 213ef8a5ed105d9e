"""Vector unit (SFU): element-wise binary stage, function stage, reductions, quantisation, arg-max."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from golden.isa.llm import SCALARS, SLOTS, Binary, Put, Reduce, Source, Unary
from golden.llm.numerics import EX_MAX
from golden.llm.vector import LOWEST
from golden.params import LlmParams
from hw.fabric.pipeline import delay, strobes
from hw.fabric.tokens import FinishOrder

from .chaining import ChainRule
from .layouts import block_layout
from .operation import Operation, vector_layout
from .quantiser import Quantiser
from .reduction import MaximumFold, SumFold
from .vector_lane import VectorLane
from .walk import RowWalk, tag_layout

__all__ = ["Operation", "VectorUnit", "vector_layout"]


def control_layout(params: LlmParams) -> data.StructLayout:
    """What a row of VEC takes along: what to do with it, and its place."""
    return data.StructLayout({
        "binary": unsigned(3),
        "unary": unsigned(2),
        "reduce": unsigned(2),
        "store": unsigned(1),
        "noted": unsigned(1),
        "place": tag_layout(params),
    })


class VectorUnit(wiring.Component):
    """`sfu_lanes` elements a cycle, the repetitions of an instruction one behind the other, and chained VECs too.

    Cycles busy with one instruction, with K = sum over the repetitions of rows, L = log2(sfu_lanes):

    | VEC, no reduction | K + 9 |
    | VEC, MAX | K + 10 + L |
    | VEC, SUM | K + 45 + 8 L; repetitions below 8 rows count 8 |
    | VEC with a function | 15 more |
    | QNT | (R + 1) k + 7, k = rows of the blocks of one of R repetitions |
    | QNT, `noted` | R k + 7 |
    | AMX | K + 2 + L |
    | PUT | R, the repetitions |

    A chained VEC starts as soon as the rows before it are on their way (see ChainRule), repetitions below 8 rows
    counting 8. Everything else starts when nothing is under way.

    `write_ready` low (another unit has the write port) freezes VEC and PUT while they write.

    Attributes:
        command: ready/valid. finished: strobe: the oldest instruction has finished.
        a_*, b_*: read ports with enable, in use or with data to come while `reading`; write_*: write port.
        x_*: quantised blocks, of token `x_token`. exponents: of the quantised vectors, by slot. best: the result word.
        illegal: a VEC, QNT or AMX of no elements, in its first cycle; a reset must follow.
    """

    OVERLAP = 4
    """Instructions at once."""

    def __init__(self, params: LlmParams):
        self.params = p = params
        row, width = range(p.vmem_rows), p.sfu_lanes * 32
        super().__init__(
            {
                "command": In(stream.Signature(vector_layout(p))),
                "finished": Out(1),
                "a_row": Out(row),
                "a_data": In(width),
                "b_row": Out(row),
                "b_data": In(width),
                "read": Out(1),
                "reading": Out(1),
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
        i, command = Signal(vector_layout(p), reset_less=True), self.command.payload
        m.submodules.scalars = scalars = Memory(shape=32, depth=SCALARS, init=[])
        scalar_write = scalars.write_port()
        scalar_a, scalar_b = scalars.read_port(domain="comb"), scalars.read_port(domain="comb")
        ce, start, starts_vec, alone, putting = Signal(), Signal(), Signal(), Signal(), Signal()
        m.submodules.walk = walk = RowWalk(p)
        m.submodules.quantiser = quantiser = Quantiser(p)
        m.submodules.order = order = FinishOrder(2, self.OVERLAP)
        m.submodules.rule = rule = ChainRule()
        is_amx, is_qnt = (
            alone & (i.operation == operation) for operation in (Operation.AMX, Operation.QNT)
        )
        m.d.comb += [
            ce.eq(self.write_ready | ~self.write_valid),
            start.eq(self.command.valid & self.command.ready),
            starts_vec.eq(start & (command.operation == Operation.VEC)),
            walk.start.eq(starts_vec | (start & (command.operation == Operation.AMX))),
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
        s1_valid = strobes(m, walk.valid, 1, "s1_valid", enable=ce)[-1]
        s1 = Signal(control_layout(p))
        s1_a, s1_b = (delay(m, port.data, 1, f"s1_{x}", enable=ce) for x, port in (("a", scalar_a), ("b", scalar_b)))
        constant, s1_vec = Signal(32), Signal()
        m.d.comb += [
            s1.place.eq(delay(m, walk.tag, 1, "s1_tag", enable=ce)),
            *(getattr(s1, name).eq(getattr(i, name)) for name in ("binary", "unary", "reduce", "store", "noted")),
            s1_vec.eq(s1_valid & ~alone),
            constant.eq(Mux(i.b_source == Source.IMMEDIATE, i.immediate, s1_b)),
            self.reading.eq(walk.valid | s1_valid | is_qnt),
        ]
        a_words = [Mux(i.a_source == Source.SCALAR, s1_a, self.a_data.word_select(k, 32)) for k in range(p.sfu_lanes)]

        # t: behind the binary stage; u: behind the function stage
        layout = control_layout(p)
        t, u = (Signal(layout, name=name) for name in "tu")
        t_valid = strobes(m, s1_vec, VectorLane.BINARY, "t_valid", enable=ce)[-1]
        t_function = t.unary != Unary.NONE
        u_valid = strobes(m, t_valid & t_function, VectorLane.FUNCTION, "u_valid", enable=ce)[-1]
        m.d.comb += [
            t.eq(delay(m, s1, VectorLane.BINARY, "t_control", enable=ce)),
            u.eq(delay(m, t, VectorLane.FUNCTION, "u_control", enable=ce)),
        ]
        u_words = []
        for k in range(p.sfu_lanes):
            m.submodules[f"lane_{k}"] = lane = VectorLane()
            m.d.comb += [
                lane.ce.eq(ce),
                lane.a.eq(Mux(i.binary == Binary.SWAPMUL, a_words[k ^ 1], a_words[k])),
                lane.b.eq(Mux(i.b_source == Source.VECTOR, self.b_data.word_select(k, 32), constant)),
                lane.subtract.eq(i.binary == Binary.SUB),
                lane.t_binary.eq(t.binary),
                lane.t_unary.eq(t.unary),
                lane.function.eq(u_valid),
            ]
            u_words.append(lane.u)
        valid, out, put = Signal(), Signal(layout), Signal(32)
        lane_bits = p.sfu_lanes.bit_length() - 1
        m.d.comb += [
            valid.eq(u_valid | (t_valid & ~t_function)),
            out.eq(Mux(u_valid, u, t)),
            self.write_valid.eq((valid & out.place.real & out.store) | putting),
            self.write_row.eq(Mux(putting, i.a + (i.n >> lane_bits), out.place.row)),
            self.write_elements.eq(Mux(putting, 1 << i.n[:lane_bits], ~0)),
            self.write_data.eq(Mux(putting, put.replicate(p.sfu_lanes), Cat(*u_words))),
        ]

        # exponents of a row that is written, for the QNT behind it
        noted = quantiser.noted
        m.d.comb += [
            noted.valid.eq(valid & out.place.real & out.noted & ce),
            *(getattr(noted, name).eq(getattr(out.place, name)) for name in ("live", "first", "last", "final")),
            *(exponent.eq(word[23:31]) for exponent, word in zip(noted.exponents, u_words, strict=True)),
        ]

        folded, total = self._reductions(m, ce, valid, out, u_words)
        m.submodules.arg_max = arg_max = MaximumFold(p)
        m.d.comb += [
            arg_max.ce.eq(ce),
            arg_max.begin.eq(walk.start & ~starts_vec),
            arg_max.index.eq(command.a),
            arg_max.valid.eq(s1_valid & is_amx),
            arg_max.fresh.eq(s1.place.first & i.first),
            arg_max.last.eq(s1.place.last),
            arg_max.data.eq(self.a_data),
            arg_max.live.eq(s1.place.live),
        ]
        with m.If(arg_max.done & ~i.keep):
            m.d.sync += self.best.eq(arg_max.where)
        with m.Switch(i.source):
            for source, number in (
                (Put.SCALAR, scalar_a.data), (Put.INDEX, arg_max.where), (Put.VALUE, arg_max.maximum),
                (Put.LOWEST, LOWEST),
            ):  # fmt: skip
                with m.Case(source):
                    m.d.comb += put.eq(number)

        # scalars and exponents, one repetition after the other; `r` is the instruction they belong to
        r, results, reducing = Signal(vector_layout(p), reset_less=True), Signal(4), Signal()
        to, slot = Signal(range(SCALARS), reset_less=True), Signal(range(SLOTS), reset_less=True)
        last_fold, biased = Signal(), Signal(8)
        m.d.comb += [
            last_fold.eq(folded & (results == r.repeat)),
            biased.eq(Mux(quantiser.biased > EX_MAX, quantiser.biased - EX_MAX, 0)),
            scalar_write.en.eq(folded | (quantiser.scanned & r.flat)),
            scalar_write.addr.eq(to),
            scalar_write.data.eq(Mux(is_qnt, biased << 23, total)),
        ]
        with m.If(folded):
            m.d.sync += [results.eq(results + 1), to.eq(to + r.scalar_step[2])]
        with m.If(last_fold):
            m.d.sync += reducing.eq(0)
        with m.If(quantiser.scanned):
            m.d.sync += [self.exponents[slot].eq(quantiser.exponent), slot.eq(slot + 1), to.eq(to + 1)]
        reduces = (command.operation == Operation.VEC) & (command.reduce != Reduce.NONE)
        with m.If(putting & self.write_ready):
            m.d.sync += [i.n.eq(i.n + 1), i.sa.eq(i.sa + 1), i.repeat.eq(i.repeat - 1)]
        with m.If(start):
            m.d.sync += i.eq(command)
            with m.If((command.operation == Operation.PUT) & command.at_best):
                m.d.sync += i.n.eq(command.n + arg_max.where)
            with m.If(reduces | (command.operation == Operation.QNT)):
                m.d.sync += [r.eq(command), results.eq(0), to.eq(command.sd), slot.eq(command.slot)]
            with m.If(reduces):
                m.d.sync += reducing.eq(1)

        # one at a time, but for chained VECs
        finished_alone, begun = Signal(), Signal()
        last_row = valid & out.place.ends & out.place.final & ce
        m.d.comb += [
            rule.ce.eq(ce),
            rule.start.eq(starts_vec),
            rule.function.eq(command.unary != Unary.NONE),
            rule.walking.eq(walk.valid),
            self.command.ready.eq(
                ~order.busy
                | (ce & ~alone & ~walk.valid & rule.may & order.room & (command.operation == Operation.VEC)
                   & command.chained & ~(reduces & reducing))
            ),
            putting.eq(alone & (i.operation == Operation.PUT)),
            finished_alone.eq((putting & self.write_ready & (i.repeat == 0)) | (arg_max.done & ce) | quantiser.done),
            order.taken.eq(start),
            order.kind.eq(reduces),
            order.through.eq(Cat((last_row & (out.reduce == Reduce.NONE)) | finished_alone, last_fold)),
            self.finished.eq(order.finished),
            self.busy.eq(order.busy),
            self.illegal.eq(begun & ~putting & (i.n == 0)),
        ]
        m.d.sync += begun.eq(start)
        with m.If(finished_alone):
            m.d.sync += alone.eq(0)
        with m.If(start & (command.operation != Operation.VEC)):
            m.d.sync += alone.eq(1)
        return m

    def _reductions(self, m, ce, valid, out, words):
        """Strobe and result of a repetition that is reduced: sums and maxima of the rows that leave the lanes."""
        place = out.place
        m.submodules.sums = sums = SumFold(self.params)
        m.submodules.maximum = maximum = MaximumFold(self.params)
        folded, total = Signal(), Signal(32)
        m.d.comb += [
            sums.ce.eq(ce),
            sums.valid.eq(valid & (out.reduce == Reduce.SUM)),
            sums.data.eq(Cat(*(Mux(place.live[k], word, 0) for k, word in enumerate(words)))),
            sums.opens.eq(place.opens),
            sums.closes.eq(place.closes),
            sums.last.eq(place.ends),
            sums.partial.eq(place.partial),
            maximum.ce.eq(ce),
            maximum.valid.eq(valid & place.real & (out.reduce == Reduce.MAX)),
            maximum.fresh.eq(place.first),
            maximum.last.eq(place.last),
            maximum.data.eq(Cat(*words)),
            maximum.live.eq(place.live),
            folded.eq((sums.done | maximum.done) & ce),
            total.eq(Mux(sums.done, sums.total, maximum.maximum)),
        ]
        return folded, total
