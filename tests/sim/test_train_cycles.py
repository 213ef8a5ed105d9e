"""The training engine's cycle model: what follows from its rules, and small programs next to the RTL."""

import numpy as np
import pytest

from bench.train_cycles import LIMIT, PARAMS, SHAPES, both, step
from bench.train_products import program
from compiler.train.convolution import Convolution
from golden.isa.train import ISA, QUEUES
from golden.train.matrix import MatrixUnit
from golden.train.network import Conv2d, ReLU
from sim.timing import TimingModel
from sim.train_cycles import CycleModel
from sim.train_events import Clock
from sim.train_memory import Dram

LAYERS = (Conv2d(channels=32, kernel=3, padding=1), ReLU(), Conv2d(channels=32, kernel=3, stride=2, padding=1))


def modelled(made):
    """(instructions decoded, in order; when each was accepted and finished)."""
    model = CycleModel(PARAMS, made.instructions, keep=True)
    ran = {one.position: one for one in model.ran}
    return [(fmt.name, fmt.queue, v) for fmt, v in map(ISA.decode, made.instructions[:-1])], ran, model.cycles


def test_every_instruction_ends_in_its_queue_s_order_and_none_before_its_tokens():
    made, _ = step(4, 16, LAYERS, 2, (2, 8))
    instructions, ran, cycles = modelled(made)
    assert len(ran) == len(instructions)
    given, last = {}, {}
    for position, (_, queue, v) in enumerate(instructions):
        assert ran[position].accepted < ran[position].finished <= cycles.total
        assert ran[position].finished > last.get(queue, -1)
        last[queue] = ran[position].finished
        for number, source in enumerate(QUEUES[:-1]):
            if v["wait"] >> number & 1:
                assert ran[position].accepted > given[source, queue].pop(0)
            if v["release"] >> number & 1:
                given.setdefault((queue, source), []).append(ran[position].finished)


def test_the_array_s_steps_are_golden_s_and_a_lower_bound():
    for kind, pattern in (("FF", (2, 8)), ("BP", (16, 16)), ("WU", (16, 16))):
        layer = Convolution(height=4, width=4, inputs=32, outputs=32, kernel=3, padding=1)
        made = program(kind, pattern, PARAMS, layer, 3)
        instructions, _, cycles = modelled(made)
        unit = MatrixUnit(PARAMS)
        assert cycles.steps == sum(unit.steps(v) for name, _, v in instructions if name == "MM") < cycles.total


def test_a_faster_memory_takes_no_longer():
    made, _ = step(4, 16, LAYERS, 2, None)
    ideal, ddr4 = (CycleModel(PARAMS, made.instructions, memory).cycles.total for memory in ("ideal", "ddr4"))
    assert ideal < ddr4


def test_the_channel_streams_at_its_peak_less_refreshes_and_conflicts_cost_what_their_row_does():
    timing = TimingModel.ddr4(clock_mhz=200)
    times = {}
    for name, step_bytes in (("stream", 64), ("conflict", 1 << 17)):
        clock, done = Clock(), []
        dram = Dram(clock, timing)
        for access in range(4000):
            dram.submit(True, access * step_bytes, 64, 1, 0.0, lambda _, last, done=done: done.append(last))
        clock.run()
        times[name] = done[-1] * timing.clock_ns / 4000
    assert times["stream"] == pytest.approx(64 / 19.2 / (1 - 366.7 / 7800), rel=0.02)
    assert times["conflict"] == pytest.approx((28.0 + 16.7 + 16.6) / (1 - 366.7 / 7800), rel=0.02)


def test_a_program_s_cycles_repeat():
    made, _ = step(4, 16, LAYERS, 2, (2, 4))
    assert np.unique([CycleModel(PARAMS, made.instructions).cycles.total for _ in range(2)]).size == 1


@pytest.mark.parametrize("name", [
    "WU alone: 3 x 3, 64 channels, 2 of 4 x 4", "3 x 3 32-32, 2 of 4 x 4, dense",
    "3 x 3 16-32-pool-32, 2 of 8 x 8, 2:8",
])  # fmt: skip
def test_model_and_rtl_agree(name):
    rtl, model = both(SHAPES[name]())
    assert model == pytest.approx(rtl, rel=LIMIT)
