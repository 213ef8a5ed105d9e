"""MM: one lane's pass, and one lane's beat of scales, a cycle for all VPUs of an MPU."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from golden.params import LlmParams

from .layouts import numbered_side_layout, pass_layout, side_layout

__all__ = ["LaneArbiter", "PassMerger", "SideArbiter"]


class LaneArbiter(wiring.Component):
    """The lowest lane that asks, those in the older of two blocks first; combinational. `shared` low grants every one.

    The order takes the lanes apart: while the later ones end a block, the earlier ones read bitmaps and scales of the
    next, and have passes when the block has ended.

    Attributes:
        shared: changes between tiles that do not overlap. filled: strobe: one more block of inputs, which `shared` low
            needs to know the older half afterwards.
        half: of a lane's pass; ends: it is the lane's last of its block.
    """

    def __init__(self, lanes: int):
        self.lanes = lanes
        super().__init__({
            "shared": In(1),
            "filled": In(1),
            "request": In(lanes),
            "half": In(lanes),
            "ends": In(lanes),
            "grant": Out(lanes),
        })

    def elaborate(self, platform):
        m = Module()
        older, ended = Signal(), Signal(range(max(2, self.lanes)))
        first = Signal(self.lanes)
        m.d.comb += first.eq(self.request & (self.half ^ (~older).replicate(self.lanes)))
        ending = (self.request & self.grant & self.ends).any()
        with m.If(~self.shared):
            m.d.sync += older.eq(older ^ self.filled)
        with m.Elif(ending):
            m.d.sync += ended.eq(ended + 1)
            with m.If(ended == self.lanes - 1):
                m.d.sync += [ended.eq(0), older.eq(~older)]
        for lane in range(self.lanes):
            lowest = Mux(first.any(), first[lane] & ~first[:lane].any(), ~self.request[:lane].any())
            m.d.comb += self.grant[lane].eq(~self.shared | lowest)
        return m


class SideArbiter(wiring.Component):
    """The lowest lane that asks, combinational; `shared` low grants every one."""

    def __init__(self, lanes: int):
        self.lanes = lanes
        super().__init__({"shared": In(1), "request": In(lanes), "grant": Out(lanes)})

    def elaborate(self, platform):
        m = Module()
        for lane in range(self.lanes):
            m.d.comb += self.grant[lane].eq(~self.shared | ~self.request[:lane].any())
        return m


class PassMerger(wiring.Component):
    """The lanes' passes and side beats as one stream; at most one lane has one in a cycle. LATENCY 1.

    Row r of lane l becomes row `r * lanes + l`. A block, a group and the tile end with the last lane's pass.

    Attributes:
        shared: low, what comes is nobody's. i, side_i: of every lane. o, side_o: merged.
    """

    def __init__(self, params: LlmParams):
        self.params = params
        super().__init__({
            "shared": In(1),
            "i": In(data.ArrayLayout(pass_layout(), params.mpu_vpus)),
            "side_i": In(data.ArrayLayout(side_layout(params), params.mpu_vpus)),
            "o": Out(pass_layout()),
            "side_o": Out(numbered_side_layout(params)),
        })

    def elaborate(self, platform):
        m = Module()
        lanes = self.params.mpu_vpus
        lane_bits = lanes.bit_length() - 1
        side_shape = numbered_side_layout(self.params)
        merged, side = Signal(pass_layout()), Signal(side_shape)
        numbered, sides = [], []
        side_names = side_layout(self.params).members
        for lane in range(lanes):
            one, beat = Signal(pass_layout(), name=f"pass_{lane}"), Signal(side_shape, name=f"side_{lane}")
            m.d.comb += [
                one.eq(self.i[lane]),
                one.tags.row.eq(self.i[lane].tags.row << lane_bits | lane),
                one.tags.second_row.eq(self.i[lane].tags.second_row << lane_bits | lane),
                *(getattr(beat, name).eq(getattr(self.side_i[lane], name)) for name in side_names),
                beat.lane.eq(lane),
            ]
            numbered.append(one.as_value() & one.tags.valid.replicate(len(one.as_value())))
            sides.append(beat.as_value() & beat.valid.replicate(len(beat.as_value())))
        m.d.comb += [merged.as_value().eq(_either(numbered)), side.as_value().eq(_either(sides))]

        tags = merged.tags
        last = {}
        for what, which in (("block_last", tags.half), ("group_last", tags.bank)):
            ended = Signal(data.ArrayLayout(range(max(2, lanes)), 2), name=f"{what}_lanes")
            done = Signal(name=f"{what}_done")
            m.d.comb += done.eq(getattr(tags, what) & (ended[which] == lanes - 1))
            with m.If(self.shared & getattr(tags, what)):
                m.d.sync += ended[which].eq(Mux(done, 0, ended[which] + 1))
            last[what] = done
        out, side_out = Signal(pass_layout(), reset_less=True), Signal(side_shape, reset_less=True)
        valid, side_valid = Signal(), Signal()
        m.d.sync += [
            out.eq(merged),
            out.tags.block_last.eq(last["block_last"]),
            out.tags.group_last.eq(last["group_last"]),
            valid.eq(tags.valid),
            side_out.eq(side),
            side_valid.eq(side.valid),
        ]
        m.d.comb += [self.o.eq(out), self.o.tags.valid.eq(valid), self.side_o.eq(side_out),
                     self.side_o.valid.eq(side_valid)]
        return m


def _either(values):
    result = values[0]
    for value in values[1:]:
        result = result | value
    return result
