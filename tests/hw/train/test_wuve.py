# amaranth: UnusedElaboratable=no
import pytest

from golden.train.params import TrainParams
from hw.train.update_lane import UPDATE_LANE_MODULE, update_lane
from hw.train.wuve import Wuve
from tests.hw.runner import run_cocotb, to_verilog

SHAPES = {
    "2 lanes, binary16": {"update_lanes": 2, "number_format": 1},
    "4 lanes, bfloat16": {"update_lanes": 4, "number_format": 2},
    "1 lane, Adam": {"update_lanes": 1, "optimiser": 2},
}


@pytest.mark.parametrize("shape", SHAPES)
def test_wuve(shape):
    params = TrainParams(**SHAPES[shape])
    sources = [to_verilog(update_lane(params), UPDATE_LANE_MODULE), to_verilog(Wuve(params), "wuve")]
    run_cocotb("\n".join(sources), top="wuve", test_module="tests.hw.train.cocotb_wuve",
               parameters={"params": SHAPES[shape]}, blocks=[UPDATE_LANE_MODULE])  # fmt: skip


def test_latency():
    sgd, adam = TrainParams(), TrainParams(optimiser=2)
    assert (Wuve.latency(sgd), Wuve.room(sgd)) == (42, 64)
    assert (Wuve.latency(adam), Wuve.room(adam)) == (72, 128)
