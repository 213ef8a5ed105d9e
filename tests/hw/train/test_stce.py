# amaranth: UnusedElaboratable=no
"""The array against golden, bit for bit and cycle by cycle, in both stationarities and with every number of slots."""

import json

import numpy as np
import pytest

from golden.train.params import GROUP, TrainParams
from hw.train.uspe import USPE_MODULE, Uspe
from tests.hw.runner import run_cocotb, to_verilog
from tests.hw.train.bench import SHAPES, ascending, numbers
from tests.hw.train.stce_schedule import StceSchedule


def played(schedule, tmp_path):
    """(cycles, vectors) that came out."""
    p = schedule.params
    files = {name: tmp_path / f"{name}.json" for name in ("inputs", "results", "uspe")}
    files["inputs"].write_text(json.dumps(schedule.inputs()))
    files["uspe"].write_text(to_verilog(Uspe(), USPE_MODULE))
    run_cocotb(schedule.dut, top="stce", test_module="tests.hw.train.cocotb_stce", extra_sources=[files["uspe"]],
               blocks=[USPE_MODULE],
               parameters={"columns": p.columns, **{name: str(path) for name, path in files.items()}})
    found = json.loads(files["results"].read_text())
    return [cycle for cycle, _ in found], [vector for _, vector in found]


@pytest.mark.parametrize("shape", SHAPES)
def test_products(shape, tmp_path):
    p = TrainParams(**SHAPES[shape])
    rng = np.random.default_rng(1)
    schedule = StceSchedule(p)

    def compact(groups, slots):
        return numbers(rng, p.half, (groups, slots, p.tile_columns)), ascending(rng, groups, slots, p.tile_columns)

    def rows(count, groups):
        return numbers(rng, p.half, (count, GROUP * groups))

    for groups, slots, last_gap in ((8, 2, 0), (12, 2, 0), (4, 4, 0), (4, 8, 0), (2, 16, 0), (4, 4, 3)):
        if groups * slots >= p.rows and p.rows <= 8 * slots * p.word // GROUP:
            schedule.tile(rows(p.rows, groups), *compact(groups, slots), last_gap=last_gap)
    schedule.settle()
    schedule.spread_tile(rows(p.rows, 2), numbers(rng, p.half, (2 * GROUP, p.tile_columns)))
    for groups, slots, count in ((p.rows, 2, 5), (p.rows - 1, 4, 3), (1, 8, 3), (p.rows, 16, 2)):
        if groups <= 8 * slots:
            schedule.stationary(rows(count, groups), *compact(groups, slots))
    schedule.tile(rows(p.rows, p.rows), *compact(p.rows, 4))
    schedule.settle()
    cycles, vectors = played(schedule, tmp_path)
    assert vectors == schedule.vectors
    assert cycles == schedule.times
