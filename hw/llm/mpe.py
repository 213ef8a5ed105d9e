"""MPE: all MPUs, the columns' feeders and the read-out."""

from amaranth.hdl import Cat, ClockSignal, Instance, Module, Mux, ResetSignal, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from golden.isa.llm import SLOTS
from golden.params import LlmParams

from .feeder import ColumnFeeder
from .layouts import block_layout, lane_layout, tile_layout
from .readout import ReadOut

__all__ = ["MPU_MODULE", "Mpe", "tile_command_layout"]

MPU_MODULE = "lacuna_mpu"
"""Name of the MPU's Verilog module, emitted once (architecture rule 8)."""


def tile_command_layout(params: LlmParams) -> data.StructLayout:
    """An MV or MM instruction, operands resolved; `empty`: nothing to do."""
    return data.StructLayout({
        "tile": tile_layout(),
        "out": unsigned((params.vmem_rows - 1).bit_length()),
        "stride": unsigned((params.vmem_rows - 1).bit_length()),
        "base": unsigned((params.xbuf_blocks - 1).bit_length()),
        "slot": range(SLOTS),
        "tokens": unsigned(5),
        "empty": unsigned(1),
    })


class Mpe(wiring.Component):
    """rows x row_groups exact sums of 1 (MV) or up to `tokens` (MM) vectors, rounded once to binary32.

    A tile's read-out overlaps with the next tile. Between two tiles about 30 cycles: pipelines drain and fill.

    Attributes:
        command: MV or MM; ready when the array is free. finished: strobe: the oldest command's results are written.
        lanes, lane_room: a word's part for each chain, sent while there is room.
        write_*: results to the global buffer, no back-pressure.
        x_*: quantised blocks from the quantiser, by column; peek_*: see ColumnFeeder. exponents: by slot.
        busy: there are commands that have not finished.
        error: an illegal descriptor in some lane (sticky until the next command). illegal: an MM of no or too many
            tokens; the array stands.
    """

    OVERLAP = 2
    """Instructions at once."""

    def __init__(self, params: LlmParams):
        self.params = p = params
        super().__init__({
            "command": In(stream.Signature(tile_command_layout(p))),
            "finished": Out(1),
            "lanes": In(lane_layout(p)).array(p.chains),
            "lane_room": Out(p.chains),
            "write_valid": Out(1),
            "write_row": Out(range(p.vmem_rows)),
            "write_data": Out(p.sfu_lanes * 32),
            "x_valid": In(p.ksplit),
            "x_token": In(range(p.tokens)),
            "x_block": In(range(p.xbuf_blocks)),
            "x_data": In(block_layout()),
            "exponents": In(data.ArrayLayout(signed(10), SLOTS)),
            "peek_block": In(range(p.xbuf_blocks)),
            "peek_data": Out(block_layout()).array(p.ksplit),
            "busy": Out(1),
            "error": Out(1),
            "illegal": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        p = self.params
        held = Signal(tile_command_layout(p), reset_less=True)
        start, feed = Signal(), Signal()
        m.submodules.readout = readout = ReadOut(p)
        mpus, feeders = [], []
        for c in range(p.ksplit):
            m.submodules[f"feeder_{c}"] = feeder = ColumnFeeder(p)
            feeders.append(feeder)
            column = [self._mpu(m, c, i, feeder, held.tile, start, readout) for i in range(p.mpus)]
            mpus += column
            m.d.comb += [
                feeder.write_valid.eq(self.x_valid[c]),
                feeder.write_token.eq(self.x_token),
                feeder.write_block.eq(self.x_block),
                feeder.write_data.eq(self.x_data),
                feeder.peek_block.eq(self.peek_block),
                self.peek_data[c].eq(feeder.peek_data),
                feeder.tile.eq(held.tile),
                feeder.min_shift.eq(mpus[0]["min_shift"]),
                feeder.start.eq(feed),
                feeder.base.eq(held.base),
                feeder.room.eq(Cat(*(mpu["room"] for mpu in column)).all()),
            ]
        running, fresh = Signal(), Signal()
        m.d.sync += [
            fresh.eq(start),
            running.eq(Cat(*(mpu["busy"] for mpu in mpus), *(feeder.busy for feeder in feeders)).any()),
        ]
        wrong_tokens = held.tile.shared & ((held.tokens == 0) | (held.tokens > p.tokens))
        m.d.comb += [
            self.error.eq(Cat(*(mpu["error"] for mpu in mpus)).any()),
            readout.sums.eq(Cat(*(mpu["out"] for mpu in mpus))),
            readout.exponents.eq(self.exponents),
            readout.job.shared.eq(held.tile.shared),
            readout.job.rows.eq(held.tile.rows),
            readout.job.tokens.eq(Mux(held.tile.shared, held.tokens, 1)),
            readout.job.row.eq(held.out),
            readout.job.stride.eq(held.stride),
            readout.job.slot.eq(held.slot),
            readout.job.exponent.eq(mpus[0]["exponent"]),
            self.write_valid.eq(readout.write_valid),
            self.write_row.eq(readout.write_row),
            self.write_data.eq(readout.write_data),
        ]
        writing = Signal()
        m.d.sync += writing.eq(readout.busy | readout.start)
        empty_finished = Signal()
        m.d.comb += [
            self.finished.eq((writing & ~readout.busy & ~readout.start) | empty_finished),
            self.busy.eq(1),
        ]

        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += [self.command.ready.eq(1), self.busy.eq(writing)]
                with m.If(self.command.valid):
                    m.d.sync += held.eq(self.command.payload)
                    m.next = "START"
                    with m.If(self.command.payload.empty):
                        m.next = "EMPTY"
            with m.State("EMPTY"):
                with m.If(~writing):
                    m.d.comb += empty_finished.eq(1)
                    m.next = "IDLE"
            with m.State("START"):
                m.d.comb += [self.illegal.eq(wrong_tokens), start.eq(~wrong_tokens)]
                with m.If(~wrong_tokens):
                    m.next = "HEADER"
            with m.State("HEADER"):
                with m.If(mpus[0]["header"] & ~fresh):
                    m.d.comb += feed.eq(1)
                    m.next = "SETTLE"
            with m.State("SETTLE"):
                m.next = "SETTLED"
            with m.State("SETTLED"):
                m.next = "RUN"
            with m.State("RUN"):
                with m.If(~running & ~writing):
                    m.d.comb += readout.start.eq(1)
                    m.next = "IDLE"
        return m

    def _mpu(self, m, column, number, feeder, tile, start, readout):
        """Instantiate MPU `number` of a column; its outputs by name."""
        p = self.params
        suffix = f"{column}_{number}"
        widths = {"room": 1, "busy": 1, "error": 1, "header": 1, "min_shift": 3}
        out = {name: Signal(width, name=f"{name}_{suffix}") for name, width in widths.items()}
        widths = {"exponent": 10, "out": 48}
        out |= {name: Signal(signed(width), name=f"{name}_{suffix}") for name, width in widths.items()}
        chains = [column * p.row_groups + lane * p.mpus + number for lane in range(p.mpu_vpus)]
        room = Signal(p.mpu_vpus, name=f"lane_room_{suffix}")
        m.d.comb += [self.lane_room[chain].eq(room[i]) for i, chain in enumerate(chains)]
        m.submodules[f"mpu_{suffix}"] = Instance(
            MPU_MODULE,
            i_clk=ClockSignal(), i_rst=ResetSignal(),
            i_lanes=Cat(*(self.lanes[chain] for chain in chains)), o_lane_room=room,
            i_tile=tile, i_start=start, i_fill=feeder.fill, i_inputs=feeder.inputs,
            i_out_free=~readout.busy, i_out_row=readout.out_row, i_out_vector=readout.out_vector,
            i_out_vpu=readout.out_vpu,
            **{f"o_{name}": signal for name, signal in out.items()},
        )
        return out
