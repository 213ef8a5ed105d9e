"""Vector unit (SFU): element-wise binary stage, function stage, reductions, quantisation, arg-max."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from golden.functions import Function
from golden.isa.llm import Binary, Reduce, Source, Unary
from golden.params import LlmParams
from hw.fabric.float32 import FloatAdd, FloatMul
from hw.fabric.functions import FunctionUnit
from hw.fabric.pipeline import delay

from .layouts import block_layout
from .quantiser import Quantiser
from .reduction import MaximumFold, SumFold

__all__ = ["Operation", "VectorUnit", "vector_layout"]

SCALARS = 16
FUNCTIONS = {Unary.EXP: Function.EXP, Unary.RECIP: Function.RECIP, Unary.RSQRT: Function.RSQRT}


class Operation:
    """What the MISC queue does, by opcode order: VEC, QNT, AMX, PUT."""

    VEC, QNT, AMX, PUT = range(4)


def vector_layout(params: LlmParams) -> data.StructLayout:
    """A MISC instruction, operands resolved."""
    return data.StructLayout(
        {
            "operation": unsigned(2),
            "a": unsigned(32),
            "b": unsigned(32),
            "n": unsigned(32),
            "binary": unsigned(3),
            "unary": unsigned(2),
            "reduce": unsigned(2),
            "a_source": unsigned(2),
            "b_source": unsigned(2),
            "store": unsigned(1),
            "sa": unsigned(4),
            "sb": unsigned(4),
            "sd": unsigned(4),
            "b_row": unsigned(20),
            "period": unsigned(8),
            "immediate": unsigned(32),
            "group_log2": unsigned(3),
            "round_log2": unsigned(3),
            "flat": unsigned(1),
            "slot": unsigned(4),
            "token": unsigned(4),
            "first": unsigned(1),
        }
    )


class VectorUnit(wiring.Component):
    """One instruction at a time; `sfu_lanes` elements a cycle.

    VEC takes rows + 12 cycles, + FunctionUnit.LATENCY with a function, + the folds' latency with a reduction.
    `write_ready` low freezes VEC and PUT (another unit has the write port).

    Attributes:
        command: ready again when the instruction has finished. a_*, b_*: read ports with enable, write_*: write port.
        x_*: quantised blocks. exponents: of the quantised vectors, by slot. best, best_key: arg-max so far.
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
                "x_token": Out(range(p.tokens)),
                "x_block": Out(range(p.xbuf_blocks)),
                "x_data": Out(block_layout()),
                "exponents": Out(data.ArrayLayout(signed(10), SCALARS)),
                "best": Out(32),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        p = self.params
        lanes = p.sfu_lanes
        lane_bits = lanes.bit_length() - 1
        i = Signal(vector_layout(p), reset_less=True)
        scalars = Signal(data.ArrayLayout(unsigned(32), SCALARS), reset_less=True)
        ce = Signal()
        row, rows, row_b = Signal(32), Signal(32), Signal(32)
        fetching = Signal()
        m.d.comb += [
            ce.eq(self.write_ready | ~self.write_valid),
            rows.eq((i.n + lanes - 1) >> lane_bits),
            self.b_row.eq(i.b_row + row_b),
        ]

        m.submodules.quantiser = quantiser = Quantiser(p)
        is_quantising = i.operation == Operation.QNT
        m.d.comb += [
            quantiser.row.eq(i.b),
            quantiser.count.eq(i.n),
            quantiser.block.eq(i.a),
            quantiser.group_log2.eq(i.group_log2),
            quantiser.round_log2.eq(i.round_log2),
            quantiser.flat.eq(i.flat),
            quantiser.read_data.eq(self.a_data),
            self.x_valid.eq(quantiser.x_valid),
            self.x_token.eq(i.token),
            self.x_block.eq(quantiser.x_block),
            self.x_data.eq(quantiser.x_data),
            self.a_row.eq(Mux(is_quantising, quantiser.read_row, i.b + row)),
            self.read.eq(ce | is_quantising),
        ]

        # s1: operands have been read
        s1_valid = self._late(m, fetching, ce, "s1_valid")
        s1_row = Signal(32, reset_less=True)
        with m.If(ce):
            m.d.sync += s1_row.eq(row)
        live = Signal(lanes)
        m.d.comb += live.eq(Cat(*((s1_row * lanes + k) < i.n for k in range(lanes))))
        scalar_a, scalar_b = scalars[i.sa], Signal(32)
        m.d.comb += scalar_b.eq(Mux(i.b_source == Source.IMMEDIATE, i.immediate, scalars[i.sb]))
        vec = i.operation == Operation.VEC
        t_words, u_words = [], []
        a_words = [
            Mux(vec & (i.a_source == Source.SCALAR), scalar_a, self.a_data.word_select(k, 32)) for k in range(lanes)
        ]
        for k in range(lanes):
            a, b = Signal(32, name=f"a_{k}"), Signal(32, name=f"b_{k}")
            m.d.comb += a.eq(Mux(i.binary == Binary.SWAPMUL, a_words[k ^ 1], a_words[k]))
            m.d.comb += b.eq(Mux(i.b_source == Source.VECTOR, self.b_data.word_select(k, 32), scalar_b))
            add, mul, function = FloatAdd(), FloatMul(), FunctionUnit()
            m.submodules[f"add_{k}"], m.submodules[f"mul_{k}"] = add, mul
            m.submodules[f"function_{k}"] = function
            depth = FloatAdd.LATENCY
            passed = delay(m, a, depth, f"pass_{k}", enable=ce)
            product = delay(m, mul.o, depth - FloatMul.LATENCY, f"product_{k}", enable=ce)
            t = Signal(32, name=f"t_{k}")
            m.d.comb += [
                add.a.eq(a),
                add.b.eq(Cat(b[:31], b[31] ^ (i.binary == Binary.SUB))),
                add.ce.eq(ce),
                mul.a.eq(a),
                mul.b.eq(b),
                mul.ce.eq(ce),
                t.eq(product),
                function.x.eq(t),
                function.ce.eq(ce),
            ]
            with m.Switch(i.binary):
                with m.Case(Binary.PASS):
                    m.d.comb += t.eq(passed)
                with m.Case(Binary.ADD, Binary.SUB):
                    m.d.comb += t.eq(add.o)
            with m.Switch(i.unary):
                for op, code in FUNCTIONS.items():
                    with m.Case(op):
                        m.d.comb += function.op.eq(code)
            t_words.append(t)
            u_words.append(Mux(i.unary == Unary.NONE, t, function.o))
        flags = Cat(s1_valid, live, s1_row[: len(self.write_row)])
        t_flags = flags
        for n in range(FloatAdd.LATENCY):
            t_flags = self._late(m, t_flags, ce, f"t_flags_{n}")
        u_flags = Cat(t_flags[0] & (i.unary != Unary.NONE), t_flags[1:])
        for n in range(FunctionUnit.LATENCY):
            u_flags = self._late(m, u_flags, ce, f"u_flags_{n}")
        out_flags = Signal(len(flags))
        m.d.comb += out_flags.eq(Mux(i.unary == Unary.NONE, t_flags, u_flags))
        out_valid, out_live, out_row = out_flags[0], out_flags[1 : 1 + lanes], out_flags[1 + lanes :]
        u_valid = out_valid & vec

        putting = Signal()
        m.d.comb += [
            self.write_valid.eq((u_valid & i.store) | putting),
            self.write_row.eq(i.a + Mux(putting, i.n >> lane_bits, out_row)),
            self.write_elements.eq(Mux(putting, 1 << i.n[:lane_bits], ~0)),
            self.write_data.eq(Mux(putting, scalar_a.replicate(lanes), Cat(*u_words))),
        ]

        m.submodules.sums = sums = SumFold(p)
        m.submodules.maximum = maximum = MaximumFold(p)
        m.submodules.arg_max = arg_max = MaximumFold(p)
        begin, finish = Signal(), Signal()
        dead = [Mux(out_live[k], u_words[k], 0) for k in range(lanes)]
        m.d.comb += [
            sums.ce.eq(ce),
            sums.start.eq(begin),
            sums.valid.eq(u_valid & (i.reduce == Reduce.SUM)),
            sums.data.eq(Cat(*dead)),
            sums.finish.eq(finish),
            maximum.ce.eq(ce),
            maximum.clear.eq(begin),
            maximum.begin.eq(begin),
            maximum.valid.eq(u_valid),
            maximum.data.eq(Cat(*u_words)),
            maximum.live.eq(out_live),
            arg_max.ce.eq(ce),
            arg_max.clear.eq(begin & i.first & (i.operation == Operation.AMX)),
            arg_max.begin.eq(begin),
            arg_max.index.eq(i.a),
            arg_max.valid.eq(s1_valid & (i.operation == Operation.AMX)),
            arg_max.data.eq(self.a_data),
            arg_max.live.eq(live),
            self.best.eq(arg_max.where),
        ]

        last_latency = FloatAdd.LATENCY + FunctionUnit.LATENCY + maximum.LATENCY + 2
        wait = Signal(range(last_latency + 1))
        m.d.comb += self.busy.eq(1)
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += [self.command.ready.eq(1), self.busy.eq(0)]
                m.d.sync += [row.eq(0), row_b.eq(0)]
                with m.If(self.command.valid):
                    m.d.sync += i.eq(self.command.payload)
                    m.next = "BEGIN"
            with m.State("BEGIN"):
                m.d.comb += begin.eq(1)
                with m.If(i.operation == Operation.PUT):
                    m.next = "PUT"
                with m.Elif(is_quantising):
                    m.d.comb += quantiser.start.eq(1)
                    m.next = "QUANTISE"
                with m.Elif(ce):
                    m.next = "FETCH"
            with m.State("PUT"):
                m.d.comb += putting.eq(1)
                with m.If(self.write_ready):
                    m.next = "IDLE"
            with m.State("QUANTISE"):
                with m.If(~quantiser.busy):
                    m.d.sync += self.exponents[i.slot].eq(quantiser.exponent)
                    with m.If(i.flat):
                        biased = Mux(quantiser.biased > 6, quantiser.biased - 6, 0)
                        m.d.sync += scalars[i.sd].eq(biased[:8] << 23)
                    m.next = "IDLE"
            with m.State("FETCH"):
                m.d.comb += fetching.eq(1)
                m.d.sync += wait.eq(0)
                with m.If(ce):
                    m.d.sync += [row.eq(row + 1), row_b.eq(Mux(row_b + 1 == i.period, 0, row_b + 1))]
                    with m.If(row + 1 == rows):
                        m.next = "WAIT"
            with m.State("WAIT"):
                with m.If(ce):
                    m.d.sync += wait.eq(wait + 1)
                    short = (i.unary == Unary.NONE) & (i.reduce != Reduce.MAX) & (i.operation == Operation.VEC)
                    with m.If((wait == last_latency) | (short & (wait == FloatAdd.LATENCY + 1))):
                        m.next = "IDLE"
                        with m.If(vec & (i.reduce == Reduce.SUM)):
                            m.d.comb += finish.eq(1)
                            m.next = "SUM"
                        with m.If(vec & (i.reduce == Reduce.MAX)):
                            m.d.sync += scalars[i.sd].eq(maximum.maximum)
            with m.State("SUM"):
                with m.If(sums.done):
                    m.d.sync += scalars[i.sd].eq(sums.total)
                    m.next = "IDLE"
        return m

    @staticmethod
    def _late(m, value, ce, name):
        late = Signal(len(value), name=name)
        with m.If(ce):
            m.d.sync += late.eq(value)
        return late
