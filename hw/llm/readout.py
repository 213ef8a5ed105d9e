"""Read-out of a tile: columns added, sums rounded once to binary32, rows to the global buffer."""

import functools

from amaranth.hdl import Cat, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from golden.isa.llm import SLOTS
from golden.params import LlmParams
from hw.fabric.floats import IntToFloat
from hw.fabric.pipeline import delay, strobes

from .layouts import ROW_BITS
from .mpu import Mpu

__all__ = ["ReadOut", "readout_layout"]

@functools.cache
def readout_layout(params: LlmParams) -> data.StructLayout:
    """Results of a tile: `rows` of every lane, for the vectors before `tokens`; `exponent` is the tile's; `early`: see
    ReadOut."""
    return data.StructLayout({
        "shared": unsigned(1),
        "rows": unsigned(7),
        "tokens": unsigned(5),
        "row": unsigned((params.vmem_rows - 1).bit_length()),
        "stride": unsigned((params.vmem_rows - 1).bit_length()),
        "slot": range(SLOTS),
        "exponent": signed(10),
        "early": unsigned(8),
    })


class ReadOut(wiring.Component):
    """Element r * row_groups + g of vector t: the sum of row r of lane g over the columns, times a power of two.

    `sfu_lanes` elements a cycle, LATENCY from the first address to its write; rows, then vectors, in order.

    Attributes:
        start, job: strobe while idle. out_*: read port of all MPUs; sums: what they answer, `column * mpus + m`.
        exponents: of the quantised vectors, by slot. write_*: to the global buffer, no back-pressure.
        told: strobe behind the write of row number `early` of the job, or of the last one if `early` is 0 or more.
        reading: from the cycle after `start` to the last address. busy: to the last write.
    """

    LATENCY = Mpu.READ_LATENCY + 1 + IntToFloat.LATENCY

    def __init__(self, params: LlmParams):
        self.params = p = params
        super().__init__({
            "start": In(1),
            "job": In(readout_layout(p)),
            "out_row": Out(ROW_BITS),
            "out_vector": Out(1),
            "out_vpu": Out(range(max(2, p.mpu_vpus))),
            "sums": In(data.ArrayLayout(signed(48), p.ksplit * p.mpus)),
            "exponents": In(data.ArrayLayout(signed(10), SLOTS)),
            "write_valid": Out(1),
            "write_row": Out(range(p.vmem_rows)),
            "write_data": Out(p.sfu_lanes * 32),
            "told": Out(1),
            "reading": Out(1),
            "busy": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        p = self.params
        job = Signal(readout_layout(p), reset_less=True)
        steps, lane_bits = p.mpus // p.sfu_lanes, p.mpu_vpus.bit_length() - 1
        reading = self.reading
        token, row = Signal(range(p.tokens)), Signal(7)
        lane, step = Signal(range(max(2, p.mpu_vpus))), Signal(range(max(2, steps)))
        base, at = Signal(range(p.vmem_rows)), Signal(range(p.vmem_rows))
        m.d.comb += [
            self.out_row.eq(Mux(job.shared, row << lane_bits | lane, row)),
            self.out_vector.eq(job.shared & token[0]),
            self.out_vpu.eq(Mux(job.shared, token >> 1, lane)),
        ]

        valids = strobes(m, reading, self.LATENCY, "valid")
        step_late = delay(m, step, Mpu.READ_LATENCY, "step")
        slot = delay(m, (job.slot + token)[: (SLOTS - 1).bit_length()], 1, "slot")
        of_vector = delay(m, self.exponents[slot], 1, "of_vector")
        exponent = Signal(signed(10), reset_less=True)
        m.d.sync += exponent.eq(of_vector + job.exponent)
        exponent_late = delay(m, exponent, Mpu.READ_LATENCY - 2, "exponent")
        for k in range(p.sfu_lanes):
            total = Signal(signed(48), name=f"total_{k}", reset_less=True)
            with m.Switch(step_late):
                for s in range(steps):
                    with m.Case(s):
                        picked = [self.sums[c * p.mpus + s * p.sfu_lanes + k] for c in range(p.ksplit)]
                        m.d.sync += total.eq(sum(picked[1:], start=picked[0]))
            m.submodules[f"convert_{k}"] = convert = IntToFloat(48)
            m.d.comb += [
                convert.i.eq(total),
                convert.exponent.eq(exponent_late),
                convert.ce.eq(1),
                self.write_data.word_select(k, 32).eq(convert.o),
            ]
        m.d.comb += [
            self.write_valid.eq(valids[-1]),
            self.write_row.eq(delay(m, at, self.LATENCY, "at")),
            self.busy.eq(Cat(*valids).any()),
        ]

        left, given, tell = Signal(8), Signal(), Signal()
        last_write = self.write_valid & ~Cat(reading, *valids[:-1]).any()
        m.d.comb += tell.eq((self.write_valid & (left == 1)) | (last_write & ~given))
        m.d.sync += [self.told.eq(tell), left.eq(left - (self.write_valid & (left != 0)))]
        with m.If(tell):
            m.d.sync += given.eq(1)

        next_base, last_token, last_row = Signal.like(base), Signal.like(token), Signal.like(row)
        m.d.comb += next_base.eq(base + job.stride)
        with m.If(reading):
            m.d.sync += [step.eq(step + 1), at.eq(at + 1)]
            with m.If(step == steps - 1):
                m.d.sync += [step.eq(0), lane.eq(lane + 1)]
                with m.If(lane == p.mpu_vpus - 1):
                    m.d.sync += [lane.eq(0), row.eq(row + 1)]
                    with m.If(row == last_row):
                        m.d.sync += [row.eq(0), token.eq(token + 1), base.eq(next_base), at.eq(next_base)]
                        with m.If(token == last_token):
                            m.d.sync += reading.eq(0)
        with m.If(self.start):
            m.d.sync += [
                job.eq(self.job), base.eq(self.job.row), at.eq(self.job.row), reading.eq(1),
                left.eq(self.job.early), given.eq(0),
                last_row.eq(self.job.rows - 1), last_token.eq(self.job.tokens - 1),
                token.eq(0), row.eq(0), lane.eq(0), step.eq(0),
            ]
        return m
