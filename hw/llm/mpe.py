"""MPE: all MPUs, the columns' feeders and the read-out."""

from amaranth.hdl import Cat, ClockSignal, Instance, Module, ResetSignal, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from golden.isa.llm import SLOTS
from golden.params import LlmParams

from .feeder import ColumnFeeder
from .layouts import block_layout, lane_layout
from .readout import ReadOut
from .tiles import TileControl, tile_command_layout

__all__ = ["MPU_MODULE", "Mpe"]

MPU_MODULE = "lacuna_mpu"
"""Name of the MPU's Verilog module, emitted once (architecture rule 8)."""


class Mpe(wiring.Component):
    """rows x row_groups exact sums of 1 (MV) or up to `tokens` (MM) vectors, rounded once to binary32.

    Tiles overlap, see TileControl. Of MVs in a row one takes 6 cycles longer than a lane has beats to read (a
    descriptor's second cycle, and 5 in which the lanes stand), or 4 longer than its inputs have to be sent, where that
    is more. A single one of a row and a block takes 60 cycles and its read-out, 59 if its lanes were prepared before.

    Attributes:
        command: MV or MM. ahead: its payload may be prepared. finished: strobe: the oldest command's results are
            written, or so many rows of them as its `early` says.
        lanes, lane_room: a word's part for each chain, sent while there is room.
        write_*: results to the global buffer, no back-pressure.
        x_*: quantised blocks from the quantiser, by column; peek_*: see ColumnFeeder. exponents: by slot.
        busy: there are commands whose results are not all written.
        error: an illegal descriptor in some lane (sticky until reset). illegal: an MM of no or too many tokens; the
            array stands.
    """

    OVERLAP = 3
    """Instructions at once."""

    def __init__(self, params: LlmParams):
        self.params = p = params
        super().__init__({
            "command": In(stream.Signature(tile_command_layout(p))),
            "ahead": In(1),
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
        m.submodules.control = control = TileControl(p)
        m.submodules.readout = readout = ReadOut(p)
        mpus, feeders = [], []
        for c in range(p.ksplit):
            m.submodules[f"feeder_{c}"] = feeder = ColumnFeeder(p)
            feeders.append(feeder)
            column = [self._mpu(m, c, i, feeder, control, readout) for i in range(p.mpus)]
            mpus += column
            m.d.comb += [
                feeder.write_valid.eq(self.x_valid[c]),
                feeder.write_token.eq(self.x_token),
                feeder.write_block.eq(self.x_block),
                feeder.write_data.eq(self.x_data),
                feeder.peek_block.eq(self.peek_block),
                self.peek_data[c].eq(feeder.peek_data),
                feeder.tile.eq(control.fed),
                feeder.min_shift.eq(mpus[0]["min_shift"]),
                feeder.start.eq(control.feed),
                feeder.base.eq(control.base),
                feeder.room.eq(Cat(*(mpu["room"] for mpu in column)).all()),
            ]
        wiring.connect(m, wiring.flipped(self.command), control.command)
        all_idle, all_ready = Signal(), Signal()
        m.d.sync += [
            all_idle.eq(Cat(*(mpu["idle"] for mpu in mpus)).all()),
            all_ready.eq(Cat(*(mpu["out_ready"] for mpu in mpus)).all()),
        ]
        m.d.comb += [
            control.ahead.eq(self.ahead),
            control.lanes_idle.eq(all_idle),
            control.out_ready.eq(all_ready),
            control.header.eq(mpus[0]["header"]),
            control.exponent.eq(mpus[0]["exponent"]),
            control.feeders_idle.eq(Cat(*(feeder.idle for feeder in feeders)).all()),
            control.told.eq(readout.told),
            control.read_busy.eq(readout.busy),
            readout.start.eq(control.read),
            readout.job.eq(control.job),
            readout.sums.eq(Cat(*(mpu["out"] for mpu in mpus))),
            readout.exponents.eq(self.exponents),
            *(getattr(self, name).eq(getattr(control, name)) for name in ("finished", "busy", "illegal")),
            *(getattr(self, name).eq(getattr(readout, name)) for name in ("write_valid", "write_row", "write_data")),
            self.error.eq(Cat(*(mpu["error"] for mpu in mpus)).any()),
        ]
        return m

    def _mpu(self, m, column, number, feeder, control, readout):
        """Instantiate MPU `number` of a column; its outputs by name."""
        p = self.params
        suffix = f"{column}_{number}"
        widths = {"room": 1, "idle": 1, "out_ready": 1, "error": 1, "header": 1, "min_shift": 3}
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
            i_tile=control.tile, i_start=control.start, i_fill=feeder.fill, i_inputs=feeder.inputs,
            i_out_taken=control.read, i_out_free=~readout.reading,
            i_out_row=readout.out_row, i_out_vector=readout.out_vector, i_out_vpu=readout.out_vpu,
            **{f"o_{name}": signal for name, signal in out.items()},
        )
        return out
