# amaranth: UnusedElaboratable=no
"""The vector unit against golden: batch norm forward and back, pooling, windows, every operation on channels."""

import functools
import json

import numpy as np
import pytest

from golden.floats import BINARY32
from golden.isa.train import ISA, Channel
from golden.train.executor import Executor
from golden.train.params import TrainParams
from hw.fabric.ram import RAM
from hw.train.channel_lane import CHANNEL_LANE_MODULE, ChannelLane
from hw.train.channel_moves import ChannelMoves
from hw.train.vector_lane import VECTOR_LANE_MODULE, VectorLane
from hw.train.vector_sums import SUM_LANE_MODULE, SumLane
from hw.train.vector_unit import VectorUnit
from tests.hw.runner import run_cocotb, to_verilog
from tests.hw.train.bench import numbers

PARAMS = {"channel_rows": 128, "channel_words": 4}
BLOCKS = (CHANNEL_LANE_MODULE, VECTOR_LANE_MODULE, SUM_LANE_MODULE)
SPECIAL = [0, 1 << 31, 0x7F800000, 0xFF800000, 0x7FC00000, 0xFFC00001, 1, 0x80000001, 0x3F800000, 0xBF800000]
A, B, OUT, FILE, ROWS = 0, 200, 400, 800, 12
"""Words in memory: tensors, results, rows of the channel file."""
ARGUMENTS = (0x3F000000, 0x3F100000, 0x3F200000, 0x3F300000, 0x3F400000, 0x3F480000)


def program():
    """(name, fields) of instructions; tensors of 20 and 12 pixels."""
    yield "LDC", {"address": FILE, "rows": ROWS, "row": 0}
    d = 16
    for op in Channel:
        yield "CHN", {"op": op, "rows": 3, "a": 0, "b": 4, "d": d}
        yield "CHN", {"op": op, "rows": 1, "a": 8, "constant": 1, "value": 0xC0490FDB, "d": d + 3}
        d += 4
    yield "CHN", {"op": Channel.SUB, "rows": 1, "a": 3, "constant": 1, "argument": 4, "d": d}
    yield "CHN", {"op": Channel.MUL, "rows": 12, "a": 0, "b": 0, "d": 0}  # in place
    constants = {f"c{n}": n for n in range(5)}
    yield "VEC", {"a": A, "b": B, "out": OUT, "pixels": 20, "segment": 20, "words": 3, "outputs": 1, "gate": 1,
                  **constants}
    yield "VEC", {"a": A, "pixels": 20, "segment": 20, "words": 2, "sums": 1, "b_is_a": 1, "s": 60, **constants}
    yield "CHN", {"op": Channel.ADD, "rows": 4, "a": 60, "constant": 1, "value": 0x3F800000, "d": 64}
    yield "VEC", {"a": A, "b": B, "out": OUT + 70, "pixels": 12, "segment": 4, "words": 1, "sums": 1, "outputs": 1,
                  "relu": 1, "s": 68, **constants | {"c2": 64, "c4": 65}}
    yield "VEC", {"a": B, "out": OUT + 90, "pixels": 1, "segment": 1, "words": 4, "outputs": 1, "b_none": 1, "c2": 5,
                  "c4": 9}
    yield "CHN", {"op": Channel.SUB, "rows": 5, "a": 20, "b": 3, "d": 20, "same": 1}
    windows = {"x": A, "kernel": 2, "step": 2, "nx": 3, "ny": 2, "images": 1, "words": 2, "line": 13, "image": 52}
    yield "POOL", windows | {"out": OUT + 320}
    yield "POOL", windows | {"out": OUT + 340, "dy": OUT + 320, "back": 1}
    yield "STC", {"address": OUT + 100, "rows": 29, "row": 16}
    yield "STC", {"address": OUT + 190, "rows": 7, "row": 14, "half": 1}
    yield "LDC", {"address": A + 3, "rows": 3, "row": 80, "half": 1}
    yield "LDC", {"address": B + 1, "rows": 16, "row": 84, "half": 1, "turn": 1, "stride": 2}
    yield "LDC", {"address": B, "rows": 5, "row": 100, "half": 1, "turn": 1, "stride": 1}
    yield "STC", {"address": OUT + 200, "rows": 36, "row": 80}
    yield "STC", {"address": OUT + 280, "rows": 5, "row": 18, "half": 1, "turn": 1, "stride": 3}
    yield "STC", {"address": OUT + 160, "rows": 14, "row": 60}


@pytest.mark.parametrize("stall", [0.0, 0.4])
def test_instructions(stall, tmp_path):
    p = TrainParams(**PARAMS)
    rng, size = np.random.default_rng(6), p.axi_bits // 8
    image = np.zeros(1000 * size, np.uint8)
    for at in (A, B):
        image[at * size : (at + 60) * size] = numbers(rng, p.half, 60 * p.word).view(np.uint8)
    rows = BINARY32.to_bits(rng.standard_normal((ROWS, p.word)).astype(np.float32))
    rows[10, :10], rows[2, 1:11], rows[6, 2:12] = SPECIAL, SPECIAL, SPECIAL[::-1]
    image[FILE * size : (FILE + 2 * ROWS) * size] = rows.view(np.uint8).ravel()
    checked(p, image, [ISA.encode(name, fields) for name, fields in program()], stall, tmp_path)


def test_cycles_of_moves(tmp_path):
    """Ten rows more, behind an instruction that is the same."""
    p, image = TrainParams(**PARAMS), np.zeros(100 * 32, np.uint8)
    half, turn = {"half": 1}, {"half": 1, "turn": 1, "stride": 1}
    forms = [("LDC", {}, 2), ("STC", {}, 3), *(("LDC", form, p.word + ChannelMoves.LOADED) for form in (half, turn)),
             *(("STC", form, p.word + ChannelMoves.STORED) for form in (half, turn))]
    words = [ISA.encode("CHN", {"op": Channel.MUL, "rows": 128, "constant": 1})]
    words += [ISA.encode(name, {"rows": rows, **form}) for name, form, _ in forms for rows in (2, 2, 12, 12)]
    finished = np.diff(checked(p, image, words, 0.0, tmp_path)).reshape(-1, 4)
    assert (finished[:, 3] - finished[:, 1]).tolist() == [10 * cycles for _, _, cycles in forms]


@functools.cache
def unit(p):
    """Verilog, with its lanes."""
    parts = {"vector_unit": VectorUnit(p), CHANNEL_LANE_MODULE: ChannelLane(), VECTOR_LANE_MODULE: VectorLane(p),
             SUM_LANE_MODULE: SumLane()}  # fmt: skip
    return "\n".join(to_verilog(part, name) for name, part in parts.items())


def checked(p, image, words, stall, tmp_path):
    """When each instruction was finished, cycles; memory afterwards is golden's."""
    size = p.axi_bits // 8
    executor = Executor(p, [*words, ISA.encode("HALT", {})], {"m": image.copy()})
    executor.run(ARGUMENTS)

    files = {name: tmp_path / f"{name}.json" for name in ("inputs", "results")}
    memory = [int.from_bytes(row.tobytes(), "little") for row in image.reshape(-1, size)]
    files["inputs"].write_text(json.dumps({"memory": memory, "instructions": words}))
    run_cocotb(unit(p), top="vector_unit", test_module="tests.hw.train.cocotb_vector_unit", blocks=BLOCKS,
               extra_sources=[RAM],
               parameters={"params": PARAMS, "stall": stall, "arguments": ARGUMENTS,
                           **{name: str(path) for name, path in files.items()}})
    results = json.loads(files["results"].read_text())
    found = results["memory"]
    expected = [int.from_bytes(row.tobytes(), "little") for row in executor.images["m"].reshape(-1, size)]
    wrong = [i for i, (a, b) in enumerate(zip(found, expected, strict=True)) if a != b]
    assert not wrong, f"words {wrong[:10]} of {len(wrong)}: {[(hex(found[i]), hex(expected[i])) for i in wrong[:2]]}"
    return results["finished"]
