"""MPE: all VPUs, the columns' feeders and the read-out to binary32."""

from itertools import pairwise

from amaranth.hdl import Cat, ClockSignal, Instance, Module, ResetSignal, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from golden.params import LlmParams
from hw.fabric.float32 import IntToFloat
from hw.fabric.pipeline import delay

from .feeder import ColumnFeeder, block_layout
from .layouts import ROW_BITS, lane_layout, tile_layout
from .vpu import Vpu

__all__ = ["VPU_MODULE", "Mpe", "mv_layout"]

VPU_MODULE = "lacuna_vpu"
"""Name of the VPU's Verilog module, emitted once (architecture rule 8)."""


def mv_layout(params: LlmParams) -> data.StructLayout:
    """An MV instruction, operands resolved. `exponent` is the quantised vector's; `empty`: nothing to do."""
    return data.StructLayout({
        "tile": tile_layout(),
        "out": unsigned(range(params.vmem_rows).stop.bit_length()),
        "base": unsigned(range(params.xbuf_blocks).stop.bit_length()),
        "exponent": signed(10),
        "empty": unsigned(1),
    })


class Mpe(wiring.Component):
    """rows x row_groups exact sums from the lanes' streams, rounded once to binary32.

    After the last sum: `rows * row_groups / sfu_lanes` cycles of read-out and IntToFloat.LATENCY + 3.

    Attributes:
        command: the MV instruction; ready again when the last result is written.
        lanes, lane_room: a word's part for each chain, sent while there is room.
        write_*: results to the global buffer, no back-pressure.
        x_*: quantised blocks from the quantiser, by column; peek_*: see ColumnFeeder.
        error: an illegal descriptor in some lane (sticky until the next command).
    """

    def __init__(self, params: LlmParams):
        self.params = p = params
        super().__init__({
            "command": In(stream.Signature(mv_layout(p))),
            "lanes": In(lane_layout(p)).array(p.chains),
            "lane_room": Out(p.chains),
            "write_valid": Out(1),
            "write_row": Out(range(p.vmem_rows)),
            "write_data": Out(p.sfu_lanes * 32),
            "x_valid": In(p.ksplit),
            "x_block": In(range(p.xbuf_blocks)),
            "x_data": In(block_layout()),
            "peek_block": In(range(p.xbuf_blocks)),
            "peek_data": Out(block_layout()).array(p.ksplit),
            "busy": Out(1),
            "error": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        p = self.params
        held = Signal(mv_layout(p), reset_less=True)
        start = Signal()
        row = Signal(ROW_BITS)
        min_shift, exponent = Signal(3), Signal(signed(10))
        feed = Signal()
        busy, errors, accs, headers = [], [], [], []
        for c in range(p.ksplit):
            feeder = ColumnFeeder(p)
            m.submodules[f"feeder_{c}"] = feeder
            rooms = []
            for g in range(p.row_groups):
                i = c * p.row_groups + g
                room, vpu_busy, error, header = (Signal(name=f"{n}_{i}") for n in ("room", "busy", "error", "header"))
                shift, unit = Signal(3, name=f"min_shift_{i}"), Signal(signed(10), name=f"exponent_{i}")
                acc = Signal(signed(48), name=f"acc_{i}")
                m.submodules[f"vpu_{i}"] = Instance(
                    VPU_MODULE,
                    i_clk=ClockSignal(), i_rst=ResetSignal(),
                    i_lane=self.lanes[i], o_lane_room=self.lane_room[i],
                    i_tile=held.tile, i_start=start, i_fill=feeder.fill, i_filled=feeder.filled,
                    i_shift__0=feeder.shift[0], i_shift__1=feeder.shift[1],
                    i_input_sum__0=feeder.input_sum[0], i_input_sum__1=feeder.input_sum[1],
                    i_row=row, o_room=room, o_busy=vpu_busy, o_error=error, o_acc=acc,
                    o_header=header, o_min_shift=shift, o_exponent=unit,
                )
                headers.append((header, shift, unit))
                rooms.append(room)
                busy.append(vpu_busy)
                errors.append(error)
                accs.append(acc)
            m.d.comb += [
                feeder.write_valid.eq(self.x_valid[c]),
                feeder.write_block.eq(self.x_block),
                feeder.write_data.eq(self.x_data),
                feeder.peek_block.eq(self.peek_block),
                self.peek_data[c].eq(feeder.peek_data),
                feeder.tile.eq(held.tile),
                feeder.min_shift.eq(min_shift),
                feeder.start.eq(feed),
                feeder.base.eq(held.base),
                feeder.room.eq(Cat(*rooms).all()),
            ]
            busy.append(feeder.busy)
        m.d.comb += [self.error.eq(Cat(*errors).any()), min_shift.eq(headers[0][1]), exponent.eq(headers[0][2])]
        running, fresh = Signal(), Signal()
        m.d.sync += fresh.eq(start)
        m.d.sync += running.eq(Cat(*busy).any())

        steps = p.row_groups // p.sfu_lanes
        step, reading = Signal(range(max(2, steps))), Signal()
        out_row = Signal(range(p.vmem_rows))
        latency = 1 + Vpu.READ_LATENCY + IntToFloat.LATENCY
        valids = [Signal(name=f"valid_{i}") for i in range(latency)]
        m.d.sync += [valids[0].eq(reading), *(b.eq(a) for a, b in pairwise(valids))]
        step_late = delay(m, step, Vpu.READ_LATENCY, "step")
        for lane in range(p.sfu_lanes):
            total = Signal(signed(48), name=f"total_{lane}", reset_less=True)
            with m.Switch(step_late):
                for s in range(steps):
                    with m.Case(s):
                        picked = [accs[c * p.row_groups + s * p.sfu_lanes + lane] for c in range(p.ksplit)]
                        m.d.sync += total.eq(sum(picked[1:], start=picked[0]))
            convert = IntToFloat(48)
            m.submodules[f"convert_{lane}"] = convert
            m.d.comb += [
                convert.i.eq(total),
                convert.exponent.eq(held.exponent + exponent),
                convert.ce.eq(1),
                self.write_data.word_select(lane, 32).eq(convert.o),
            ]
        m.d.comb += [self.write_valid.eq(valids[-1]), self.write_row.eq(out_row), self.busy.eq(1)]
        with m.If(self.write_valid):
            m.d.sync += out_row.eq(out_row + 1)

        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += [self.command.ready.eq(1), self.busy.eq(0)]
                with m.If(self.command.valid & ~self.command.payload.empty):
                    m.d.sync += [held.eq(self.command.payload), out_row.eq(self.command.payload.out)]
                    m.next = "START"
            with m.State("START"):
                m.d.comb += start.eq(1)
                m.next = "HEADER"
            with m.State("HEADER"):
                with m.If(headers[0][0] & ~fresh):
                    m.d.comb += feed.eq(1)
                    m.next = "SETTLE"
            with m.State("SETTLE"):
                m.next = "SETTLED"
            with m.State("SETTLED"):
                m.next = "RUN"
            with m.State("RUN"):
                m.d.sync += [row.eq(0), step.eq(0)]
                with m.If(~running):
                    m.next = "READ"
            with m.State("READ"):
                m.d.comb += reading.eq(1)
                m.d.sync += step.eq(step + 1)
                with m.If(step == steps - 1):
                    m.d.sync += [step.eq(0), row.eq(row + 1)]
                    with m.If(row + 1 == held.tile.rows):
                        m.next = "DRAIN"
            with m.State("DRAIN"):
                with m.If(~Cat(*valids).any()):
                    m.next = "IDLE"
        return m
