"""MPU: lanes and VPUs that can share their weights (docs/units/mpe.md)."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from golden.params import LlmParams

from .lane import Lane
from .layouts import ROW_BITS, fill_layout, inputs_layout, lane_layout, numbered_side_layout, pass_layout, tile_layout
from .sharing import LaneArbiter, PassMerger, SideArbiter
from .vpu import Vpu

__all__ = ["Mpu"]


class Mpu(wiring.Component):
    """`mpu_vpus` lanes and VPUs: without `tile.shared` lane l works for VPU l alone, with it every lane for all.

    Inputs are registered (they fan out to all MPUs) and no output depends on an input in the same cycle: `out` follows
    `out_row`, `out_vector` and `out_vpu` by READ_LATENCY.

    Attributes:
        lanes, lane_room: see Lane.
        tile, start: strobe while `idle`, and the tile with it, constant until the next. The sums of the tile before it
            may still be under way if `shared` is the same; of no other.
        idle: the lanes can take the next tile.
        fill, inputs: what the column's feeder sends to each VPU. room: every VPU can take one more block.
        header, exponent, min_shift: of the tile, from lane 0. error: some lane's.
        out_ready, out_taken, out_free: see Accumulator.
    """

    READ_LATENCY = 3

    def __init__(self, params: LlmParams):
        self.params = params
        count = params.mpu_vpus
        super().__init__({
            "lanes": In(data.ArrayLayout(lane_layout(params), count)),
            "lane_room": Out(count),
            "tile": In(tile_layout()),
            "start": In(1),
            "fill": In(data.ArrayLayout(fill_layout(), count)),
            "inputs": In(data.ArrayLayout(inputs_layout(), count)),
            "room": Out(1),
            "header": Out(1),
            "exponent": Out(signed(10)),
            "min_shift": Out(3),
            "idle": Out(1),
            "error": Out(1),
            "out_ready": Out(1),
            "out_taken": In(1),
            "out_free": In(1),
            "out_row": In(ROW_BITS),
            "out_vector": In(1),
            "out_vpu": In(range(max(2, count))),
            "out": Out(signed(48)),
        })

    def elaborate(self, platform):
        m = Module()
        count = self.params.mpu_vpus
        names = ("tile", "fill", "inputs", "start", "out_taken", "out_free", "out_row", "out_vector", "out_vpu")
        late = {}
        for name in names:
            port = getattr(self, name)
            late[name] = Signal(self.signature.members[name].shape, name=f"{name}_late",
                                reset_less=name in ("tile", "out_row", "out_vector", "out_vpu"))
            m.d.sync += late[name].eq(port)
        tile = late["tile"]
        filled = Signal()
        lanes = [Lane(self.params) for _ in range(count)]
        vpus = [Vpu(self.params) for _ in range(count)]
        m.submodules.arbiter = arbiter = LaneArbiter(count)
        m.submodules.side_arbiter = side_arbiter = SideArbiter(count)
        m.submodules.merger = merger = PassMerger(self.params)
        m.d.comb += [
            arbiter.shared.eq(tile.shared),
            arbiter.filled.eq(filled),
            *(getattr(arbiter, n).eq(Cat(*(getattr(lane, n) for lane in lanes))) for n in ("request", "half", "ends")),
            side_arbiter.shared.eq(tile.shared),
            side_arbiter.request.eq(Cat(*(lane.side_request for lane in lanes))),
            merger.shared.eq(tile.shared),
            filled.eq(late["fill"][0].valid & late["fill"][0].last),
        ]
        for i, lane in enumerate(lanes):
            m.submodules[f"lane_{i}"] = lane
            m.d.comb += [
                lane.lane.eq(self.lanes[i]),
                self.lane_room[i].eq(lane.lane_room),
                lane.tile.eq(tile),
                lane.start.eq(late["start"]),
                lane.filled.eq(filled),
                lane.group_free.eq(Mux(tile.shared, vpus[0].group_free, vpus[i].group_free)),
                lane.grant.eq(arbiter.grant[i]),
                lane.side_grant.eq(side_arbiter.grant[i]),
                merger.i[i].eq(lane.passes),
                merger.side_i[i].eq(lane.side),
            ]
        for i, vpu in enumerate(vpus):
            m.submodules[f"vpu_{i}"] = vpu
            valid, side_valid = Signal(name=f"valid_{i}"), Signal(name=f"side_valid_{i}")
            passes = Signal(pass_layout(), name=f"passes_{i}", reset_less=True)
            side = Signal(numbered_side_layout(self.params), name=f"side_{i}", reset_less=True)
            m.d.sync += [
                passes.eq(Mux(tile.shared, merger.o, lanes[i].passes)),
                *(
                    getattr(side, name).eq(Mux(tile.shared, getattr(merger.side_o, name), getattr(lanes[i].side, name)))
                    for name in lanes[i].side.shape().members
                ),
                side.lane.eq(Mux(tile.shared, merger.side_o.lane, 0)),
                valid.eq(Mux(tile.shared, merger.o.tags.valid, lanes[i].passes.tags.valid)),
                side_valid.eq(Mux(tile.shared, merger.side_o.valid, lanes[i].side.valid)),
            ]
            m.d.comb += [
                vpu.passes.eq(passes),
                vpu.passes.tags.valid.eq(valid),
                vpu.side.eq(side),
                vpu.side.valid.eq(side_valid),
                vpu.tile.eq(tile),
                vpu.start.eq(late["start"]),
                vpu.fill.eq(late["fill"][i]),
                vpu.inputs.eq(late["inputs"][i]),
                *(getattr(vpu, name).eq(late[name]) for name in ("out_taken", "out_free", "out_row", "out_vector")),
            ]
        picked = Signal(late["out_vpu"].shape(), reset_less=True)
        out = Signal(signed(48), reset_less=True)
        m.d.sync += picked.eq(late["out_vpu"])
        with m.Switch(picked):
            for i, vpu in enumerate(vpus):
                with m.Case(i):
                    m.d.sync += out.eq(vpu.out)
        m.d.comb += [
            self.out.eq(out),
            self.room.eq(Cat(*(vpu.room for vpu in vpus)).all()),
            self.idle.eq(Cat(*(lane.idle for lane in lanes)).all()),
            self.out_ready.eq(Cat(*(vpu.out_ready for vpu in vpus)).all()),
            self.error.eq(Cat(*(lane.error for lane in lanes)).any()),
            self.header.eq(lanes[0].header),
            self.exponent.eq(lanes[0].exponent),
            self.min_shift.eq(lanes[0].min_shift),
        ]
        return m
