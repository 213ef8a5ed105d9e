# amaranth: UnusedElaboratable=no
import pytest

from golden.train.params import TrainParams
from hw.fabric.ram import RAM
from hw.train.vector_lane import VECTOR_LANE_MODULE, VectorLane
from hw.train.vector_pass import VectorPass
from hw.train.vector_sums import SUM_LANE_MODULE, SumLane
from hw.train.vector_walk import ROOM
from tests.hw.runner import run_cocotb, to_verilog

SHAPES = {
    "16 lanes, 4 words, binary16": {"channel_words": 4, "number_format": 1},
    "16 lanes, 2 words, bfloat16": {"channel_words": 2, "number_format": 2},
}


@pytest.mark.parametrize("shape", SHAPES)
def test_vector_pass(shape):
    params = TrainParams(**SHAPES[shape])
    sources = [to_verilog(VectorLane(params), VECTOR_LANE_MODULE), to_verilog(SumLane(), SUM_LANE_MODULE),
               to_verilog(VectorPass(params), "vector_pass")]  # fmt: skip
    run_cocotb("\n".join(sources), top="vector_pass", test_module="tests.hw.train.cocotb_vector_pass",
               parameters={"params": SHAPES[shape]}, extra_sources=[RAM],
               blocks=[VECTOR_LANE_MODULE, SUM_LANE_MODULE])  # fmt: skip


def test_wide_words_elaborate():
    text = to_verilog(VectorPass(TrainParams(axi_bits=512, rows=32)), "vector_pass")
    assert text.count(f"  {VECTOR_LANE_MODULE} ") == 32
    assert text.count(f"  {SUM_LANE_MODULE} ") == 64


def test_latency():
    assert (VectorLane.LATENCY, VectorPass.LATENCY, VectorPass.SEGMENT) == (44, 45, 45)
    assert ROOM >= VectorPass.LATENCY
